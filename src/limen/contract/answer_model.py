"""A declared answer: checked as what a service with the same model writes, and written as FastAPI writes it.

Such a service writes the output side of its model: computed fields, serialization aliases, ``Json`` unpacked. All of that is
accepted here, besides what the model reads from a client.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, cast

from pydantic import TypeAdapter, ValidationError

from limen.contract.checker import Checker
from limen.contract.core_schema import Schema
from limen.contract.strict_json import is_standard_json, not_finite
from limen.contract.violations import MOST_LISTED, Violations, from_pydantic
from limen.errors import Invalid

# What pydantic may write for a number that is not finite.
_LOST_NUMBER = re.compile(rb"null|(?:^|[:\[,])-?(?:NaN|Infinity)")

IncEx = set[int] | set[str] | Mapping[int, Any] | Mapping[str, Any]
"""The members that are written, as in ``response_model_include`` and ``response_model_exclude``."""


@dataclass(frozen=True, slots=True)
class AnswerModel:
    """A type, and how it is written: FastAPI's ``response_model_*`` options with their defaults."""

    adapter: TypeAdapter[object]
    include: IncEx | None = None
    exclude: IncEx | None = None
    by_alias: bool = True
    exclude_unset: bool = False
    exclude_defaults: bool = False
    exclude_none: bool = False
    checker: Checker = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Derive the checker."""
        partly = self.include or self.exclude or self.exclude_unset or self.exclude_defaults or self.exclude_none
        changes = (accept_output, _optional_fields) if partly else (accept_output,)
        object.__setattr__(self, "checker", Checker(self.adapter, *changes))

    def check(self, content: bytes) -> bytes | Violations:
        """Return a service's answer as the client gets it, without the fields it leaves unset, or what is wrong with it."""
        value = self.checker.check_json(content, ())
        return value if isinstance(value, Violations) else self._dump(value, unset=False)

    def serialize(self, value: object) -> bytes | Violations:
        """Return a hook's value as the client gets it, or what is wrong with it. Attributes of objects count as members."""
        try:
            read = self.adapter.validate_python(value, from_attributes=True)
        except ValidationError as error:
            return from_pydantic(error, ())
        return self._dump(read, unset=not self.exclude_unset)

    def _dump(self, value: object, *, unset: bool) -> bytes | Violations:
        options: dict[str, Any] = {
            "include": self.include,
            "exclude": self.exclude,
            "by_alias": self.by_alias,
            "exclude_unset": not unset,
            "exclude_defaults": self.exclude_defaults,
            "exclude_none": self.exclude_none,
            "warnings": False,  # which would repeat the value
        }
        content = self.adapter.dump_json(value, **options)
        # Searching for bytes is 50 times as fast as the expression, and most JSON has none of these.
        if (b"null" in content or b"NaN" in content or b"Infinity" in content) and _LOST_NUMBER.search(content):
            plain: object = self.adapter.dump_python(value, **options)
            if infinite := tuple(islice(not_finite(plain, ()), MOST_LISTED)):
                return Violations(infinite)
            # Only the JSON shows what a serializer with ``when_used="json"`` has written.
            if (b"NaN" in content or b"Infinity" in content) and not is_standard_json(content):
                return Violations((Invalid((), "Input should be a finite number", "finite_number"),))
        return content


# Marks a schema that is changed already: a changed copy is copied, and changed, again.
_UNPACKED: Final[Schema] = {"limen": "packed or not"}


def accept_output(schema: Schema, config: Schema, copy: dict[str, Any]) -> None:
    """Change the copy of a schema so that it accepts what its type writes, besides what its type reads."""
    kind = schema.get("type")
    if kind == "json" and schema.get("metadata") != _UNPACKED:
        # Left to right: a text that is JSON is read as it is from a client.
        inner = schema.get("schema", {"type": "any"})
        packed = {"type": "json", "schema": inner, "metadata": _UNPACKED}
        copy.clear()
        copy.update({"type": "union", "mode": "left_to_right", "choices": [packed, inner]})
    elif kind in ("model-fields", "dataclass-args", "typed-dict") and schema.get("computed_fields"):
        behavior = schema.get("extra_behavior") or config.get("extra_fields_behavior")
        if behavior == "forbid":
            copy["extra_behavior"] = "ignore"  # computed fields come as unnamed members; what is ignored is not written
        elif behavior == "allow":
            raise TypeError(
                'an answer with computed fields and extra="allow" would have each of them twice, as it came and '
                "computed anew; leave out one of the two"
            )
    if kind == "model-field" and schema.get("serialization_exclude"):
        _make_optional(copy)
    if kind in ("model-fields", "typed-dict"):
        fields = cast("Mapping[str, Schema]", schema["fields"])
        copy["fields"] = {name: _with_output_name(name, one) for name, one in fields.items()}
    elif kind == "dataclass-args":
        copy["fields"] = [_with_output_name(one["name"], one) for one in cast("list[Schema]", schema["fields"])]


def _optional_fields(schema: Schema, config: Schema, copy: dict[str, Any]) -> None:
    """Make every field optional: a service with the same options leaves some out. Unset fields are not written."""
    if schema.get("type") == "model-field":
        _make_optional(copy)


def _make_optional(copy: dict[str, Any]) -> None:
    if copy["schema"]["type"] != "default":
        copy["schema"] = {"type": "default", "schema": copy["schema"], "default": None}


def _with_output_name(name: str, one: Schema) -> Schema:
    """Let a field be read by its serialization alias, by its validation aliases, and by its own name."""
    alias: Any = one.get("validation_alias")
    output: str | None = one.get("serialization_alias")
    if alias is None and output is None:
        return one
    paths: list[Any] = [] if alias is None else [[alias]] if isinstance(alias, str) else alias
    paths = [paths] if paths and isinstance(paths[0], str) else paths
    names = [[output or name], *paths, [name]]
    return {**one, "validation_alias": [path for index, path in enumerate(names) if path not in names[:index]]}
