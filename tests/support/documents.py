"""Documents of OpenAPI in tests: what they refer to."""

import json
from collections.abc import Iterator
from typing import Any


def references(value: Any) -> Iterator[str]:
    """Yield every reference within ``value``; examples of these tests hold none."""
    if isinstance(value, dict):
        reference: Any = value.get("$ref")  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType] - JSON
        if isinstance(reference, str):
            yield reference
        yield from references(list(value.values()))  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
    elif isinstance(value, list):
        for one in value:  # pyright: ignore[reportUnknownVariableType] - JSON
            yield from references(one)


def dangling(document: Any) -> set[str]:
    """Return the references of ``document`` that lead nowhere."""
    lost: set[str] = set()
    for reference in references(document):
        found: Any = document
        for step in reference.removeprefix("#/").split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            found = found[name] if name in (found or ()) else None
        if found is None:
            lost.add(reference)
    return lost


def followed(document: Any, value: Any) -> Any:
    """Return what ``value`` refers to, if it is a reference."""
    while "$ref" in value:
        *_, section, name = value["$ref"].split("/")
        value = document["components"][section][name]
    return value


def as_json(value: object) -> bytes:
    """Return ``value`` as a file or a service gives it."""
    return json.dumps(value).encode()
