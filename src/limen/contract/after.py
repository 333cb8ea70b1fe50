"""An ``after`` hook as it was declared, and its result."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from limen.exchange.principal import Principal


@dataclass(frozen=True, slots=True)
class AfterResult:
    """What a hook has made of an answer.

    The content is one of three: ``content`` as it is; a problem document with the detail ``problem``, which is a text or any
    JSON, and not None; otherwise ``value`` as
    JSON, checked against the route's type if it has one. ``status`` None is that of the service. ``headers`` replace the
    service's of the same name; cookies are added.
    """

    value: object
    status: int | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    content: bytes | None = None
    problem: object = None


@dataclass(frozen=True, slots=True)
class AfterHook:
    """A declared hook. ``run`` takes the answer as ``input_type``, and the caller, who is None on a public route."""

    name: str
    input_type: Any
    run: Callable[[object, Principal | None], AfterResult | Awaitable[AfterResult]]
