"""Writes the migrations that a service's models need, into its source tree. ``limen_kit.database`` applies them.

Tortoise finds what has changed and writes it down. Here is where it is written, what is refused before, and ruff's format.
"""

import importlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tortoise.context import TortoiseContext
from tortoise.exceptions import BaseORMException
from tortoise.fields import Field
from tortoise.migrations.autodetector import MigrationAutodetector
from tortoise.migrations.exceptions import TortoiseMigrationError
from tortoise.migrations.operations import AddField, DeleteModel, Operation, RemoveField, RenameField, RenameModel
from tortoise.migrations.writer import MigrationWriter, format_migration_name

from limen_kit.database import TortoiseConfig

_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")

# Seconds that ruff may take for one file.
_RUFF_TIMEOUT = 30.0


class MigrationsError(Exception):
    """Migrations cannot be written; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Written:
    """A migration that was written to ``path``, or would be. ``notes`` say what to look at before it is committed."""

    path: Path
    notes: tuple[str, ...]


async def make_migrations(
    config: TortoiseConfig, package: str, *, name: str | None = None, dry_run: bool = False
) -> list[Written]:
    """Write the next migration of each of ``config``'s tables whose migrations are in ``package``; return what was written.

    The tables of libraries have migrations of their own, which come with them. ``name`` stands behind the number:
    ``add_rating`` gives ``0002_add_rating.py``; without it, the first is ``0001_initial`` and the next ones have the time.
    With ``dry_run`` nothing is written. Raises MigrationsError.
    """
    if name is not None and not _NAME.fullmatch(name):
        raise MigrationsError(
            f"--name {name!r}: write small letters, digits and _, beginning with a letter, such as add_rating"
        )
    modules: dict[str, str] = {label: tables["migrations"] for label, tables in config["apps"].items()}
    own = {label: module for label, module in modules.items() if module.partition(".")[0] == package}
    if not own:
        raise MigrationsError(
            f"TORTOISE_ORM has no tables whose migrations are in {package}, only {', '.join(sorted(modules.values()))}"
        )
    with _packages([_folder(module) for module in own.values()], keep=not dry_run):
        writers = [writer for writer in await _changes(config) if writer.app_label in own]
        if name is not None:
            for writer in writers:
                writer.name = format_migration_name(int(writer.name[:4]), name)
        written = [Written(writer.path(), _notes(writer)) for writer in writers]
        if not dry_run:
            _write(writers)
    return written


async def _changes(config: TortoiseConfig) -> list[MigrationWriter]:
    try:
        async with TortoiseContext() as context:
            await context.init(config=config, init_connections=False)
            assert context.apps is not None
            return await MigrationAutodetector(context.apps, config["apps"]).changes()
    except (BaseORMException, TortoiseMigrationError, ValueError, ImportError) as error:
        reason = error.__cause__ or error.__context__  # Tortoise says that a module is not found, and not what it lacks
        because = f" ({reason})" if isinstance(reason, ImportError) else ""
        raise MigrationsError(f"Tortoise cannot compare models and migrations: {error}{because}") from error


def _folder(module: str) -> Path:
    """Return the folder of the migrations ``module``. Raises MigrationsError unless it is in a source tree."""
    parent, _, name = module.rpartition(".")
    try:
        paths = importlib.import_module(parent).__path__ if parent else [os.getcwd()]  # text, as __path__ is
    except ModuleNotFoundError as error:
        raise MigrationsError(f"there is no module {error.name!r}; is it installed?") from error
    except AttributeError:
        raise MigrationsError(f"{parent} is a module and no package, so it cannot hold {module}") from None
    folder = Path(next(iter(paths))).resolve() / name
    installed = [Path(sysconfig.get_path(kind)).resolve() for kind in ("purelib", "platlib")]
    if any(folder.is_relative_to(place) for place in installed):
        raise MigrationsError(
            f"{module} is in {folder}, an installed copy, where a migration would be lost. Install the service from its "
            "sources, with python -m pip install -e FOLDER, or run this where they are"
        )
    if folder.is_file() or folder.with_suffix(".py").is_file():
        raise MigrationsError(f"{module} must be a package: {folder} is to be a folder")
    nearest = folder if folder.is_dir() else folder.parent
    if not os.access(nearest, os.W_OK):
        raise MigrationsError(
            f"{nearest} cannot be written to; give yourself the right, or work on a copy of the sources"
        )
    return folder


@contextmanager
def _packages(folders: Sequence[Path], *, keep: bool) -> Generator[None]:
    """Make each of ``folders`` a package, since Tortoise imports it; take back what is new if this fails, or not ``keep``."""
    with ExitStack() as undo:
        for folder in folders:
            if not folder.is_dir():
                folder.mkdir()
                undo.callback(shutil.rmtree, folder)
            elif not (folder / "__init__.py").exists():
                undo.callback((folder / "__init__.py").unlink)
            (folder / "__init__.py").touch()
        importlib.invalidate_caches()
        yield
        if keep:
            undo.pop_all()


def _write(writers: Sequence[MigrationWriter]) -> None:
    texts: dict[Path, str] = {}
    for writer in writers:
        try:
            texts[writer.path()] = writer.as_string()
        except (TypeError, ValueError) as error:  # such as a default that is a lambda
            raise MigrationsError(f"{writer.app_label}.{writer.name} cannot be written: {error}") from error
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
        _format(path)


def _format(path: Path) -> None:
    """Give ``path`` the format of the sources around it, where ruff is installed; without it, Tortoise's remains."""
    if find_spec("ruff") is None:
        return
    for command in (["check", "--quiet", "--select", "I", "--fix"], ["format", "--quiet"]):
        # What ruff cannot do it leaves undone, and the checks of the sources will say so.
        argv = [sys.executable, "-m", "ruff", *command, str(path)]
        subprocess.run(argv, timeout=_RUFF_TIMEOUT, check=False)  # noqa: S603  # no argument is of another's making


def _notes(writer: MigrationWriter) -> tuple[str, ...]:
    return tuple(note for operation in writer.operations if (note := _note(operation)))


def _note(operation: Operation) -> str | None:
    """Return what ``operation`` does to rows that are there already, if they can be lost or stop it."""
    match operation:
        case RenameModel(old_name=old, new_name=new):
            return f"{old} is taken for {new}, whose fields are like its own; if they are two things, write it by hand"
        case RenameField(model_name=model, old_name=old, new_name=new):
            return f"{model}.{old} is taken for {new}, which is like it; if they are two things, write it by hand"
        case DeleteModel(name=name):
            return f"{name} is removed with its rows; if it has another name now, write ops.RenameModel by hand"
        case RemoveField(model_name=model, name=name):
            return f"{model}.{name} is removed with what it holds; if it has another name now, write ops.RenameField by hand"
        case AddField(model_name=model, name=name, field=field) if _needs_value(field):
            return (
                f"{model}.{name} is new: a table with rows needs db_default= or null=True in the model; with it, delete this "
                "file and run the command again"
            )
        case _:
            return None


def _needs_value(field: object) -> bool:
    return isinstance(field, Field) and not field.null and not field.has_db_default()
