"""The names of the members that a field of a core schema is read from: its aliases, its own name, or both."""

from collections.abc import Iterator
from typing import Any, cast

from limen.contract.core_schema import Schema


def names_of_field(name: str, field: Schema, *, by_alias: bool, by_name: bool, place: str) -> Iterator[str]:
    """Yield the names of the members that ``field`` is read from. The first one that is present counts.

    ``place`` is where the field is, for the message of a TypeError.
    """
    alias = field.get("validation_alias")
    if alias is None or not by_alias:
        yield name
        return
    if isinstance(alias, str):
        yield alias
    else:
        paths = cast("list[Any]", alias)
        for path in paths if isinstance(paths[0], list) else [paths]:
            if len(path) > 1:
                raise TypeError(
                    f"{place}: an AliasPath takes a part of a member, and the rest would reach the service; "
                    'read the member with a model, or let the route say body="as sent"'
                )
            yield path[0]
    if by_name and name != alias:
        yield name
