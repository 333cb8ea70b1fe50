"""The uvicorn seam (0.54): where a request that uvicorn has parsed becomes the gateway's.

uvicorn parses, counts connections, keeps the order of pipelined requests and shuts down; limits, timers and the rules of
a head are those of ``limen.engines.direct.guard`` and ``limen.engines.direct.timeouts``, whoever serves. For a request
that the gateway's table knows, an ``Exchange`` takes the place of uvicorn's cycle; any other request is handed to the
base class as if nothing had happened. What is relied upon is named in ``tests/unit/engines/direct/test_seam.py``.

Not the gateway's: local endpoints and their WebSockets, a ``root_path``, and every request of an application that has
middleware, or that something wraps.
"""

import asyncio
from typing import Any, Final, cast

from uvicorn.config import Config
from uvicorn.middleware.message_logger import MessageLoggerMiddleware
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from limen import pipeline
from limen.engines.asgi.http10 import reset
from limen.engines.asgi.refusal import MOST_DISCARDED
from limen.engines.direct import rules
from limen.engines.direct.exchange import Exchange
from limen.engines.direct.guard import GuardedProtocol
from limen.engines.direct.timeouts import BODY, CLOSE, DISCARDING, HEAD
from limen.errors import Fault
from limen.http.headers import Head
from limen.runtime.host import EngineHost

# Bytes of a head beyond which a request waits for its turn with all that is in line: a long token, query or list of cookies
# costs a hundred times as much as a short one, and who sends it all the time must not be served before everybody else.
HEAVY: Final = 2048


