"""``python -m limen_kit migrate module``: apply the missing migrations to the database that ``TORTOISE_ORM`` of ``module``
describes.
"""

import argparse
import asyncio
import sys
from importlib import import_module

from pydantic import ValidationError

from limen_kit.database import TortoiseConfig, migrate
from limen_kit.database_url import DatabaseUrlError


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m limen_kit", description="Commands for services.")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("migrate", help="apply the migrations that are missing")
    command.add_argument("module", help="module that holds TORTOISE_ORM, such as shop_orders.database")
    arguments = parser.parse_args(argv)
    try:
        config: TortoiseConfig | None = import_module(arguments.module).TORTOISE_ORM
    except ModuleNotFoundError as error:
        print(f"there is no module {error.name!r}; is it installed?", file=sys.stderr)
        return 1
    except DatabaseUrlError as error:
        print(f"{arguments.module}: the database address: {error}", file=sys.stderr)
        return 1
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, e['loc'])).upper() or 'settings'}: {e['msg']}" for e in error.errors()
        )
        print(f"{arguments.module} does not take these settings: {problems}", file=sys.stderr)
        return 1
    if config is None:
        print(f"{arguments.module}: this store needs no migrations.")
        return 0
    try:
        asyncio.run(migrate(config))
    except OSError as error:
        print(f"{arguments.module}: the database cannot be reached: {error}", file=sys.stderr)
        return 1
    print(f"{arguments.module}: the database is up to date.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
