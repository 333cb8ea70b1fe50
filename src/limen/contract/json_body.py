"""A declared JSON body: checked, and passed on as the client sent it, without the members that its type ignores."""

from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from dataclasses import dataclass, field
from typing import ClassVar, Final

from pydantic import TypeAdapter

from limen.contract.body_steps import BodySteps, finish
from limen.contract.checker import UNLISTED, Checker, forbid_extra, guard_functions
from limen.contract.pruning import AmbiguousTypeError, prune
from limen.contract.python_reading import reads_decoded
from limen.contract.strict_json import find_ambiguity, scan_json
from limen.contract.structure import Structure
from limen.contract.violations import Violations
from limen.errors import Invalid
from limen.http import headers

# Members of the largest object of a body that is first checked by a type that ignores nothing: pydantic collects an error for
# each member that this type would refuse.
MOST_CLOSED = 1000

# RFC 8259 section 8.1: JSON has none, and a reader may ignore one or not. UTF-32 begins as UTF-16 does, or with NUL.
_BYTE_ORDER_MARKS: Final = (BOM_UTF8, BOM_UTF16_LE, BOM_UTF16_BE)
_HAS_BYTE_ORDER_MARK = Violations(
    (Invalid(("body",), "JSON should be UTF-8 and begin without a byte order mark", "byte_order_mark"),)
)

_AMBIGUOUS_TYPE = Violations(
    (Invalid(("body",), "It cannot be told as which of several types this is read", "ambiguous_type"),)
)


@dataclass(frozen=True, slots=True)
class JsonBody:
    """A declared JSON body. With ``as_sent``, the service gets the members that the type ignores as well.

    ``media_type`` is the documented one; every JSON media type is accepted. With ``untyped``, a body that no ``Content-Type``
    describes is JSON as well.

    Raises TypeError, with the place, where it cannot be known what the type ignores.
    """

    adapter: TypeAdapter[object]
    required: bool = True
    as_sent: bool = False
    media_type: str = "application/json"
    untyped: bool = False
    checker: Checker = field(init=False, repr=False, compare=False)

    json: ClassVar[bool] = True
    keeps_parameters: ClassVar[bool] = False

    _structure: Structure | None = field(init=False, repr=False, compare=False)
    _closed: Checker | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Derive the checkers, and where the type ignores members."""
        decoded = reads_decoded(self.adapter)
        structure = None if self.as_sent else Structure(self.adapter.core_schema, decoded=decoded)
        guards = (guard_functions(structure.guarded),) if structure is not None and structure.guarded else ()
        closed = None
        if structure is not None and structure.root.ignores and not structure.ambiguous:
            closed = Checker(self.adapter, *guards, forbid_extra(structure.ignoring), decoded=decoded)
        object.__setattr__(self, "checker", Checker(self.adapter, *guards, decoded=decoded))
        object.__setattr__(self, "_structure", structure if structure is not None and structure.root.ignores else None)
        object.__setattr__(self, "_closed", closed)

    def accepts(self, content_type: bytes) -> bool:
        """Tell whether ``content_type`` is a JSON media type."""
        return headers.is_json(content_type)

    def read_in_steps(self, content: bytes) -> BodySteps:
        """Check the body; return the content for the service.

        1. refuse a byte order mark
        2. check the value. Nearly every body has no ignored members: then the type that forbids them accepts it, and step 4
           is not needed
        3. refuse what two JSON readers could read differently
        4. take out the members that the type ignores
        """
        if content.startswith(_BYTE_ORDER_MARKS):  # 1
            return _HAS_BYTE_ORDER_MARK
        structure, closed = self._structure, self._closed
        scan = scan_json(content)
        yield
        value: object = UNLISTED
        if closed is not None and scan.largest <= MOST_CLOSED:  # 2
            value = closed.check_json_unlisted(content)
        if value is UNLISTED:
            value = self.checker.check_json(content, ("body",))
            if isinstance(value, Violations):
                return value
        else:
            structure = None
        yield
        if (violations := (yield from find_ambiguity(scan, content))) is not None:  # 3
            return violations
        if structure is None:
            return content
        yield
        try:
            return (yield from prune(structure, content))  # 4
        except AmbiguousTypeError:
            return _AMBIGUOUS_TYPE

    def read(self, content: bytes) -> bytes | Violations:
        """Check the body without a pause; see ``read_in_steps``."""
        return finish(self.read_in_steps(content))
