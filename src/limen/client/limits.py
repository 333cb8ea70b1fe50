"""Limits for one client, and for all clients of a worker together. Frozen; checked when it is made.

The project's notes on HTTP compare the defaults with those of other gateways. Times are seconds, sizes bytes.
"""

from dataclasses import dataclass

_LEAST = {
    "request_line": 64,
    "head": 256,
    "fields": 1,
    "chunk_overhead": 0,
    "requests": 1,
    "body_rate": 0,
    "body_memory": 65536,
}
# Client connections of one worker by default, if the process may open so many files.
MOST_CONNECTIONS = 10_000

_SECONDS = ("keepalive", "head_time", "body_silence", "body_grace", "reader_silence", "linger")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientLimits:
    """Limits of the client's side; ``Gateway(limits=ClientLimits(...))``, the same on both engines.

    - ``request_line``: bytes of method, target and version (414); ``head``: bytes of the whole head (431); ``fields``:
      header lines (431).
    - ``chunk_overhead``: bytes of one body that are chunk extensions or trailers (400).
    - ``body_memory``: bytes of memory for all request bodies that a worker holds at once. Three eighths are their content,
      the rest is for the overhead of holding and checking them. When it is full, large bodies that are held for long are
      refused first (503, with ``Retry-After``).
    - ``connections``: client connections of one worker. None is 10,000, or as many as the limit of open files leaves room
      for, which ``limen serve`` finds out; a number that does not fit stops ``limen serve``. At the limit, the connection
      that has been idle for the longest is closed for a new one; if none is idle, the new one is refused (503).
    - ``connections_per_address``: connections from one address (429); None is no bound, because behind a load balancer every
      client has the same address.
    - ``requests``: requests in flight in one worker (503, with ``Retry-After``). The default is that of ``connections``: slow
      clients count here, and with a lower number they shut others out; ``Limits`` bounds what a service gets.
    - ``keepalive``: seconds for which a connection is kept between two requests. uvicorn's ``--timeout-keep-alive`` has no
      effect where ``limen.engines.direct`` has the connection.
    - ``head_time``: seconds for a head from its first byte, and for the first one from the connection (408).
    - ``body_silence``: seconds without a byte of a body (408). ``body_rate``: bytes per second that a body must average in
      each span of ``body_grace`` seconds but the first (408); 0 is no bound.
    - ``reader_silence``: seconds in which a slow client must read ``body_rate`` of its answer, else the answer is cut.
    - ``linger``: seconds for which input is discarded after a refusal, so that the client can read the refusal.

    Raises ValueError that names the setting.
    """

    request_line: int = 8192
    head: int = 32768
    fields: int = 100
    chunk_overhead: int = 16384
    connections: int | None = None
    connections_per_address: int | None = None
    requests: int = 10_000
    keepalive: float = 60.0
    head_time: float = 10.0
    body_silence: float = 30.0
    body_rate: int = 240
    body_grace: float = 30.0
    body_memory: int = 64 * 1024 * 1024
    reader_silence: float = 30.0
    linger: float = 2.0

    def __post_init__(self) -> None:
        """Refuse limits that would stop everything."""
        for name, least in _LEAST.items():
            if not getattr(self, name) >= least:
                raise ValueError(f"ClientLimits({name}={getattr(self, name)!r}): must be at least {least}")
        for name in _SECONDS:
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(
                    f"ClientLimits({name}={getattr(self, name)!r}): seconds must be more than 0, and finite"
                )
        for name in ("connections", "connections_per_address"):
            each = getattr(self, name)
            if each is not None and not each >= 1:
                raise ValueError(f"ClientLimits({name}={each!r}): must be at least 1, or None")
        if self.request_line > self.head:
            raise ValueError(f"ClientLimits(request_line={self.request_line}): the head, {self.head}, contains it")
