"""One route, compiled: immutable, ready to run, replaced whole. What is off is absent."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from limen.declare.policy import Rule
from limen.declare.principal import Principal
from limen.declare.route import Route
from limen.declare.upstream import Timeouts
from limen.errors import Fault
from limen.runtime.ends import Ends
from limen.runtime.identify import Identify
from limen.runtime.rewrite import Rewrite
from limen.upstream.pool import Pool

Identity = Callable[[Principal, str, float], bytes | Fault]
"""The lines that tell a service who is calling; of the request, its id and the time in seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Who gets in: how a caller is identified, which rule admits them, and how the service learns who it is."""

    identify: Identify
    rule: Rule
    identity: Identity


Finished = bytes | Fault

Hook = Callable[[bytes], Finished | Awaitable[Finished]]
"""What a success answer goes through: its content in, the client's content (or a fault) out, at once or later."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything one request of a route needs.

    ``entry`` None is a public route. ``finish`` None lets answers stream through; otherwise a success answer is held,
    bounded by ``route.max_answer``, checked and perhaps replaced. ``ends`` heeds what an answer says of sessions.
    """

    route: Route
    pool: Pool
    timeouts: Timeouts
    strip: frozenset[bytes]
    entry: Entry | None
    rewrite: Rewrite | None
    finish: Hook | None
    ends: Ends | None
    query: bool
    header: bool
    cookie: bool


@dataclass(frozen=True, slots=True)
class RouteInfo:
    """A route as people see it: ``limen routes`` prints exactly this."""

    methods: tuple[str, ...]
    path: str
    upstream: str
    allow: str
    engine: str
    reason: str
