"""One route, compiled: immutable, ready to run, replaced whole. What is off is absent."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal

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


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything one request of a route needs.

    ``entry`` None is a public route. ``finish`` has a hook for each status whose answers are held, bounded by
    ``route.max_answer``, checked and perhaps replaced; others stream through. ``ends`` heeds what an answer says of sessions.
    """

    route: Route
    pool: Pool
    timeouts: Timeouts
    strip: frozenset[bytes]
    entry: Entry | None
    rewrite: Rewrite | None
    finish: Mapping[int, Hook]
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
