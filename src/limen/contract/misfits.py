"""What does not fit a contract, bounded in number and size before anybody repeats it.

Names of members come from whoever wrote the document: a name of 200 KB, or a path of 200 names, is shortened here.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, get_args

from pydantic import ValidationError
from pydantic_core.core_schema import ErrorType

from limen.errors import Invalid

# Misfits that are told of one request.
MOST: Final = 100

# Misfits that are turned into words at all: pydantic does so for all or none, at about 2 us each.
MOST_WORDED: Final = 1000

# Of one misfit: names on the path to it, characters of a name, characters of what is said.
DEPTH: Final = 16
NAME: Final = 64
TEXT: Final = 256

# Names of what can be wrong that are pydantic's, and ours. Those that a validator makes up may hold what it has seen.
_KINDS: Final = frozenset(get_args(ErrorType)) | {
    *("too_many_misfits", "too_many_values", "repeated_name", "ambiguous_type", "object_not_taken", "finite_number"),
}

# Of a line of the log: misfits, and characters.
_IN_A_LINE: Final = 5
LINE: Final = 400


@dataclass(frozen=True, slots=True)
class Misfits:
    """What is wrong with a value. ``more`` is how many were found that ``found`` does not tell."""

    found: tuple[Invalid, ...]
    more: int = 0

    def line(self, known: Collection[str]) -> str:
        """Return it for the log, in at most ``LINE`` characters, all printable: places and pydantic's names of what is wrong.

        Names of members that are not ``known`` are somebody's data, and so may be what a validator says: neither is told.
        """
        told = self.found[:_IN_A_LINE]
        text = "; ".join(f"{'.'.join(_known(one.loc, known)) or 'answer'}: {_kind(one.type)}" for one in told)
        rest = self.more + len(self.found) - len(told)
        after = f"; and {rest:,} more" if rest else ""
        if not text.isprintable():
            text = "".join(one if one.isprintable() else "?" for one in text)
        return shortened(text, LINE - len(after)) + after


def _kind(kind: str) -> str:
    return kind if kind in _KINDS else "custom"


def _known(loc: Sequence[str | int], known: Collection[str]) -> list[str]:
    # A number may be an index, and as well the name of a member.
    return [one if isinstance(one, str) and one in known else "*" for one in loc]


def together(several: Sequence[Misfits]) -> Misfits | None:
    """Return ``several`` as one, with at most ``MOST`` told; None when there are none."""
    if not several:
        return None
    found = tuple(one for misfits in several for one in misfits.found)
    more = sum(misfits.more for misfits in several)
    return Misfits(found[:MOST], more + max(0, len(found) - MOST))


def listed(error: ValidationError, at: tuple[str | int, ...]) -> Misfits:
    """Turn pydantic's findings into ours, without the input that caused them; ``at`` comes before each place."""
    count = error.error_count()
    if count > MOST_WORDED:
        return Misfits((Invalid(at, f"{count:,} places do not fit, too many to list", "too_many_misfits"),), count)
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return Misfits(
        tuple(misfit((*at, *one["loc"]), one["msg"], one["type"]) for one in found[:MOST]), max(0, count - MOST)
    )


def misfit(loc: Sequence[str | int], msg: str, kind: str) -> Invalid:
    """Return one misfit with what is long in it shortened; of a deep place the beginning and the end stay."""
    if len(loc) > DEPTH:
        half = DEPTH // 2
        loc = (*loc[: DEPTH - half - 1], "...", *loc[-half:])
    short = tuple(shortened(one, NAME) if isinstance(one, str) else one for one in loc)
    return Invalid(short, shortened(msg, TEXT), shortened(kind, NAME))


def shortened(text: str, most: int) -> str:
    """Return ``text``, or its beginning with three dots, in ``most`` characters."""
    return text if len(text) <= most else text[: most - 3] + "..."