class GatewayProtocol(GuardedProtocol):
    """One client connection. For ``uvicorn --http limen.engines.direct:GatewayProtocol``; ``limen serve`` sets it."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Made by uvicorn for each connection; ``app_state`` is what the gateway's lifespan has left."""
        super().__init__(config, server_state, app_state, _loop)
        self._door = _door(config, app_state)
        self._running: Exchange | None = None
        self._raw_scheme = b"http"
        self._hosts: list[bytes] | None = None
        self._trusted = False
        self._origin = b""  # as of a request with these hosts

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember who it is."""
        super().connection_made(transport)
        self._raw_scheme = (self.scheme or "http").encode()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request that runs, which need not be the newest, and those in line."""
        running, self._running = self._running, None
        try:
            if running is not None:
                self.shared.running -= 1
                running.client_gone(self.cut_by)
        finally:
            super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client reads slower than we write."""
        super().pause_writing()
        if self._running is not None:
            self._running.pause()

    def resume_writing(self) -> None:
        """The client has caught up."""
        super().resume_writing()
        if self._running is not None:
            self._running.resume()

    # --- httptools ---

    def on_message_begin(self) -> None:
        """Begin a head; the ASGI scope is built only if uvicorn serves the request after all."""
        if self._door is None:
            super().on_message_begin()
            return
        self.begin_head()
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_url(self, url: bytes) -> None:
        """Collect the target, which may come in parts: as uvicorn does, but compiled."""
        self.url = self.url + url  # not +=, which mypyc cannot do to what the base class has

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header line; trailers never become headers (RFC 9110 section 6.5.1)."""
        if self.stage != HEAD:
            return
        name, value = name.lower(), rules.field(name, value)
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def serve(self, method: bytes, head: Head) -> None:
        """Find out whose request it is."""
        exchange = self._exchange(self._door, method, head) if self._door is not None else None
        if exchange is None:
            if self._door is not None:
                self._build_scope()
            super().serve(method, head)
            return
        before: Any = self.cycle
        self.cycle = cast("Any", exchange)
        if self.fed <= HEAVY and (before is None or before.response_complete) and not self.reading.write_paused:
            self._running = self.serving = exchange
            self.shared.running += 1
            exchange.begin()
        else:
            line: Any = self.pipeline
            line.appendleft((exchange, None))
            self.reading.go_on()

    def content_came(self, body: bytes) -> None:
        """Give content to whose it is."""
        cycle: object = self.cycle
        if isinstance(cycle, Exchange):
            cycle.on_body(body)
        else:
            super().content_came(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        cycle: object = self.cycle
        if not isinstance(cycle, Exchange):
            super().on_message_complete()
        elif self.end_message():
            cycle.on_request_done()

    # --- uvicorn ---

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        if isinstance(cycle, Exchange):
            self._running = self.serving = cycle
            self.shared.running += 1
            cycle.begin()
        else:
            super()._start_asgi_task(cycle, app)

    def drop(self, cycle: Any) -> None:
        """Record a request in line whose turn does not come."""
        if isinstance(cycle, Exchange):
            cycle.client_gone(self.cut_by)
        else:
            super().drop(cycle)

    def forget_cycle(self, cycle: Any) -> None:
        """Let go of a request that was in line, and is refused there."""
        if isinstance(cycle, Exchange):
            cycle.forget()

    def spoil(self, cycle: Any, fault: Fault) -> bool:
        """End a request whose body will not become whole: its exchange knows how."""
        if isinstance(cycle, Exchange):
            cycle.bad_body(fault)
            return True
        return super().spoil(cycle, fault)

    # --- what an exchange asks for ---

    def write(self, data: bytes) -> None:
        """Write to the client."""
        self.transport.write(data)

    def stalled(self) -> bool:
        """Tell whether the client reads slower than we write."""
        return self.reading.write_paused

    def hold(self) -> None:
        """Read nothing more from the client."""
        self.flow.pause_reading()

    def go_on(self) -> None:
        """Read from the client again."""
        self.flow.resume_reading()

    def rest_is_long(self) -> bool:
        """Tell whether more is announced of the body of the request that runs than is thrown away after a refusal."""
        running: object = self._running
        return running is self.cycle and self.content_left() > MOST_DISCARDED

    def defaults(self) -> list[tuple[bytes, bytes]]:
        """Return uvicorn's default header lines, the date among them, renewed each second."""
        lines = self.server_state.default_headers
        if lines and lines[-1] == CLOSE:
            # limen.cli.server is stopping: this answer is the last here, and says so itself, once.
            if self._running is not None:
                self._running.keep_alive = False
            return lines[:-1]
        return lines

    def completed(self, *, close: bool) -> None:
        """Close, or go on to the next request."""
        running, self._running = self._running, None
        if running is not None:
            self.shared.running -= 1
        if running is not None and running.cut_by is not None and self.version == "1.0":
            reset(self.transport)  # nothing else tells that the content is not whole
        elif close and (self.stage == BODY or self.stage == DISCARDING):
            self.linger()  # what still comes would reset the connection before the client has read its answer
        elif close:
            self.transport.close()
        self.on_response_complete()

    # --- inside ---

    def _exchange(self, door: EngineHost, method: bytes, head: Head) -> Exchange | None:
        """Make the exchange for this head; None leaves it to uvicorn."""
        parser: Any = self.parser
        if self._should_upgrade():
            return None
        if self.limit_concurrency is not None and (
            len(self.connections) >= self.limit_concurrency or len(self.tasks) >= self.limit_concurrency
        ):
            return None
        live = door.live()
        path, mark, query = self.url.partition(b"?")
        found = pipeline.route(live.table, method, path, query)
        if found is None:
            return None
        if method == b"OPTIONS":
            found = pipeline.final(live.table, found, path, head)
        old = self.version == "1.0"
        hosts = head.all(b"host")
        # What a trusted peer says may differ with each request; of others only Host is believed.
        if hosts != self._hosts or self._trusted:
            trust = live.runtime.trust
            self._trusted = trust.covers(self.peer)
            self._origin = pipeline.origin(trust, head, peer=self.peer, trusted=self._trusted, scheme=self._raw_scheme)
            self._hosts = hosts
        return Exchange(
            self,
            live.runtime,
            found,
            method=method,
            path=path,
            query=query if mark else None,
            head=head,
            origin=self._origin,
            keep_alive=not old and parser.should_keep_alive(),
            old=old,
            expects=self.expect_100_continue,
        )

    def _build_scope(self) -> None:
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        HttpToolsProtocol.on_message_begin(self)
        self.url = url
        self.expect_100_continue = expects
        self.headers.extend(headers)  # the scope holds this very list


def _door(config: Config, app_state: dict[str, Any]) -> EngineHost | None:
    """Return the gateway, if it is the application itself: what wraps one must see every request."""
    found: Any = app_state.get("limen")
    app: Any = vars(config)["loaded_app"]
    while isinstance(app, ProxyHeadersMiddleware | MessageLoggerMiddleware):
        app = vars(app)["app"]
    if found is None or found is not app or config.root_path or not found.direct():
        return None
    return found
