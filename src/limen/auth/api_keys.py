"""API keys, for machines: which service knows them, and how long its answer is believed. Configuration only."""

from dataclasses import dataclass, field

from limen.auth.method import Method
from limen.http.headers import TOKEN
from limen.upstream.declared import Timeouts, Upstream

_RESERVED = frozenset(("authorization", "connection", "content-length", "cookie", "host", "transfer-encoding"))


@dataclass(frozen=True, slots=True)
class ApiKeys(Method):
    """API keys, which the service behind ``upstream`` makes, knows and ends.

    A key comes in ``header``. The gateway asks about it with ``POST path`` and ``{"key": "..."}``. The service answers 200
    with ``{"active": true, "id": ..., "owner": ..., "scopes": [...]}``, with ``roles`` and ``expires_at`` if there are any,
    or with ``{"active": false}`` (after RFC 7662). The caller's id is that of the owner.

    Every key begins with ``prefix``; others are refused without a question. An answer is believed for ``remember`` seconds,
    so a key that is ended works for as long; a key in use is asked about again before. ``cache`` bounds the cached answers:
    so many active keys, and as many others.

    ``at_once`` bounds the open questions. Half of them, and at most a quarter of the service's connections, are for new
    keys, and clients take turns with them: one address, or one IPv6 network of 64 bits, has half of these at most.
    ``waiting`` is how many new keys may wait in line for a question.
    """

    upstream: Upstream
    path: str = field(default="/api/keys/introspect", kw_only=True)
    header: str = field(default="x-api-key", kw_only=True)
    prefix: str = field(default="", kw_only=True)
    remember: float = field(default=30.0, kw_only=True)
    cache: int = field(default=4096, kw_only=True)
    at_once: int = field(default=64, kw_only=True)
    waiting: int = field(default=1024, kw_only=True)
    timeouts: Timeouts = field(default=Timeouts(connect=2, first_byte=5, idle=5, total=10), kw_only=True)

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        name = self.header.lower()
        if not TOKEN.fullmatch(name.encode()) or name in _RESERVED:
            raise ValueError(
                f"ApiKeys: header={self.header!r} cannot hold a key; use one of its own, such as 'x-api-key'"
            )
        if not self.path.startswith("/") or not self.path.isascii() or not self.path.isprintable() or " " in self.path:
            raise ValueError(f"ApiKeys: path={self.path!r} is no path at the service, such as '/api/keys/introspect'")
        if self.remember < 0 or self.cache < 0 or self.waiting < 0 or self.at_once < 2:
            raise ValueError("ApiKeys: remember, cache and waiting must not be negative, and at_once at least 2")
        object.__setattr__(self, "header", name)
