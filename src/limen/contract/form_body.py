"""A declared form, ``application/x-www-form-urlencoded``: held, checked in every value, and passed on as the client wrote it.

The pairs whose name no field reads are taken out, as of a JSON body (docs/decisions/0002). All other bytes stay. Forms that
may hold files, ``multipart/form-data``, stream to the service: they are not read here.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, cast

from limen.contract.body_steps import BodySteps, finish
from limen.contract.parameters import Parameter, names_read_from
from limen.contract.structure import Structure
from limen.contract.urlencoded import Pair, ambiguous_names, group_values, parse_pairs_in_steps
from limen.contract.violations import Violations, merged, violation
from limen.errors import Invalid

FORM: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"

# Fields of one form; Starlette's default is the same.
MOST_FIELDS: Final = 1000


@dataclass(frozen=True, slots=True)
class FormBody:
    """The fields of a form. With ``as_sent``, the service gets the fields that nothing reads as well.

    It may have ``max_fields`` fields, ``MOST_FIELDS`` at most, each of ``max_field_size`` bytes as it is sent, with its name.
    Raises TypeError for more, for JSON within, and, with the place, where it cannot be known what a type ignores.
    """

    params: tuple[Parameter, ...]
    as_sent: bool = False
    max_fields: int = MOST_FIELDS
    max_field_size: int | None = None
    names: Container[str] = field(init=False, repr=False, compare=False)

    media_type: ClassVar[str] = FORM
    required: ClassVar[bool] = True  # no content is a form without fields, which may lack one
    json: ClassVar[bool] = False
    untyped: ClassVar[bool] = False
    keeps_parameters: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Derive the names that are read."""
        if self.max_fields > MOST_FIELDS:
            raise TypeError(f"max_fields is {self.max_fields}, and a form may have at most {MOST_FIELDS}; give fewer")
        for param in self.params:
            schema = param.adapter.core_schema
            if _reads_json(schema):
                # Only JSON bodies have a bound on the number of values, and refuse repeated names.
                raise TypeError(
                    f"the form's {param.name!r} holds JSON; declare a str, or a JSON body in place of the form"
                )
            if param.group is not None and not self.as_sent:
                Structure(schema)
        object.__setattr__(self, "names", names_read_from(self.params, "form"))

    def accepts(self, content_type: bytes) -> bool:
        """Tell whether ``content_type`` is that of such a form."""
        return content_type.partition(b";")[0].strip().lower() == FORM.encode()

    def read_in_steps(self, content: bytes) -> BodySteps:
        """Check the form; return the content for the service.

        1. refuse what is not ASCII, and too many fields
        2. decode the pairs, and refuse those that are too many or too long for this form
        3. refuse names that services could read differently
        4. check the fields, all at once
        5. take out the pairs that no field reads
        """
        if not content.isascii():  # 1
            return Violations((Invalid(("body",), "Input should be UTF-8, percent-encoded", "bad_encoding"),))
        if content.count(b"&") + content.count(b";") >= MOST_FIELDS:
            return Violations((Invalid(("body",), f"A form may have at most {MOST_FIELDS} fields", "too_long"),))
        pairs: list[Pair] = []
        for pair in parse_pairs_in_steps(content.decode("ascii")):  # 2
            if pair is None:
                yield
            else:
                pairs.append(pair)
        if len(pairs) > self.max_fields:
            return Violations((Invalid(("body",), f"A form may have at most {self.max_fields} fields", "too_long"),))
        if self.max_field_size is not None:
            long = [pair for pair in pairs if len(pair.sent) - ("=" in pair.sent) > self.max_field_size]
            if long:
                message = f"A field and its name may have at most {self.max_field_size} bytes"
                return Violations((violation(("body", long[0].name), message, "too_long"),))
        ambiguous: list[Invalid] = []
        for one in ambiguous_names(pairs, self.names, "body"):  # 3
            if one is None:
                yield
            else:
                ambiguous.append(one)
        if ambiguous:
            return Violations.of(ambiguous)
        values = group_values(pairs)
        violations = merged([found for param in self.params if (found := param.check(values)) is not None])  # 4
        if violations is not None:
            return violations
        if self.as_sent or all(name in self.names for name in values):
            return content
        return "&".join(pair.sent for pair in pairs if pair.name in self.names).encode("ascii")  # 5

    def read(self, content: bytes) -> bytes | Violations:
        """Check the form without a pause; see ``read_in_steps``."""
        return finish(self.read_in_steps(content))


def _reads_json(schema: object) -> bool:
    """Tell whether the core ``schema`` reads a text as JSON."""
    if isinstance(schema, Mapping):
        parts = cast("Mapping[str, Any]", schema)
        return parts.get("type") == "json" or any(_reads_json(one) for key, one in parts.items() if key != "metadata")
    return isinstance(schema, list | tuple) and any(_reads_json(one) for one in cast("Sequence[object]", schema))
