"""What is wrong with a value, bounded in number and size before anybody repeats it.

Names of members come from whoever wrote the document: a name of 200 KB, or a path of 200 names, is shortened here.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, get_args

from pydantic import ValidationError
from pydantic_core.core_schema import ErrorType

from limen.errors import Invalid

# Violations that one answer lists.
MOST_LISTED: Final = 100

# Violations that pydantic may turn into words: it does so for all or none, at about 2 us each.
MOST_WORDED: Final = 1000

# Bounds of one violation: steps of its path, characters of a name, characters of its message.
PATH_STEPS: Final = 16
NAME_LENGTH: Final = 64
MESSAGE_LENGTH: Final = 256

# The error types of pydantic, and ours. A type that a validator makes up may hold the value that it has read.
_ERROR_TYPES: Final = frozenset(get_args(ErrorType)) | {
    *("too_many_misfits", "too_many_values", "repeated_name", "ambiguous_type", "object_not_taken", "finite_number"),
}

# Bounds of one line of the log: violations, and characters.
_IN_A_LINE: Final = 5
LINE_LENGTH: Final = 400


@dataclass(frozen=True, slots=True)
class Violations:
    """What is wrong with a value. ``omitted`` is how many more were found than ``listed`` has."""

    listed: tuple[Invalid, ...]
    omitted: int = 0

    @classmethod
    def of(cls, found: Sequence[Invalid]) -> "Violations":
        """List the first of those that were ``found``, and count the others."""
        return cls(tuple(found[:MOST_LISTED]), max(0, len(found) - MOST_LISTED))

    def line(self, names: Collection[str]) -> str:
        """Return one printable line for the log, of at most ``LINE_LENGTH`` characters: paths and error types.

        Names of members that are not among ``names`` are somebody's data, and so may be a validator's message: the line
        has neither.
        """
        shown = self.listed[:_IN_A_LINE]
        text = "; ".join(f"{'.'.join(_public(one.loc, names)) or 'answer'}: {_error_type(one.type)}" for one in shown)
        rest = self.omitted + len(self.listed) - len(shown)
        after = f"; and {rest:,} more" if rest else ""
        if not text.isprintable():
            text = "".join(one if one.isprintable() else "?" for one in text)
        return shortened(text, LINE_LENGTH - len(after)) + after


def _error_type(name: str) -> str:
    return name if name in _ERROR_TYPES else "custom"


def _public(loc: Sequence[str | int], names: Collection[str]) -> list[str]:
    # A number may be an index, and as well the name of a member.
    return [one if isinstance(one, str) and one in names else "*" for one in loc]


def merged(several: Sequence[Violations]) -> Violations | None:
    """Return ``several`` as one; None when there are none."""
    if not several:
        return None
    merged = Violations.of([one for violations in several for one in violations.listed])
    return Violations(merged.listed, merged.omitted + sum(violations.omitted for violations in several))


def from_pydantic(error: ValidationError, at: tuple[str | int, ...]) -> Violations:
    """Return what pydantic has found, without the input that caused it; ``at`` comes before each path."""
    count = error.error_count()
    if count > MOST_WORDED:
        return Violations((Invalid(at, f"{count:,} places do not fit, too many to list", "too_many_misfits"),), count)
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    listed = tuple(violation((*at, *one["loc"]), one["msg"], one["type"]) for one in errors[:MOST_LISTED])
    return Violations(listed, max(0, count - MOST_LISTED))


def violation(loc: Sequence[str | int], msg: str, error_type: str) -> Invalid:
    """Return one violation, with what is long in it shortened: a long path keeps its beginning and its end."""
    if len(loc) > PATH_STEPS:
        half = PATH_STEPS // 2
        loc = (*loc[: PATH_STEPS - half - 1], "...", *loc[-half:])
    path = tuple(shortened(one, NAME_LENGTH) if isinstance(one, str) else one for one in loc)
    return Invalid(path, shortened(msg, MESSAGE_LENGTH), shortened(error_type, NAME_LENGTH))


def shortened(text: str, most: int) -> str:
    """Return ``text``, or its beginning with three dots, in ``most`` characters."""
    return text if len(text) <= most else text[: most - 3] + "..."
