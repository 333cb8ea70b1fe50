"""A declared answer: checked as a service with the same model would write it, and written as FastAPI would.

A service that has the model writes what the model's output side gives: computed fields, the names that are for output,
``Json`` unpacked. So that is read here as well as what the model reads from a client.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, cast

from pydantic import TypeAdapter, ValidationError

from limen.contract.checker import Checker
from limen.contract.core_schema import Schema
from limen.contract.strict_json import is_json, not_finite
from limen.contract.violations import MOST_LISTED, Violations, from_pydantic
from limen.errors import Invalid

# What becomes of a number that is not finite in what pydantic writes.
_LOST = re.compile(rb"null|(?:^|[:\[,])-?(?:NaN|Infinity)")

IncEx = set[int] | set[str] | Mapping[int, Any] | Mapping[str, Any]
"""Which members are written, as ``response_model_include`` and ``_exclude`` have it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A type, and how it is written: ``response_model_*`` of FastAPI, with their defaults."""

    adapter: TypeAdapter[object]
    include: IncEx | None = None
    exclude: IncEx | None = None
    by_alias: bool = True
    exclude_unset: bool = False
    exclude_defaults: bool = False
    exclude_none: bool = False
    checker: Checker = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Derive what checks answers."""
        partly = self.include or self.exclude or self.exclude_unset or self.exclude_defaults or self.exclude_none
        changes = (as_written, _may_lack) if partly else (as_written,)
        object.__setattr__(self, "checker", Checker(self.adapter, *changes))

    def checked(self, content: bytes) -> bytes | Violations:
        """Return a service's answer as the client gets it, unset fields left unset, or what is wrong with it."""
        value = self.checker.check_json(content, ())
        return value if isinstance(value, Violations) else self._written(value, unset=False)

    def made(self, value: object) -> bytes | Violations:
        """Return what a hook has made as the client gets it, or what is wrong with it. Attributes are taken for members."""
        try:
            read = self.adapter.validate_python(value, from_attributes=True)
        except ValidationError as error:
            return from_pydantic(error, ())
        return self._written(read, unset=not self.exclude_unset)

    def _written(self, value: object, *, unset: bool) -> bytes | Violations:
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
        # A search for bytes is 50 times as fast as the expression, and most JSON has none of these.
        if (b"null" in content or b"NaN" in content or b"Infinity" in content) and _LOST.search(content):
            plain: object = self.adapter.dump_python(value, **options)
            if faults := tuple(islice(not_finite(plain, ()), MOST_LISTED)):
                return Violations(faults)
            # A serializer that is for JSON alone (when_used="json") shows in nothing but the JSON that it made.
            if (b"NaN" in content or b"Infinity" in content) and not is_json(content):
                return Violations((Invalid((), "Input should be a finite number", "finite_number"),))
        return content


# Of a part that is already as it is to be: the copy of what was changed is changed as well.
_DONE: Final[Schema] = {"limen": "packed or not"}


def as_written(schema: Schema, config: Schema, made: dict[str, Any]) -> None:
    """Take what the output side of a type writes, besides what its input side reads."""
    kind = schema.get("type")
    if kind == "json" and schema.get("metadata") != _DONE:
        # Left to right: text that is JSON is what it was for a client.
        inner = schema.get("schema", {"type": "any"})
        packed = {"type": "json", "schema": inner, "metadata": _DONE}
        made.clear()
        made.update({"type": "union", "mode": "left_to_right", "choices": [packed, inner]})
    elif kind in ("model-fields", "dataclass-args", "typed-dict") and schema.get("computed_fields"):
        behavior = schema.get("extra_behavior") or config.get("extra_fields_behavior")
        if behavior == "forbid":
            made["extra_behavior"] = "ignore"  # of all that it does not name: nothing that is ignored is written
        elif behavior == "allow":
            raise TypeError(
                'an answer with computed fields and extra="allow" would have each of them twice, as it came and '
                "computed anew; leave out one of the two"
            )
    if kind == "model-field" and schema.get("serialization_exclude"):
        _optional(made)
    if kind in ("model-fields", "typed-dict"):
        fields = cast("Mapping[str, Schema]", schema["fields"])
        made["fields"] = {name: _output_named(name, one) for name, one in fields.items()}
    elif kind == "dataclass-args":
        made["fields"] = [_output_named(one["name"], one) for one in cast("list[Schema]", schema["fields"])]


def _may_lack(schema: Schema, config: Schema, made: dict[str, Any]) -> None:
    """Let every field be missing: a service with the same options leaves some out. What is unset is not written."""
    if schema.get("type") == "model-field":
        _optional(made)


def _optional(made: dict[str, Any]) -> None:
    if made["schema"]["type"] != "default":
        made["schema"] = {"type": "default", "schema": made["schema"], "default": None}


def _output_named(name: str, one: Schema) -> Schema:
    """Let the field be read by its name for output, by those for input, and by its own."""
    alias: Any = one.get("validation_alias")
    output: str | None = one.get("serialization_alias")
    if alias is None and output is None:
        return one
    paths: list[Any] = [] if alias is None else [[alias]] if isinstance(alias, str) else alias
    paths = [paths] if paths and isinstance(paths[0], str) else paths
    names = [[output or name], *paths, [name]]
    return {**one, "validation_alias": [path for index, path in enumerate(names) if path not in names[:index]]}
