"""Unions of a core schema: which of its types pydantic chooses, and whether choosing takes too long."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, cast

from pydantic_core import SchemaValidator, from_json

from limen.contract.core_schema import Schema
from limen.contract.nodes import ObjectNode, UnionNode, reachable, resolved


def union_selector(
    schema: Schema, config: Schema, definitions: list[Schema], *, decoded: bool = False
) -> Callable[[str], int]:
    """Return what tells of a JSON document as which type of the union ``schema`` it is read, by its number.

    ``decoded`` says that it is decoded first. What is returned raises pydantic's ValidationError if the document fits none.
    """
    numbered = cast("Any", _numbered(schema, definitions))
    validator = SchemaValidator(numbered, cast("Any", config) or None, _use_prebuilt=False)

    def select(text: str) -> int:
        return validator.validate_python(from_json(text)) if decoded else validator.validate_json(text)

    return select


def _numbered(schema: Schema, definitions: list[Schema]) -> Schema:
    choices: Any = schema["choices"]

    def number_of(number: int, one: Any) -> Any:
        if isinstance(one, tuple):
            choice, label = cast("tuple[Any, Any]", one)
            return (number_of(number, choice), label)

        def replace(_: object) -> int:
            return number

        return {"type": "function-after", "function": {"type": "no-info", "function": replace}, "schema": one}

    if isinstance(choices, Mapping):
        items = cast("Mapping[Any, Any]", choices).items()
        numbered: Any = {tag: number_of(number, one) for number, (tag, one) in enumerate(items)}
    else:
        numbered = [number_of(number, one) for number, one in enumerate(cast("list[Any]", choices))]
    union = {key: value for key, value in schema.items() if key not in ("ref", "serialization")}
    union["choices"] = numbered
    return {"type": "definitions", "schema": union, "definitions": definitions} if definitions else union


def refuse_doubling(union: UnionNode, place: str) -> None:
    """Refuse a recursive union that pydantic reads in several ways at each level: each level doubles the time."""
    ways = Counter(
        name
        for node in map(resolved, union.nodes)
        if isinstance(node, ObjectNode)
        for name, (_, _, child) in node.names.items()
        if any(one is union for one in reachable(child))
    )
    if twice := next((name for name, count in ways.items() if count > 1), None):
        raise TypeError(
            f"{place}: several of these types have a member {twice!r} that may be any of them again, and each level "
            "takes twice as long to read; tell them apart with Field(discriminator=...)"
        )
