"""One route, compiled: immutable, ready to run, replaced whole. What is not declared is absent."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from limen.auth.identify import Identify
from limen.auth.rules import Rule
from limen.auth.session_ends import SessionEnder
from limen.contract.edited_answer import AnswerHook
from limen.errors import Fault
from limen.exchange.hooks import NO_HOOKS, Hooks
from limen.exchange.principal import Principal
from limen.routing.rewrite import Rewrite
from limen.runtime.route import Guard, Route
from limen.upstream.declared import Timeouts
from limen.upstream.live import LiveUpstream

IdentityLines = Callable[[Principal, str, float], bytes | Fault]
"""Takes the caller, the request id and seconds since the epoch; returns the lines that tell a service who is calling."""


@dataclass(frozen=True, slots=True)
class AccessControl:
    """How callers are identified, which rule admits them, and which header lines tell the service who they are."""

    identify: Identify
    rule: Rule
    identity_lines: IdentityLines


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that one request of a route needs.

    ``withheld_headers`` of a client never reach the service. ``access_control`` None is a public route. ``answer_hooks`` are
    by status: such answers are held, bounded by ``route.max_answer``, checked and perhaps replaced; others stream through.
    ``body_silence`` is for how many seconds a request body that passes may bring nothing, or not be read by the service.
    ``session_ender`` ends the sessions that an answer names. ``guard`` runs the dependencies. ``hooks`` are those of the
    policies, the gateway's included. ``deadline_name`` is the header that tells the service how much time is left, empty for
    none. ``name`` is the route's. ``passes_authorization`` says that a client's ``Authorization`` reaches the service.
    """

    route: Route
    upstream: LiveUpstream
    timeouts: Timeouts
    body_silence: float
    withheld_headers: frozenset[bytes]
    access_control: AccessControl | None
    rewrite: Rewrite | None
    answer_hooks: Mapping[int, AnswerHook]
    session_ender: SessionEnder | None
    guard: Guard | None = None
    hooks: Hooks = NO_HOOKS
    deadline_name: bytes = b""
    name: str = ""
    passes_authorization: bool = True
