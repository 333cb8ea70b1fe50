"""The commands for a service's database, ``python -m limen_kit COMMAND MODULE``. ``TORTOISE_ORM`` of the module describes it.

``migrate`` applies the migrations that are missing; ``makemigrations`` writes those that the models need.
"""

import argparse
import asyncio
import sys
from importlib import import_module

from pydantic import ValidationError

from limen_kit.database import TortoiseConfig, migrate
from limen_kit.database_url import DatabaseUrlError
from limen_kit.migrations import MigrationsError, make_migrations


class _Refused(Exception):
    """The command cannot be done; the message says why."""


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    arguments = _parser().parse_args(argv)
    try:
        config = _config(arguments.module)
        if config is None:
            print(f"{arguments.module}: this store needs no migrations.")
            return 0
        if arguments.command == "migrate":
            return _migrate(arguments.module, config)
        return _make_migrations(arguments.module, config, arguments.name, check=arguments.check)
    except _Refused as refused:
        print(refused, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m limen_kit", description="Commands for services.")
    commands = parser.add_subparsers(dest="command", required=True)
    apply = commands.add_parser("migrate", help="apply the migrations that are missing")
    make = commands.add_parser("makemigrations", help="write the migrations that the models need")
    for command in (apply, make):
        command.add_argument("module", help="module that holds TORTOISE_ORM, such as shop_orders.database")
    make.add_argument("--name", help="what changes, such as add_rating; it stands behind the number")
    make.add_argument("--check", action="store_true", help="write nothing; the status is 1 if a migration is missing")
    return parser


def _config(module: str) -> TortoiseConfig | None:
    """Return ``TORTOISE_ORM`` of ``module``. Raises _Refused."""
    try:
        return import_module(module).TORTOISE_ORM
    except ModuleNotFoundError as error:
        raise _Refused(f"there is no module {error.name!r}; is it installed?") from error
    except AttributeError as error:
        if error.name != "TORTOISE_ORM":
            raise
        raise _Refused(f"{module} has no TORTOISE_ORM; name the module that has it") from error
    except DatabaseUrlError as error:
        raise _Refused(f"{module}: the database address: {error}") from error
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, e['loc'])).upper() or 'settings'}: {e['msg']}" for e in error.errors()
        )
        raise _Refused(f"{module} does not take these settings: {problems}") from error


def _migrate(module: str, config: TortoiseConfig) -> int:
    try:
        asyncio.run(migrate(config))
    except OSError as error:
        raise _Refused(f"{module}: the database cannot be reached: {error}") from error
    print(f"{module}: the database is up to date.")
    return 0


def _make_migrations(module: str, config: TortoiseConfig, name: str | None, *, check: bool) -> int:
    package = module.partition(".")[0]
    try:
        written = asyncio.run(make_migrations(config, package, name=name, dry_run=check))
    except MigrationsError as error:
        raise _Refused(f"{module}: {error}") from error
    if not written:
        print(f"{module}: nothing changed; the migrations say what the models say.")
    for migration in written:
        print(f"{module}: {migration.path} {'is missing' if check else 'is written; read it before you commit it'}.")
        for note in migration.notes:
            print(f"  {note}.")
    return 1 if check and written else 0


if __name__ == "__main__":
    sys.exit(main())
