"""``python -m limen_kit makemigrations``: the first migration, the next ones, and what is refused."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from types import ModuleType

import pytest

from limen_kit import __main__ as command
from limen_kit.database import Tables, TortoiseConfig, tortoise_config
from limen_kit.migrations import MigrationsError, make_migrations
from limen_kit.testing.migrations import missing_migrations

MODELS = """from tortoise import fields
from tortoise.models import Model

class Pot(Model):
    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=20)
"""
DATABASE = """from limen_kit.database import Tables, tortoise_config

TORTOISE_ORM = tortoise_config("sqlite://pots.sqlite3", Tables("pots", "pots.models", "pots.migrations"))
"""
UNCHANGED = "pots.database: nothing changed; the migrations say what the models say.\n"


class Project:
    """A service of its own folder, whose commands run as its developer runs them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.package = folder / "src" / "pots"
        self.migrations = self.package / "migrations"
        self.package.mkdir(parents=True)
        self.write(__init__="", models=MODELS, database=DATABASE)

    def write(self, **modules: str) -> None:
        for name, text in modules.items():
            (self.package / f"{name}.py").write_text(text)

    def run(self, command: str, *options: str, module: str = "pots.database") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "limen_kit", command, module, *options],
            cwd=self.folder / "src",
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )

    def written(self) -> list[str]:
        return sorted(path.name for path in self.migrations.glob("*.py"))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "pots")


@pytest.mark.parametrize("package", ["missing", "without __init__.py", "empty"])
def test_the_first_migration_is_written_and_makes_the_tables(project: Project, package: str) -> None:
    if package != "missing":
        project.migrations.mkdir()
    if package == "empty":
        (project.migrations / "__init__.py").touch()
    made = project.run("makemigrations")
    path = project.migrations / "0001_initial.py"
    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout == f"pots.database: {path} is written; read it before you commit it.\n"
    assert project.written() == ["0001_initial.py", "__init__.py"]
    assert project.run("migrate").returncode == 0
    with closing(sqlite3.connect(project.folder / "src" / "pots.sqlite3")) as database:
        assert database.execute("SELECT count(*) FROM pot").fetchone() == (0,)


def test_what_changes_is_written_once_under_its_name(project: Project) -> None:
    project.run("makemigrations")
    assert project.run("migrate").returncode == 0
    project.write(models=MODELS + "    rating = fields.IntField(null=True)\n")
    made = project.run("makemigrations", "--name", "add_rating")
    assert made.returncode == 0, made.stderr
    assert project.written() == ["0001_initial.py", "0002_add_rating.py", "__init__.py"]
    assert project.run("makemigrations", "--name", "again").stdout == UNCHANGED
    assert project.run("migrate").returncode == 0
    with closing(sqlite3.connect(project.folder / "src" / "pots.sqlite3")) as database:
        assert [row[1] for row in database.execute("PRAGMA table_info(pot)")] == ["id", "name", "rating"]


def test_a_migration_has_the_format_of_the_sources(project: Project) -> None:
    project.run("makemigrations")
    text = (project.migrations / "0001_initial.py").read_text()
    assert text.startswith(
        "from tortoise import fields, migrations\nfrom tortoise.migrations import operations as ops\n\n\n"
    )
    assert 'name="Pot",' in text


def test_a_check_writes_nothing_and_fails_while_something_is_missing(project: Project) -> None:
    before = sorted(project.folder.rglob("*"))
    for _ in range(2):
        checked = project.run("makemigrations", "--check")
        assert checked.returncode == 1
        assert checked.stdout == f"pots.database: {project.migrations}/0001_initial.py is missing.\n"
        assert sorted(project.folder.rglob("*")) == before
    project.run("makemigrations")
    assert (
        project.run("makemigrations", "--check").returncode,
        missing_migrations(project.folder, project.folder),
    ) == (0, "")


def test_missing_migrations_are_told(project: Project, tmp_path: Path) -> None:
    assert "0001_initial.py is missing" in missing_migrations(project.folder, tmp_path)
    project.write(models="import nothing_of_that_name\n")
    with pytest.raises(RuntimeError, match="nothing_of_that_name"):
        missing_migrations(project.folder, tmp_path)
    with pytest.raises(RuntimeError, match=r"has 0 packages with database\.py"):
        missing_migrations(tmp_path / "elsewhere", tmp_path)


@pytest.mark.parametrize(
    ("models", "note"),
    [
        (f"{MODELS}    rating = fields.IntField()\n", "Pot.rating is new: a table with rows needs db_default="),
        (MODELS.replace("name =", "title ="), "Pot.name is taken for title, which is like it"),
        (MODELS.replace("class Pot", "class Jar"), "Pot is taken for Jar, whose fields are like its own"),
        (MODELS.partition("    name")[0], "Pot.name is removed with what it holds; if it has another name now"),
        (MODELS.replace("class Pot", "class Lid").replace("name", "size"), "Pot is removed with its rows"),
    ],
)
def test_what_rows_can_be_lost_by_is_said(project: Project, models: str, note: str) -> None:
    project.run("makemigrations")
    project.write(models=models)
    assert note in project.run("makemigrations").stdout


@pytest.mark.parametrize(
    ("models", "said"),
    [
        (MODELS.replace("max_length=20", "max_length=20, default=lambda: 1"), "pots.0001_initial cannot be written: "),
        (
            MODELS.replace("fields.CharField(max_length=20)", "fields.ForeignKeyField('pots.Lid')"),
            "Tortoise cannot compare",
        ),
        ("import nothing_of_that_name\n", "nothing_of_that_name"),
    ],
)
def test_models_that_cannot_be_written_down_are_refused_and_leave_nothing(
    project: Project, models: str, said: str
) -> None:
    project.write(models=models)
    made = project.run("makemigrations")
    assert (made.returncode, made.stdout) == (1, "")
    assert said in made.stderr
    assert made.stderr.count("\n") == 1
    assert not project.migrations.exists()


