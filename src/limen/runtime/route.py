"""One route as declared: frozen. Nothing here runs a request."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from limen.auth.method import Methods
from limen.auth.rules import Rule
from limen.contract.after import AfterHook
from limen.contract.contract import Contract
from limen.exchange.principal import Principal
from limen.runtime.declared_policies import DeclaredPolicies
from limen.runtime.fallback import Fallback
from limen.runtime.split import Split
from limen.upstream.declared import Timeouts, Upstream

KiB = 1024
MiB = 1024 * 1024

# Bytes of a body or an answer that is held to be checked: the default, and the most that a route may declare. The check runs
# in the event loop (docs/decisions/0009).
DEFAULT_HELD = 256 * KiB
MOST_HELD = MiB


Guard = Callable[[Any, Any, Any], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What a decorator or ``forward`` declared.

    ``rewrite`` is the path at the service, with ``{name}`` for parameters; None forwards the path byte for byte.
    ``status`` is the documented success status: the one whose answer is checked and given to ``after``.
    ``max_body`` bounds the request body in bytes; None means unbounded, which only streamed bodies may be.
    ``max_answer`` bounds, in bytes, an answer that is held to be checked. Nothing that is held may have more than 1 MiB.
    ``auth`` and ``identity`` None mean the gateway's own. A function of ``identity`` that returns None sends no header.
    ``policies`` are those of its groups, the outermost first, and its own.
    ``session_ended_header`` is the header in which answers name sessions that have ended; it never reaches the client.
    ``upstream`` is the service that answers; with ``split`` it is the stable side. ``fallback`` answers where it does not.
    Whoever asks which services a request may reach takes ``upstreams``.
    ``guard`` is an ASGI application that runs the dependencies before the exchange; only the asgi engine has what it takes.
    ``idempotency_key`` says that the service honours ``Idempotency-Key``: a request with one may be repeated.
    ``declared_as`` is the route as the framework knows it, for middleware that looks there.
    """

    methods: tuple[str, ...]
    path: str
    upstream: Upstream
    allow: Rule
    auth: Methods | None = None
    identity: Mapping[str, Callable[[Principal], str | None]] | None = None
    session_ended_header: str | None = None
    status: int = 200
    rewrite: str | None = None
    after: AfterHook | None = None
    timeouts: Timeouts | None = None
    max_body: int | None = None
    max_answer: int = DEFAULT_HELD
    contract: Contract = field(default_factory=Contract)
    policies: tuple[DeclaredPolicies, ...] = ()
    guard: Guard | None = None
    idempotency_key: bool = False
    split: Split | None = None
    fallback: Fallback | None = None
    declared_as: object = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what could block the event loop; raises TypeError."""
        if self.contract.body is not None and self.max_body is not None and self.max_body > MOST_HELD:
            raise TypeError(
                f"max_body={self.max_body} is more than 1 MiB ({MOST_HELD} bytes), the most for a declared body: checking it "
                "holds up all other requests; leave the body out of the signature, so that it streams to the service, or "
                "lower max_body"
            )
        if self.max_answer > MOST_HELD and (self.after is not None or self.contract.answer is not None):
            out = "the return annotation (or give response_model=None)" if self.after is None else "after="
            raise TypeError(
                f"max_answer={self.max_answer} is more than 1 MiB ({MOST_HELD} bytes), the most for an answer that is "
                f"checked or given to after=: reading it holds up all other requests; leave out {out}, so that answers "
                "stream to the client, or lower max_answer"
            )

    @property
    def upstreams(self) -> tuple[Upstream, ...]:
        """Every service that its requests may reach, the usual one first, each once."""
        found = {self.upstream.name: self.upstream}
        if self.split is not None:
            found[self.split.canary.name] = self.split.canary
        if isinstance(self.fallback, Upstream):
            found.setdefault(self.fallback.name, self.fallback)
        return tuple(found.values())

    @property
    def service(self) -> str:
        """Who answers, as people read it: ``orders``, ``orders | orders-next (5%), else backup``."""
        found = self.upstream.name
        if self.split is not None:
            found += f" | {self.split.canary.name} ({self.split.condition})"
        if self.fallback is None:
            return found
        return f"{found}, else {self.fallback.name if isinstance(self.fallback, Upstream) else self.fallback.status}"

    @property
    def name(self) -> str:
        """Method and path, as messages name a route."""
        return f"{'|'.join(self.methods)} {self.path}"
