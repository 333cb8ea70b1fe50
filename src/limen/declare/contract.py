"""What a stub's signature promises, free of any web framework: parameters, body and answer, each with a validator.

Parameters are only checked; what reaches the service is the client's own bytes. A declared body is checked and written
anew, so that the service cannot read it otherwise than the gateway did (repeated names, unknown fields).
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Literal, cast

from pydantic import TypeAdapter, ValidationError

from limen.errors import Invalid

Where = Literal["path", "query", "header", "cookie"]

# What becomes of a number that is not finite: JSON has none such (RFC 8259 section 6). pydantic reads NaN, Infinity and
# 1e999 all the same, and writes null, or NaN again where a model asks for that.
_LOST = re.compile(rb"null|(?:^|[:\[,])-?(?:NaN|Infinity)")


@dataclass(frozen=True, slots=True)
class Param:
    """One declared parameter. ``many`` collects repeats; ``fields`` is set when a model takes the whole group."""

    name: str
    where: Where
    adapter: TypeAdapter[object]
    required: bool
    many: bool = False
    fields: tuple[tuple[str, bool], ...] = ()
    closed: bool = False

    def check(self, given: Mapping[str, Sequence[str]]) -> tuple[Invalid, ...]:
        """Return what is wrong with this parameter among the ``given`` values of its place."""
        value: object
        if self.fields:
            group: dict[str, object] = {n: list(given[n]) if m else given[n][-1] for n, m in self.fields if n in given}
            if self.closed:
                known = {name for name, _ in self.fields}
                group |= {name: found[-1] for name, found in given.items() if name not in known}
            return _check(self.adapter, group, (self.where,))
        found = given.get(self.name)
        if not found:
            missing = Invalid((self.where, self.name), "Field required", "missing")
            return (missing,) if self.required else ()
        value = list(found) if self.many else found[-1]
        return _check(self.adapter, value, (self.where, self.name))


@dataclass(frozen=True, slots=True)
class Body:
    """A declared JSON body."""

    adapter: TypeAdapter[object]
    required: bool = True

    def read(self, content: bytes) -> bytes | tuple[Invalid, ...]:
        """Return the body as the service gets it, unset fields left unset, or what is wrong with it."""
        try:
            value = self.adapter.validate_json(content)
        except ValidationError as error:
            return invalid(error, ("body",))
        return written(self.adapter, value, ("body",))


@dataclass(frozen=True, slots=True)
class Contract:
    """Everything a signature says. ``answer`` None means that answers pass through unread."""

    params: tuple[Param, ...] = ()
    body: Body | None = None
    answer: TypeAdapter[object] | None = None

    def needs(self, where: Where) -> bool:
        """Tell whether any parameter is read from ``where``."""
        return any(param.where == where for param in self.params)

    def check(self, given: Mapping[Where, Mapping[str, Sequence[str]]]) -> tuple[Invalid, ...]:
        """Return everything that is wrong with the parameters, all at once."""
        return tuple(fault for param in self.params for fault in param.check(given[param.where]))


def written(
    adapter: TypeAdapter[object], value: object, at: tuple[str | int, ...], *, unset: bool = False
) -> bytes | tuple[Invalid, ...]:
    """Return ``value`` as JSON, or where it holds numbers that JSON cannot carry; fields that are unset stay so, or not."""
    content = adapter.dump_json(value, by_alias=True, exclude_unset=not unset)
    if _LOST.search(content):
        plain: object = adapter.dump_python(value, by_alias=True, exclude_unset=not unset)
        if faults := tuple(_not_finite(plain, at)):
            return faults
        # A serializer that is for JSON alone (when_used="json") shows in nothing but the JSON that it made.
        if (b"NaN" in content or b"Infinity" in content) and not _is_json(content):
            return (Invalid(at, "Input should be a finite number", "finite_number"),)
    return content


def invalid(error: ValidationError, at: tuple[str | int, ...]) -> tuple[Invalid, ...]:
    """Turn pydantic's findings into ours, without the input that caused them."""
    return tuple(
        Invalid((*at, *found["loc"]), found["msg"], found["type"])
        for found in error.errors(include_url=False, include_context=False, include_input=False)
    )


def _not_finite(value: object, at: tuple[str | int, ...]) -> Iterator[Invalid]:
    """Yield the places of numbers that JSON cannot carry."""
    if isinstance(value, float):
        if not isfinite(value):
            yield Invalid(at, "Input should be a finite number", "finite_number")
    elif isinstance(value, Mapping):
        for name, item in cast("Mapping[object, object]", value).items():
            yield from _not_finite(item, (*at, str(name)))
    elif isinstance(value, list | tuple | set | frozenset):
        for number, item in enumerate(cast("Sequence[object]", value)):
            yield from _not_finite(item, (*at, number))


def _is_json(content: bytes) -> bool:
    """Tell whether no constant of Python's is in what pydantic wrote, outside its strings."""
    try:
        json.loads(content, parse_constant=no_constant, parse_int=float)  # int is bounded in its digits, JSON is not
    except ValueError:
        return False
    return True


def no_constant(name: str) -> object:
    """Refuse NaN and Infinity, which Python's json reads and writes: for its ``parse_constant``. Raises ValueError."""
    raise ValueError(f"{name} is no number of JSON's")


def _check(adapter: TypeAdapter[object], value: object, at: tuple[str | int, ...]) -> tuple[Invalid, ...]:
    try:
        adapter.validate_python(value)
    except ValidationError as error:
        return invalid(error, at)
    return ()
