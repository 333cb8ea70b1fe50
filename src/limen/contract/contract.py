"""What a stub's signature promises, free of any web framework: parameters, body and answer, each with a validator.

Parameters and bodies are checked, and what reaches the service is the client's own bytes, without the members that the
body's type ignores.
"""

from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Container, Generator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final

from pydantic import TypeAdapter

from limen.contract.answer import Answer
from limen.contract.checker import UNLISTED, Checker, forbid_extra, guard_functions
from limen.contract.forms import Form, at_once
from limen.contract.parameters import Given, Param, Where, names_of
from limen.contract.pruning import TooAmbiguous, pruned
from limen.contract.strict_json import scanned, unclear
from limen.contract.structure import Structure
from limen.contract.text import Text
from limen.contract.violations import Violations, merged
from limen.errors import Invalid
from limen.http import headers

# Members of the largest object of a body that is first read by a type that ignores nothing: pydantic collects each of those
# that it would refuse.
MOST_CLOSED = 1000

# RFC 8259 section 8.1: JSON has none, and whoever reads it may ignore it or not. UTF-32 begins as UTF-16 does, or with NUL.
_MARKS: Final = (BOM_UTF8, BOM_UTF16_LE, BOM_UTF16_BE)
_MARKED = Violations(
    (Invalid(("body",), "JSON should be UTF-8 and begin without a byte order mark", "byte_order_mark"),)
)

_UNCLEAR = Violations(
    (Invalid(("body",), "It cannot be told as which of several types this is read", "ambiguous_type"),)
)


@dataclass(frozen=True, slots=True)
class Body:
    """A declared JSON body. With ``as_sent`` it reaches the service with whatever the type ignores.

    ``media_type`` is the documented one; every kind of JSON is taken.

    Raises TypeError, with the place, where what the type ignores cannot be known.
    """

    adapter: TypeAdapter[object]
    required: bool = True
    as_sent: bool = False
    media_type: str = "application/json"
    checker: Checker = field(init=False, repr=False, compare=False)

    json: ClassVar[bool] = True
    keeps_parameters: ClassVar[bool] = False

    _structure: Structure | None = field(init=False, repr=False, compare=False)
    _closed: Checker | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Derive what checks bodies, and what they are without what is ignored."""
        structure = None if self.as_sent else Structure(self.adapter.core_schema)
        guards = (guard_functions(structure.guarded),) if structure is not None and structure.guarded else ()
        tight = None
        if structure is not None and structure.root.drops and not structure.ambiguous:
            tight = Checker(self.adapter, *guards, forbid_extra(structure.ignoring))
        object.__setattr__(self, "checker", Checker(self.adapter, *guards))
        object.__setattr__(self, "_structure", structure if structure is not None and structure.root.drops else None)
        object.__setattr__(self, "_closed", tight)

    def takes(self, content_type: bytes) -> bool:
        """Tell whether content of this type is JSON."""
        return headers.is_json(content_type)

    def reading(self, content: bytes) -> Generator[None, None, bytes | Violations]:
        """Read the body in steps, between which others have their turn; what is returned is for the service.

        Those are the client's own bytes, without the members that the type ignores.
        """
        if content.startswith(_MARKS):
            return _MARKED
        structure, tight = self._structure, self._closed
        scan = scanned(content)
        yield
        value: object = UNLISTED
        if tight is not None and scan.largest <= MOST_CLOSED:
            value = tight.check_json_unlisted(content)
        if value is UNLISTED:
            value = self.checker.check_json(content, ("body",))
            if isinstance(value, Violations):
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

    def read(self, content: bytes) -> bytes | Violations:
        """Read the body at once; see ``reading``."""
        return at_once(self.reading(content))


@dataclass(frozen=True, slots=True)
class Contract:
    """Everything a signature says.

    ``answer`` is that of the documented status, ``answers`` those that ``responses=`` declares for other success statuses,
    and ``rest`` for all others of these (``2XX``). Whatever is not there passes through unread. ``streamed`` is the media
    type of a body that is declared and not read: it streams, and content of other types is refused.
    """

    params: tuple[Param, ...] = ()
    body: Body | Form | Text | None = None
    answer: Answer | None = None
    answers: Mapping[int, Answer] = field(default_factory=dict[int, Answer])
    rest: Answer | None = None
    streamed: str | None = None
    query_names: Container[str] = field(init=False, repr=False, compare=False)
    cookie_names: Container[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Derive the names that are read where services may differ in how they read."""
        object.__setattr__(self, "query_names", names_of(self.params, "query"))
        object.__setattr__(self, "cookie_names", names_of(self.params, "cookie"))

    def needs(self, where: Where) -> bool:
        """Tell whether any parameter is read from ``where``."""
        return any(param.where == where for param in self.params)

    def check(self, given: Mapping[Where, Given]) -> Violations | None:
        """Return what is wrong with the parameters, all at once; None when all fit."""
        return merged([found for param in self.params if (found := param.check(given[param.where])) is not None])
