"""One route, compiled: immutable, ready to run, replaced whole. What is off is absent."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from limen.auth.identify import Identify
from limen.auth.rules import Rule
from limen.auth.session_ends import SessionEnder
from limen.contract.edited_answer import AnswerHook
from limen.errors import Fault
from limen.exchange.hooks import NONE, Hooks
from limen.exchange.principal import Principal
from limen.routing.rewrite import Rewrite
from limen.runtime.route import Route
from limen.upstream.declared import Timeouts
from limen.upstream.pool import Pool

Identity = Callable[[Principal, str, float], bytes | Fault]
"""The lines that tell a service who is calling; of the request, its id and the time in seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Who gets in: how a caller is identified, which rule admits them, and how the service learns who it is."""

    identify: Identify
    rule: Rule
    identity: Identity


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything one request of a route needs.

    ``entry`` None is a public route. ``finish`` has a hook for each status whose answers are held, bounded by
    ``route.max_answer``, checked and perhaps replaced; others stream through. ``session_ended`` heeds what an answer says of
    sessions. ``hooks`` are those of the policies, the gateway's included.
    """

    route: Route
    pool: Pool
    timeouts: Timeouts
    strip: frozenset[bytes]
    entry: Entry | None
    rewrite: Rewrite | None
    finish: Mapping[int, AnswerHook]
    session_ended: SessionEnder | None
    hooks: Hooks = NONE


@dataclass(frozen=True, slots=True)
class RouteInfo:
    """A route as people see it: ``limen routes`` prints exactly this."""

    methods: tuple[str, ...]
    path: str
    upstream: str
    allow: str
    engine: str
    reason: str
