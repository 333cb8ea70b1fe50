"""An ``after`` hook as it was declared, and what it makes of an answer."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from limen.exchange.principal import Principal


@dataclass(frozen=True, slots=True)
class Changed:
    """What a hook makes of an answer.

    ``value`` is to be written as JSON, checked against the route's type if it has one, unless ``content`` is given, which is
    all there is, or ``problem``, the detail of a problem document. ``status`` None is that of the service. ``headers`` take
    the place of the service's of the same name, cookies come beside them.
    """

    value: object
    status: int | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    content: bytes | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class After:
    """A hook: what it is called with, ``given`` as its type, and the caller, None where nobody has to say who they are."""

    name: str
    given: Any
    run: Callable[[object, Principal | None], Changed | Awaitable[Changed]]
