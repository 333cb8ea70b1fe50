"""What a stub's signature promises, free of any web framework: parameters, body and answer, each with a validator.

Parameters are only checked; what reaches the service is the client's own bytes. A declared body is checked and written
anew, so that the service cannot read it otherwise than the gateway did (repeated names, unknown fields).
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from math import isfinite
from typing import Literal, cast

from pydantic import TypeAdapter

from limen.declare.checker import Checker
from limen.declare.misfits import MOST, Misfits, misfit, together
from limen.errors import Invalid

Where = Literal["path", "query", "header", "cookie"]

# What becomes of a number that is not finite: JSON has none such (RFC 8259 section 6). pydantic reads NaN, Infinity and
# 1e999 all the same, and writes null, or NaN again where a model asks for that.
_LOST = re.compile(rb"null|(?:^|[:\[,])-?(?:NaN|Infinity)")

# Types of values that hold no number that is not finite.
_PLAIN = frozenset((str, int, bool))


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
    checker: Checker = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Derive what checks values."""
        object.__setattr__(self, "checker", Checker(self.adapter))

    def check(self, given: Mapping[str, Sequence[str]]) -> Misfits | None:
        """Return what is wrong with this parameter among the ``given`` values of its place; None when it fits."""
        checked: object
        if self.fields:
            group: dict[str, object] = {n: list(given[n]) if m else given[n][-1] for n, m in self.fields if n in given}
            if self.closed:
                known = {name for name, _ in self.fields}
                group |= {name: found[-1] for name, found in given.items() if name not in known}
            checked = self.checker.python(group, (self.where,), sum(map(len, given.values())))
            return checked if isinstance(checked, Misfits) else None
        found = given.get(self.name)
        if not found:
            missing = Invalid((self.where, self.name), "Field required", "missing")
            return Misfits((missing,)) if self.required else None
        value = list(found) if self.many else found[-1]
        checked = self.checker.python(value, (self.where, self.name), len(found))
        return checked if isinstance(checked, Misfits) else None


@dataclass(frozen=True, slots=True)
class Body:
    """A declared JSON body."""

    adapter: TypeAdapter[object]
    required: bool = True
    checker: Checker = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Derive what checks bodies."""
        object.__setattr__(self, "checker", Checker(self.adapter))

    def read(self, content: bytes) -> bytes | Misfits:
        """Return the body as the service gets it, unset fields left unset, or what is wrong with it."""
        value = self.checker.json(content, ("body",))
        return value if isinstance(value, Misfits) else written(self.adapter, value, ("body",))


@dataclass(frozen=True, slots=True)
class Contract:
    """Everything a signature says. ``answer`` None means that answers pass through unread."""

    params: tuple[Param, ...] = ()
    body: Body | None = None
    answer: TypeAdapter[object] | None = None

    def needs(self, where: Where) -> bool:
        """Tell whether any parameter is read from ``where``."""
        return any(param.where == where for param in self.params)

    def check(self, given: Mapping[Where, Mapping[str, Sequence[str]]]) -> Misfits | None:
        """Return what is wrong with the parameters, all at once; None when all fit."""
        return together([found for param in self.params if (found := param.check(given[param.where])) is not None])


def written(
    adapter: TypeAdapter[object], value: object, at: tuple[str | int, ...], *, unset: bool = False
) -> bytes | Misfits:
    """Return ``value`` as JSON, or where it holds numbers that JSON cannot carry; fields that are unset stay so, or not."""
    content = adapter.dump_json(value, by_alias=True, exclude_unset=not unset)
    # A search for bytes is 50 times as fast as the expression, and most JSON has none of these.
    if (b"null" in content or b"NaN" in content or b"Infinity" in content) and _LOST.search(content):
        plain: object = adapter.dump_python(value, by_alias=True, exclude_unset=not unset)
        if faults := tuple(islice(_not_finite(plain, at), MOST)):
            return Misfits(faults)
        # A serializer that is for JSON alone (when_used="json") shows in nothing but the JSON that it made.
        if (b"NaN" in content or b"Infinity" in content) and not _is_json(content):
            return Misfits((Invalid(at, "Input should be a finite number", "finite_number"),))
    return content


def _not_finite(value: object, at: tuple[str | int, ...]) -> Iterator[Invalid]:
    """Yield the places of numbers that JSON cannot carry."""
    pairs: Iterable[tuple[object, object]]
    if isinstance(value, float):
        pairs = ()
        if not isfinite(value):
            yield misfit(at, "Input should be a finite number", "finite_number")
    elif isinstance(value, Mapping):
        pairs = cast("Mapping[object, object]", value).items()
    elif isinstance(value, list | tuple | set | frozenset):
        pairs = enumerate(cast("Sequence[object]", value))
    else:
        pairs = ()
    for name, item in pairs:
        # Most of a document are these: a generator for each would take five times as long.
        if item is not None and type(item) not in _PLAIN:
            yield from _not_finite(item, (*at, name if isinstance(name, int) else str(name)))


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
