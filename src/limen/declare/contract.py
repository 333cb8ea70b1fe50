"""What a stub's signature promises, free of any web framework: parameters, body and answer, each with a validator.

Parameters and bodies are checked, and what reaches the service is the client's own bytes, without the members that the
body's type ignores.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydantic import TypeAdapter

from limen.declare.answer import Answer
from limen.declare.checker import UNTOLD, Checker, closed, guarded
from limen.declare.misfits import Misfits, together
from limen.declare.pruning import TooAmbiguous, pruned
from limen.declare.strict_json import scanned, unclear
from limen.declare.structure import Structure
from limen.errors import Invalid

Where = Literal["path", "query", "header", "cookie"]

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
        guards = (guarded(structure.guarded),) if structure is not None and structure.guarded else ()
        tight = None
        if structure is not None and structure.root.drops and not structure.ambiguous:
            tight = Checker(self.adapter, *guards, closed(structure.ignoring))
        object.__setattr__(self, "checker", Checker(self.adapter, *guards))
        object.__setattr__(self, "_structure", structure if structure is not None and structure.root.drops else None)
        object.__setattr__(self, "_closed", tight)

    def reading(self, content: bytes) -> Generator[None, None, bytes | Misfits]:
        """Read the body in steps, between which others have their turn; what is returned is for the service.

        Those are the client's own bytes, without the members that the type ignores.
        """
        structure, tight = self._structure, self._closed
        scan = scanned(content)
        yield
        value: object = UNTOLD
        if tight is not None and scan.largest <= MOST_CLOSED:
            value = tight.quick(content)
        if value is UNTOLD:
            value = self.checker.json(content, ("body",))
            if isinstance(value, Misfits):
                return value
        else:
            structure = None  # there is nothing to be taken out, as in nearly every body
        yield
        if (found := (yield from unclear(scan, content))) is not None:
            return found
        if structure is None:
            return content
        yield
        try:
            return (yield from pruned(structure, content))
        except TooAmbiguous:
            return _UNCLEAR

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
    """Everything a signature says.

    ``answer`` is that of the documented status, ``answers`` those that ``responses=`` declares for other success statuses,
    and ``rest`` for all others of these (``2XX``). Whatever is not there passes through unread.
    """

    params: tuple[Param, ...] = ()
    body: Body | None = None
    answer: Answer | None = None
    answers: Mapping[int, Answer] = field(default_factory=dict[int, Answer])
    rest: Answer | None = None

    def needs(self, where: Where) -> bool:
        """Tell whether any parameter is read from ``where``."""
        return any(param.where == where for param in self.params)

    def check(self, given: Mapping[Where, Mapping[str, Sequence[str]]]) -> Misfits | None:
        """Return what is wrong with the parameters, all at once; None when all fit."""
        return together([found for param in self.params if (found := param.check(given[param.where])) is not None])
