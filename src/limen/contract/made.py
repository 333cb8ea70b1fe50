"""What an answer that is held becomes, and the shape of whatever makes it so."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from limen.errors import Fault
from limen.exchange.principal import Principal

How = Literal["same", "rewritten", "made", "alone"]


@dataclass(frozen=True, slots=True)
class Made:
    """What the client gets in the place of what the service has answered.

    ``how`` tells what of the service's head is still true: all of it ("same"), all but what is said of the very bytes
    ("rewritten": the same representation, written anew), nothing that describes content ("made", by a hook), or nothing
    ("alone"). ``status`` None is the service's. ``problem`` is the detail of a problem document in the place of ``content``.
    """

    content: bytes
    how: How = "made"
    status: int | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    problem: str | None = None


Finished = Made | Fault

Hook = Callable[[bytes, Principal | None], Finished | Awaitable[Finished]]
"""What an answer goes through: its content and the caller in, what the client gets out, at once or later."""
