"""docs/settings.md: the options of ``limen serve`` and ``limen up``, with their defaults."""

import re

import click

from doc_tables.table import Filled, filled, under
from limen.cli import main

# What is worked out when the command runs.
WORDS = {("up", "--port"): "as in the file"}
_OPTION = re.compile(r"--[a-z-]+")


def defaults(command: str) -> dict[str, object]:
    """Return the default of every option of ``limen command`` by its long name; None is none, False a flag that is off."""
    context = click.Context(main.commands[command])
    found: dict[str, object] = {}
    for each in main.commands[command].params:
        if isinstance(each, click.Option):
            name = next(name for name in each.opts if name.startswith("--"))
            default = each.get_default(context)
            # click has an object of its own for what has no default.
            given = default if isinstance(default, str | int | float) else None
            found[name] = bool(given) if each.is_flag else given
    return found


def options(text: str, command: str, heading: str) -> Filled:
    """Fill the defaults of the options of ``limen command`` in the table below ``heading``; a row may name several."""
    words = {name: WORDS.get((command, name)) or _text(value) for name, value in defaults(command).items()}
    values = {name: {"default": text} for name, text in words.items()}
    return filled(text, [under(text, heading)], lambda table, row: _OPTION.findall(row[table.column("option")]), values)


def _text(value: object) -> str:
    if value is None:
        return "none"
    return "off" if value is False else f"`{value}`"
