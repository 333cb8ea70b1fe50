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
from limen.exchange.request import Request
from limen.http.replies import Reply
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
class Sides:
    """The two services of a ``Split``: ``choose`` is true for requests that go to ``canary``."""

    stable: "Plan"
    canary: "Plan"
    choose: Callable[[Request], bool]


@dataclass(frozen=True, slots=True)
class LiveFallback:
    """What answers where the service does not: the service of ``plan``, or else ``reply``, which makes a fixed answer.

    ``statuses`` are those of answers that it replaces.
    """

    plan: "Plan | None"
    reply: Callable[[Request], Reply] | None
    statuses: frozenset[int]


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that one request of a route needs.

    ``withheld_headers`` of a client never reach the service. ``access_control`` None is a public route. ``answer_hooks`` are
    by status: such answers are held, bounded by ``route.max_answer``, checked and perhaps replaced; others stream through.
    ``body_silence`` is for how many seconds a request body that passes may bring nothing, or not be read by the service.
    ``session_ender`` ends the sessions that an answer names. ``guard`` runs the dependencies. ``hooks`` are those of the
    policies, the gateway's included. ``deadline`` is in seconds, negative for none; ``deadline_name`` is the header that
    tells the service how much of it is left, empty for none. ``name`` is the route's. ``sides`` are those of a split: one of
    them takes the place of this plan once it is known who calls, and tells its service so. ``fallback`` answers where the
    service does not.
    ``passes_authorization`` says that a client's ``Authorization`` reaches the service.
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
    deadline: float = -1.0
    deadline_name: bytes = b""
    name: str = ""
    passes_authorization: bool = True
    sides: Sides | None = None
    fallback: LiveFallback | None = None
