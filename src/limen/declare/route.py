"""One declared route: what the user said, frozen. Nothing here runs a request."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from limen.declare.contract import Contract
from limen.declare.method import Methods
from limen.declare.policy import Rule
from limen.declare.upstream import Timeouts, Upstream

After = Callable[..., object] | Callable[..., Awaitable[object]]

MiB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What a decorator or ``forward`` declared.

    ``rewrite`` is the path at the service, with ``{name}`` for parameters; None forwards the path byte for byte.
    ``status`` is the documented success status: the one whose answer is checked and given to ``after``.
    ``max_body`` bounds the request body in bytes; None means unbounded, which only streamed bodies may be.
    ``max_answer`` bounds, in bytes, an answer that has to be held to be checked. ``auth`` None is the gateway's own.
    ``ends`` is the header in which answers name sessions that have ended; it never reaches the client.
    """

    methods: tuple[str, ...]
    path: str
    upstream: Upstream
    allow: Rule
    auth: Methods | None = None
    ends: str | None = None
    status: int = 200
    rewrite: str | None = None
    after: After | None = None
    timeouts: Timeouts | None = None
    max_body: int | None = None
    max_answer: int = 10 * MiB
    contract: Contract = field(default_factory=Contract)

    @property
    def name(self) -> str:
        """Method and path, as messages name a route."""
        return f"{'|'.join(self.methods)} {self.path}"
