"""An answer that was held and edited, and the type of the functions that edit."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from limen.errors import Fault
from limen.exchange.principal import Principal

Edit = Literal["none", "rewritten", "replaced", "standalone"]


@dataclass(frozen=True, slots=True)
class EditedAnswer:
    """What the client gets instead of the service's answer.

    ``edit`` says which of the service's header fields still hold:

    - "none": all; the content is the service's
    - "rewritten": all but those about the very bytes; the same representation in other bytes
    - "replaced": none that describe content; a hook has made it
    - "standalone": none at all; a hook has made the whole answer

    ``status`` None is the service's. With ``problem``, the content is a problem document with that detail, a text or any
    JSON.
    """

    content: bytes
    edit: Edit = "replaced"
    status: int | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    problem: object = None


HookResult = EditedAnswer | Fault

AnswerHook = Callable[[bytes, Principal | None], HookResult | Awaitable[HookResult]]
"""Edits an answer. It takes the content and the caller, and answers at once or later."""
