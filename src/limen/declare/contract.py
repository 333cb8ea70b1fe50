"""What a stub's signature promises, free of any web framework: parameters, body and answer, each with a validator.

Parameters and bodies are checked, and what reaches the service is the client's own bytes, without the members that the
body's type ignores.
"""

import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

from pydantic import TypeAdapter

from limen.declare.checker import UNTOLD, Checker
from limen.declare.misfits import MOST, Misfits, together
from limen.declare.pruning import Pruning, TooAmbiguous
from limen.declare.strict_json import is_json, not_finite, scanned, unclear
from limen.declare.structure import Structure
from limen.errors import Invalid

Where = Literal["path", "query", "header", "cookie"]

# What becomes of a number that is not finite in what pydantic writes.
_LOST = re.compile(rb"null|(?:^|[:\[,])-?(?:NaN|Infinity)")

# Members of the largest object of a body that is first read by a type that ignores nothing: pydantic collects each of those
# that it would refuse.
MOST_CLOSED = 1000

_UNCLEAR = Misfits((Invalid(("body",), "It cannot be told as which of several types this is read", "ambiguous_type"),))


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
    """A declared JSON body. With ``as_sent`` it reaches the service with whatever the type ignores.

    Raises TypeError, with the place, where what the type ignores cannot be known.
    """

    adapter: TypeAdapter[object]
    required: bool = True
    as_sent: bool = False
    checker: Checker = field(init=False, repr=False, compare=False)
    _structure: Structure | None = field(init=False, repr=False, compare=False)
    _closed: Checker | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Derive what checks bodies, and what they are without what is ignored."""
        structure = None if self.as_sent else Structure(self.adapter.core_schema)
        guarded = structure.guarded if structure is not None else ()
        checker = Checker(self.adapter, guarded=guarded)
        drops = structure is not None and structure.root.drops
        closed = None
        if structure is not None and drops and not structure.ambiguous:
            closed = Checker(self.adapter, guarded=guarded, closed=structure.ignoring)
        object.__setattr__(self, "checker", checker)
        object.__setattr__(self, "_structure", structure if drops else None)
        object.__setattr__(self, "_closed", closed)

    def reading(self, content: bytes) -> Generator[None, None, bytes | Misfits]:
        """Read the body in steps, between which others have their turn; what is returned is for the service.

        Those are the client's own bytes, without the members that the type ignores.
        """
        structure, closed = self._structure, self._closed
        scan = scanned(content)
        yield
        value: object = UNTOLD
        if closed is not None and scan.largest <= MOST_CLOSED:
            value = closed.quick(content)
        if value is UNTOLD:
            value = self.checker.json(content, ("body",))
            if isinstance(value, Misfits):
                return value
        else:
            structure = None  # there is nothing to be taken out, as in nearly every body
        yield
        if (found := unclear(scan, content, self.adapter, value)) is not None:
            return found
        if structure is None:
            return content
        yield
        pruning = Pruning(structure, content)
        try:
            while (pruned := pruning.step()) is None:
                yield
        except TooAmbiguous:
            return _UNCLEAR
        if structure.ambiguous and len(pruned) != len(content):
            yield
            # With less in it, it could be read as another of several types.
            again = self.checker.json(pruned, ("body",))
            return pruned if type(again) is type(value) and again == value else _UNCLEAR
        return pruned

    def read(self, content: bytes) -> bytes | Misfits:
        """Read the body at once; see ``reading``."""
        reading = self.reading(content)
        while True:
            try:
                next(reading)
            except StopIteration as done:
                read: bytes | Misfits = done.value
                return read


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
        if faults := tuple(islice(not_finite(plain, at), MOST)):
            return Misfits(faults)
        # A serializer that is for JSON alone (when_used="json") shows in nothing but the JSON that it made.
        if (b"NaN" in content or b"Infinity" in content) and not is_json(content):
            return Misfits((Invalid(at, "Input should be a finite number", "finite_number"),))
    return content
