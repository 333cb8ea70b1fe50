"""A declared body that is not JSON, such as ``Annotated[str, Body(media_type="text/plain")]``: text, or bytes.

It is held and checked, and reaches the service as the client sent it.
"""

import re
from dataclasses import dataclass, field
from typing import ClassVar, Final

from pydantic import TypeAdapter

from limen.contract.body_steps import BodySteps
from limen.contract.checker import Checker
from limen.contract.violations import Violations
from limen.errors import Invalid

_CHARSET: Final = re.compile(rb';[ \t]*charset[ \t]*=[ \t]*"?([^";, \t]*)')
_UTF_8: Final = frozenset((b"utf-8", b"utf8", b"us-ascii"))


@dataclass(frozen=True, slots=True)
class TextBody:
    """A body of ``media_type`` that is read as text in UTF-8, or as bytes if it is ``binary``."""

    adapter: TypeAdapter[object]
    media_type: str
    required: bool = True
    binary: bool = False
    checker: Checker = field(init=False, repr=False, compare=False)

    json: ClassVar[bool] = False
    untyped: ClassVar[bool] = False
    keeps_parameters: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Derive the checker."""
        object.__setattr__(self, "checker", Checker(self.adapter))

    def accepts(self, content_type: bytes) -> bool:
        """Tell whether ``content_type`` is the declared media type; a charset of text must be UTF-8."""
        low = content_type.lower()
        if low.partition(b";")[0].strip() != self.media_type.encode():
            return False
        return self.binary or all(name in _UTF_8 for name in _CHARSET.findall(low))

    def read_in_steps(self, content: bytes) -> BodySteps:
        """Check the body, in one step; return it unchanged for the service."""
        yield from ()
        return self.read(content)

    def read(self, content: bytes) -> bytes | Violations:
        """Return ``content``, or what is wrong with it."""
        if not content:
            return Violations((Invalid(("body",), "Field required", "missing"),))
        value: bytes | str = content
        if not self.binary:
            try:
                value = content.decode()
            except UnicodeDecodeError:
                return Violations((Invalid(("body",), "Input should be text in UTF-8", "string_unicode"),))
        checked = self.checker.check_python(value, ("body",))
        return checked if isinstance(checked, Violations) else content
