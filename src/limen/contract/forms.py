"""A declared form, ``application/x-www-form-urlencoded``: held, checked in every value, and passed on as the client wrote it.

What its type ignores is taken out, as of a JSON body (docs/decisions/0002): the pairs whose name no field reads. All other
bytes stay. Forms that may hold files, ``multipart/form-data``, stream: they are not read here.
"""

from collections.abc import Container, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, cast

from limen.contract.parameters import Param, names_of
from limen.contract.structure import Structure
from limen.contract.urlencoded import Pair, grouped, in_steps, unclear
from limen.contract.violations import Violations, merged
from limen.errors import Invalid

FORM: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"

# Fields of one form; as many as Starlette reads unless it is told otherwise.
MOST_FIELDS: Final = 1000


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a form. With ``as_sent`` it reaches the service with the fields that nothing reads.

    Raises TypeError, with the place, where what is ignored cannot be known, and for JSON within.
    """

    params: tuple[Param, ...]
    as_sent: bool = False
    names: Container[str] = field(init=False, repr=False, compare=False)

    media_type: ClassVar[str] = FORM
    required: ClassVar[bool] = True  # no content is a form without fields, which may lack one
    json: ClassVar[bool] = False
    keeps_parameters: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Derive the names that are read."""
        for param in self.params:
            schema = param.adapter.core_schema
            if _holds_json(schema):
                # How much it holds is bounded for JSON bodies alone, and names that come twice are refused there alone.
                raise TypeError(
                    f"the form's {param.name!r} holds JSON; declare a str, or a JSON body in place of the form"
                )
            if param.group is not None and not self.as_sent:
                Structure(schema)
        object.__setattr__(self, "names", names_of(self.params, "form"))

    def takes(self, content_type: bytes) -> bool:
        """Tell whether content of this type is such a form."""
        return content_type.partition(b";")[0].strip().lower() == FORM.encode()

    def reading(self, content: bytes) -> Generator[None, None, bytes | Violations]:
        """Read the form in steps, between which others have their turn; what is returned is for the service."""
        if not content.isascii():
            return Violations((Invalid(("body",), "Input should be UTF-8, percent-encoded", "bad_encoding"),))
        if content.count(b"&") + content.count(b";") >= MOST_FIELDS:
            return Violations((Invalid(("body",), f"A form may have at most {MOST_FIELDS} fields", "too_long"),))
        found: list[Pair] = []
        for pair in in_steps(content.decode("ascii")):
            if pair is None:
                yield
            else:
                found.append(pair)
        strange: list[Invalid] = []
        for one in unclear(found, self.names, "body"):
            if one is None:
                yield
            else:
                strange.append(one)
        if strange:
            return Violations.of(strange)
        given = grouped(found)
        violations: list[Violations] = []
        for param in self.params:
            if (wrong := param.check(given)) is not None:
                violations.append(wrong)
        if (wrong := merged(violations)) is not None:
            return wrong
        if self.as_sent or all(name in self.names for name in given):
            return content
        return "&".join(pair.sent for pair in found if pair.name in self.names).encode("ascii")

    def read(self, content: bytes) -> bytes | Violations:
        """Read the form at once; see ``reading``."""
        return at_once(self.reading(content))


def at_once(reading: Generator[None, None, bytes | Violations]) -> bytes | Violations:
    """Return what ``reading`` returns, without a pause."""
    while True:
        try:
            next(reading)
        except StopIteration as done:
            read: bytes | Violations = done.value
            return read


def _holds_json(schema: object) -> bool:
    """Tell whether a text is read as JSON."""
    if isinstance(schema, Mapping):
        parts = cast("Mapping[str, Any]", schema)
        return parts.get("type") == "json" or any(_holds_json(one) for key, one in parts.items() if key != "metadata")
    return isinstance(schema, list | tuple) and any(_holds_json(one) for one in cast("Sequence[object]", schema))
