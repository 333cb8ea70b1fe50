"""Types of fields and parameters, as strict as the services are: what fits the document gets no 422 from a service.

Each pattern reads alike in the regular expressions of JSON Schema (ECMA-262), of pydantic and of Python, so it has ranges of
the Basic Multilingual Plane instead of ``\\s`` or ``\\p{...}``. (Only Python's own ``$`` also matches before a last line
feed.) Lengths are those of the text as it is sent; a service that removes blanks around it makes it shorter.
"""

from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import StringConstraints

_CONTROLS = r"\x00-\x1f\x7f-\x9f"
_CONTROLS_BUT_LINES = r"\x00-\x08\x0b-\x1f\x7f-\x9f"  # line feeds and tabs may stand in a long text
_BLANKS = r"\x20\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"

# All but controls, blanks, what is never seen (marks of direction and joining, fillers, variation selectors) and what has no
# meaning of its own (surrogates, private use): with these, two different names look the same.
_VISIBLE = (
    r"\x21-\x7e\xa1-\xac\xae-\u034e\u0350-\u05ff\u0606-\u061b\u061d-\u06dc\u06de-\u070e\u0710-\u088f\u0892-\u08e1"
    r"\u08e3-\u115e\u1161-\u167f\u1681-\u17b3\u17b6-\u180a\u1810-\u1fff\u2010-\u2027\u2030-\u205e\u2070-\u27ff"
    r"\u2801-\u2fff\u3001-\u3163\u3165-\ud7ff\uf900-\ufdcf\ufdf0-\ufdff\ufe10-\ufefe\uff00-\uff9f\uffa1-\uffef"
)

ShortText = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200, pattern=rf"^[{_BLANKS}]*[^{_BLANKS}{_CONTROLS}][^{_CONTROLS}]*$"),
]
"""One line of 1 to 200 characters, not only blanks."""

LongText = Annotated[
    str,
    StringConstraints(
        min_length=1,
        max_length=2000,
        pattern=rf"^[\x09\x0a{_BLANKS}]*[^{_BLANKS}{_CONTROLS}][^{_CONTROLS_BUT_LINES}]*$",
    ),
]
"""1 to 2000 characters, not only blanks; line feeds and tabs are the only control characters."""

SearchText = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00]*$")]
"""At most 200 characters; everything but NUL can be looked for."""

Username = Annotated[str, StringConstraints(min_length=1, max_length=50, pattern=rf"^[{_VISIBLE}]+$")]
"""1 to 50 visible characters of the Basic Multilingual Plane, no blank."""

PresentedUsername = Annotated[str, StringConstraints(min_length=1, max_length=50, pattern=r"^[^\x00]*$")]
"""Whatever may be tried as a username."""

NewPassword = Annotated[str, StringConstraints(min_length=8, max_length=128, pattern=r"^[^\x00]*$")]
"""8 to 128 characters of any kind but NUL."""

PresentedPassword = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00]*$")]
"""Whatever may be tried as a password."""

PresentedToken = Annotated[str, StringConstraints(min_length=1, max_length=512)]
"""Whatever may be tried as a refresh token."""

PresentedDevice = Annotated[str, StringConstraints(pattern=r"^device_[A-Za-z0-9_\-]{65}$", max_length=72)]
"""A device token by its form."""

Email = Annotated[
    str,
    StringConstraints(max_length=254, pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$"),
]
"""Its form alone: only sending a mail shows whether it works."""

Timestamp = Annotated[
    str,
    StringConstraints(
        max_length=40,
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+\-][0-9]{2}:[0-9]{2})$",
    ),
]
"""A time as RFC 3339 writes it, by its form alone."""

UserType = Literal["admin", "default"]


def row_id(of: str) -> Any:
    """Return the parameter of a path that has the id of ``of``, for ``Annotated[int, ...]``."""
    return Path(ge=1, le=2_147_483_647, description=f"The `id` of the {of}.", examples=[1])