@pytest.mark.parametrize(
    ("module", "options", "said"),
    [
        ("nowhere.database", [], "there is no module 'nowhere'; is it installed?\n"),
        ("pots", [], "pots has no TORTOISE_ORM; name the module that has it\n"),
        ("pots.database", ["--name", "Add Rating"], "--name 'Add Rating': write small letters, digits and _"),
        ("pots.database", ["--name", "../x"], "--name '../x': write small letters, digits and _"),
    ],
)
def test_a_wrong_word_in_the_command_is_refused(project: Project, module: str, options: list[str], said: str) -> None:
    made = project.run("makemigrations", *options, module=module)
    assert (made.returncode, made.stdout) == (1, "")
    assert said in made.stderr
    assert made.stderr.count("\n") == 1


@pytest.fixture
def importable(project: Project, monkeypatch: pytest.MonkeyPatch) -> Generator[Project]:
    """The project in this process, whose modules no other test finds loaded."""
    monkeypatch.setattr(sys, "path", [str(project.folder / "src"), *sys.path])
    # Bytecode is found by second and size of its source, and a test writes a module twice within a second.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    others = forget()
    yield project
    forget()
    sys.modules.update(others)


def forget() -> dict[str, ModuleType]:
    """Unload the modules of the project, and return them."""
    return {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "pots"}


def test_the_command_in_this_process(importable: Project, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["makemigrations", "pots.database"]
    assert [command.main([*argv, "--check"]), command.main(argv), command.main([*argv, "--check"])] == [1, 0, 0]
    assert [line.split()[-2:] for line in capsys.readouterr().out.splitlines()] == [
        ["is", "missing."],
        ["commit", "it."],
        ["models", "say."],
    ]
    forget()
    importable.write(models=MODELS.replace("fields.CharField(max_length=20)", "fields.CharField(max_length=30)"))
    assert command.main([*argv, "--name", "longer_names"]) == 0
    assert importable.written() == ["0001_initial.py", "0002_longer_names.py", "__init__.py"]
    for wrong in (["pots.nothing"], ["pots"], ["pots.database", "--name", "-"]):
        assert command.main(["makemigrations", *wrong]) == 1
        assert capsys.readouterr().err.count("\n") == 1


async def test_what_rows_can_be_lost_by_is_a_note_of_what_was_written(importable: Project) -> None:
    await make_migrations(config("pots.migrations"), "pots")
    forget()
    importable.write(models=MODELS.partition("    name")[0] + "    size = fields.IntField()\n")
    (written,) = await make_migrations(config("pots.migrations"), "pots", name="sizes")
    assert written.path == importable.migrations / "0002_sizes.py"
    assert [note.partition(":")[0].partition(" with")[0] for note in written.notes] == [
        "Pot.size is new",
        "Pot.name is removed",
    ]


def config(migrations: str) -> TortoiseConfig:
    return tortoise_config("sqlite://:memory:", Tables("pots", "pots.models", migrations))


async def test_an_installed_copy_is_refused(importable: Project, monkeypatch: pytest.MonkeyPatch) -> None:

    def site_packages(kind: str) -> str:
        return str(importable.folder)

    monkeypatch.setattr("limen_kit.migrations.sysconfig.get_path", site_packages)
    with pytest.raises(MigrationsError, match=r"an installed copy, where a migration would be lost.*pip install -e"):
        await make_migrations(config("pots.migrations"), "pots")
    assert not importable.migrations.exists()
    importable.migrations.mkdir()
    (missing,) = await make_migrations(config("pots.migrations"), "pots", dry_run=True)
    assert missing.path == importable.migrations / "0001_initial.py"
    assert list(importable.migrations.glob("*.py")) == []


async def test_a_folder_that_cannot_be_written_to_is_refused(
    importable: Project, monkeypatch: pytest.MonkeyPatch
) -> None:

    def access(path: Path, mode: int) -> bool:
        return False

    monkeypatch.setattr("limen_kit.migrations.os.access", access)
    with pytest.raises(MigrationsError, match="cannot be written to"):
        await make_migrations(config("pots.migrations"), "pots")


async def test_a_module_in_the_place_of_the_package_is_refused(importable: Project) -> None:
    importable.write(migrations="")
    with pytest.raises(MigrationsError, match=r"pots\.migrations must be a package"):
        await make_migrations(config("pots.migrations"), "pots")


async def test_tables_of_libraries_alone_are_refused() -> None:
    with pytest.raises(MigrationsError, match=r"no tables whose migrations are in pots, only library\.migrations"):
        await make_migrations(config("library.migrations"), "pots")


def test_the_tables_of_a_library_get_no_migration(project: Project) -> None:
    library = project.folder / "src" / "lids"
    library.mkdir()
    (library / "__init__.py").touch()
    (library / "models.py").write_text(MODELS.replace("Pot", "Lid"))
    (library / "migrations").mkdir()
    (library / "migrations" / "__init__.py").touch()
    tables = 'Tables("pots", "pots.models", "pots.migrations"), Tables("lids", "lids.models", "lids.migrations")'
    project.write(database=DATABASE.replace('Tables("pots", "pots.models", "pots.migrations")', tables))
    made = project.run("makemigrations")
    assert made.returncode == 0, made.stderr
    assert "lids" not in made.stdout
    assert [path.name for path in (library / "migrations").glob("*.py")] == ["__init__.py"]
    assert project.written() == ["0001_initial.py", "__init__.py"]
