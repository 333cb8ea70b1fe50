"""A declared body that is no JSON, such as ``Annotated[str, Body(media_type="text/plain")]``: text, or bytes.

It is held and checked, and reaches the service as it came.
"""

import re
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import ClassVar, Final

from pydantic import TypeAdapter

from limen.contract.checker import Checker
from limen.contract.violations import Violations
from limen.errors import Invalid

_CHARSET: Final = re.compile(rb';[ \t]*charset[ \t]*=[ \t]*"?([^";, \t]*)')
_UTF_8: Final = frozenset((b"utf-8", b"utf8", b"us-ascii"))


@dataclass(frozen=True, slots=True)
class Text:
    """A body of ``media_type`` that is taken as text in UTF-8, or as ``binary``."""

    adapter: TypeAdapter[object]
    media_type: str
    required: bool = True
    binary: bool = False
    checker: Checker = field(init=False, repr=False, compare=False)

    json: ClassVar[bool] = False
    keeps_parameters: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Derive what checks content."""
        object.__setattr__(self, "checker", Checker(self.adapter))

    def takes(self, content_type: bytes) -> bool:
        """Tell whether content of this type is taken: text has to be in UTF-8, as it is unless a charset is named."""
        low = content_type.lower()
        if low.partition(b";")[0].strip() != self.media_type.encode():
            return False
        return self.binary or all(name in _UTF_8 for name in _CHARSET.findall(low))

    def reading(self, content: bytes) -> Generator[None, None, bytes | Violations]:
        """Read the content, in one step; what is returned is for the service, and the same."""
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
