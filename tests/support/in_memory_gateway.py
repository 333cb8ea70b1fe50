"""A whole gateway without sockets: bytes of one client in, and all that leaves it, on both sides, kept and judged.

Only the transports are fakes. The service behind reads with h11 and answers as the target of the request asks:
``?answer=N`` picks from ``ANSWERS``, ``early`` in the target has it answer before the body. Whatever a gateway must never
do is a ``violation``: an exception, an error in the log, bytes after a close, a connection used again that is out of step.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import h11
import httptools
from uvicorn.config import Config
from uvicorn.server import ServerState

import strictness
from answers import BAD, GOOD, SHORT
from engines import Engine
from limen import Gateway, Limits, Upstream, anyone, role, signed_in
from limen.auth import Jwt, issue
from limen.engines.direct import GatewayProtocol, GuardedProtocol
from limen.testing import snapshot
from tokens import SECRET

ANSWERS = [*(case.answer for case in GOOD.values()), *BAD.values(), *SHORT.values()]
TOKEN_MARK = b"@TOKEN@"
"""What stands for a valid token in the bytes of a client."""

_CHOICE = re.compile(rb"answer=(\d{1,3})")
_JWT = Jwt(SECRET)
_TURNS = 400

# How the asgi engine cuts an answer that broke off: the server closes the connection and says so.
_CUT = "the application has ended before its answer was whole"


def build() -> Gateway:
    """Return the gateway: everything goes to one service; some of it needs a caller, some holds its body."""
    app = Gateway(auth=_JWT)
    service = Upstream("svc", ["http://127.0.0.1:9"], limits=Limits(connections=8, head=4096))

    @app.post("/held", upstream=service, allow=anyone, max_body=64)
    def held(form: dict[str, int]) -> None: ...

    @app.get("/model", upstream=service, allow=anyone, max_answer=64)
    def model() -> dict[str, int]: ...

    @app.get("/local")
    async def local() -> str:
        return "here"

    del held, model, local
    app.forward("/guarded/{path:path}", upstream=service, allow=signed_in)
    app.forward("/admin/{path:path}", upstream=service, allow=role("root"))
    app.forward("/{path:path}", upstream=service, allow=anyone)
    return app


def plain(target: bytes) -> bytes:
    """Return the answer that tells which request it belongs to."""
    return b"HTTP/1.1 200 OK\r\nx-target: " + target + b"\r\ncontent-length: 2\r\n\r\nok"


class Wire(asyncio.Transport):
    """The gateway's end of a connection."""

    def __init__(self, loop: "Loop", written: Callable[[bytes], None]) -> None:
        super().__init__({"peername": ("192.0.2.1", 50000), "sockname": ("127.0.0.1", 8000)})
        self.protocol: Any = None
        self.reading = True
        self.closing = False
        self.finished = False  # told the peer that nothing follows, and may still read
        self.gone = False
        self._loop = loop
        self._written = written

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.closing or self.finished:
            self._loop.violations.append(f"bytes after the close: {bytes(data)[:80]!r}")
        else:
            self._written(bytes(data))

    def is_closing(self) -> bool:
        return self.closing

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.finished = True

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def close(self) -> None:
        if not self.closing:
            self.closing = True
            self._loop.call_soon(self.lose)

    def abort(self) -> None:
        self.close()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol

    def lose(self) -> None:
        """End it, as the peer or the network does; the protocol is told once."""
        self.closing = True
        if not self.gone:
            self.gone = True
            self.protocol.connection_lost(None)


class Service:
    """The other end of a connection of the pool."""

    def __init__(self, loop: "Loop", protocol: Any) -> None:
        self.out = b""
        self.protocol = protocol
        self.wire = Wire(loop, self._got)
        self.wire.protocol = protocol
        self._loop = loop
        self._reader = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        self._dirty = self._ends = False
        self._late = b""  # of the answer, what is to come as a read of its own
        self._next: tuple[bytes, bytes, bool] = (b"GET", b"", False)

    def _got(self, data: bytes) -> None:
        self.out += data
        self._reader.receive_data(data)
        try:
            self._read()
        except h11.ProtocolError as error:
            self._loop.violations.append(f"the service cannot read {data[:120]!r}: {error}")

    def _read(self) -> None:
        while True:
            event = self._reader.next_event()
            if isinstance(event, h11.Request):
                if self._dirty:
                    self._loop.violations.append("a connection that is out of step was used again")
                content = self._loop.answer
                if content is None:
                    chosen = _CHOICE.search(event.target) if self._loop.scripted else None
                    content = ANSWERS[int(chosen[1]) % len(ANSWERS)] if chosen else plain(event.target)
                early = self._loop.scripted and b"early" in event.target
                self._next = (event.method, content, early)
                if early:
                    self._loop.call_soon(self._say, event.method, content)
            elif isinstance(event, h11.EndOfMessage):
                method, content, early = self._next
                strictness.answer(self._reader)
                if self._reader.our_state is h11.DONE:
                    self._reader.start_next_cycle()
                if not early:
                    self._loop.call_soon(self._say, method, content)
            elif event is h11.NEED_DATA or event is h11.PAUSED:
                return

    def _say(self, method: bytes, content: bytes) -> None:
        if self.wire.closing:
            return
        if method == b"HEAD" and b"\r\nx-target: " in content:
            content = content.removesuffix(b"ok")
        clean, self._ends = judged(method, content)
        self._dirty = not clean
        cut = self._loop.cut
        self._late = content[cut:] if cut else b""
        if first := content[: cut or len(content)]:
            self.protocol.data_received(first)
        if self._ends and not self._late:
            self._leave()

    def say_rest(self) -> bool:
        """Say what was cut off, if there is any; tell whether there was."""
        rest, self._late = self._late, b""
        if not rest or self.wire.closing:
            return False
        self.protocol.data_received(rest)
        if self._ends:
            self._leave()
        return True

    def _leave(self) -> None:
        if not self.wire.closing:
            self.protocol.eof_received()
            self.wire.lose()


def judged(method: bytes, content: bytes) -> tuple[bool, bool]:
    """Tell whether ``content`` leaves a connection in step, and whether the service must close behind it."""
    reader: Any = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    reader.send(h11.Request(method=method, target="/", headers=[("host", "g")]))
    reader.send(h11.EndOfMessage())
    reader.receive_data(content)
    head: h11.Response | None = None
    try:
        while True:
            event = reader.next_event()
            if isinstance(event, h11.Response):
                head = event
            if isinstance(event, h11.EndOfMessage):
                # h11 closes behind any answer of HTTP/1.0; RFC 9112 section 9.3 lets one be kept that asks for it.
                kept = (
                    head is not None and head.http_version == b"1.0" and (b"connection", b"keep-alive") in head.headers
                )
                return (kept or reader.their_state is h11.DONE) and not reader.trailing_data[0], False
            if event is h11.NEED_DATA or event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
                return False, True
    except h11.RemoteProtocolError:
        return False, True


class Loop(asyncio.SelectorEventLoop):
    """A loop whose connections lead to a ``Service``, and which can tell when nothing is left to do."""

    def __init__(self) -> None:
        super().__init__()
        self.services: list[Service] = []
        self.violations: list[str] = []
        self.answer: bytes | None = None
        self.cut = 0
        self.scripted = True
        self.calls = 0
        self.set_exception_handler(self._excepted)

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        self.calls += 1
        return super().call_soon(callback, *args, context=context)

    async def create_connection(self, protocol_factory: Callable[[], Any], *args: Any, **kwargs: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride] - one of many overloads
        """Connect to a service."""
        service = Service(self, protocol_factory())
        self.services.append(service)
        service.protocol.connection_made(service.wire)
        return service.wire, service.protocol

    def _excepted(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.violations.append(f"an exception escaped: {context.get('exception') or context['message']!r}")


class _Errors(logging.Handler):
    def __init__(self, found: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._found = found

    def emit(self, record: logging.LogRecord) -> None:
        cause = record.exc_info[1] if record.exc_info else ""
        if record.getMessage() == _CUT:
            return
        self._found.append(f"logged as an error: {record.getMessage()} {cause!r}")


@dataclass(frozen=True)
class Run:
    """What one client's bytes have come to."""

    heads: tuple[tuple[bytes, bytes], ...]
    """Method and target of each head that the gateway has read."""
    read: int
    """How many requests it has read to their end."""
    connections: tuple[bytes, ...]
    """What was written on each connection to the service."""
    answer: bytes
    closed: bool
    """Whether the gateway closed the client's connection."""
    violations: tuple[str, ...]


class _Witness:
    """Stands between what parses and the connection's parser, and takes note of heads and ends."""

    def __init__(self, parser: Any, heads: list[tuple[bytes, bytes]], ends: list[bool]) -> None:
        self._parser = parser
        self._heads = heads
        self._ends = ends
        self.on_message_begin = parser.on_message_begin
        self.on_url = parser.on_url
        self.on_header = parser.on_header
        self.on_body = parser.on_body
        self.on_chunk_header = parser.on_chunk_header

    def on_headers_complete(self) -> None:
        self._heads.append((self._parser.method(), bytes(self._parser.url)))
        self._parser.on_headers_complete()

    def on_message_complete(self) -> None:
        self._ends.append(True)
        self._parser.on_message_complete()


class InMemoryGateway:
    """One gateway on one engine; ``run`` plays one client after the other."""

    def __init__(self, engine: Engine = "direct", app: Gateway | None = None, *, scripted: bool = True) -> None:
        """``scripted`` says whether clients may ask the service for bad answers."""
        self.app = app or build()
        self.loop = Loop()
        self.loop.scripted = scripted
        base: Any = GatewayProtocol if engine == "direct" else GuardedProtocol
        self._config = Config(self.app, http=base, proxy_headers=False, access_log=False, log_config=None)
        self._config.load()
        self._state: dict[str, Any] = {"limen": self.app}
        self._heads: list[tuple[bytes, bytes]] = []
        self._done: list[bool] = []
        self._protocol = base
        self._token = issue(_JWT, "7", "user").encode()
        self._handler = _Errors(self.loop.violations)
        logging.getLogger("limen.access").setLevel(logging.CRITICAL)
        for name in ("limen", "uvicorn.error", "asyncio"):
            logging.getLogger(name).addHandler(self._handler)
            if name != "limen":
                logging.getLogger(name).setLevel(logging.ERROR)

    def close(self) -> None:
        """Let go of what outlives a run."""
        for name in ("limen", "uvicorn.error", "asyncio"):
            logging.getLogger(name).removeHandler(self._handler)
            logging.getLogger(name).setLevel(logging.NOTSET)
        logging.getLogger("limen.access").setLevel(logging.NOTSET)
        self.loop.close()

    def filled(self, data: bytes) -> bytes:
        """Return ``data`` with a valid token where it asks for one."""
        return data.replace(TOKEN_MARK, self._token)

    def run(self, parts: Iterable[bytes], *, answer: bytes | None = None, cut: int = 0) -> Run:
        """Play a client that writes ``parts`` and then leaves; ``answer`` is what the service always says.

        ``cut`` has each answer come in two reads, of which the first has so many bytes.
        """
        self.loop.cut = cut
        return self.loop.run_until_complete(self._run(parts, answer))

    def _watch(self, protocol: Any) -> None:
        """Take note of what ``protocol`` reads. Not from within a subclass: a compiled protocol can have none."""
        parser = protocol.parser
        parser._callbacks = _Witness(parser, self._heads, self._done)
        # What parses keeps the callbacks that it finds when it is made.
        parser._parser = httptools.HttpRequestParser(parser._callbacks)
        parser._parser.set_dangerous_leniencies(lenient_data_after_close=False)

    async def _run(self, parts: Iterable[bytes], answer: bytes | None) -> Run:
        loop = self.loop
        loop.violations.clear()
        loop.answer = answer
        self._heads.clear()
        self._done.clear()
        got: list[bytes] = []
        wire = Wire(loop, got.append)
        protocol = self._protocol(self._config, ServerState(), self._state, loop)
        self._watch(protocol)
        wire.protocol = protocol
        protocol.connection_made(wire)
        for part in parts:
            if wire.closing:
                break
            protocol.data_received(part)
            await self.settled()
            while sum(service.say_rest() for service in loop.services):
                await self.settled()
        closed = wire.closing or wire.finished
        if not wire.closing:
            protocol.eof_received()
            wire.lose()
        await self.settled()
        if not (state := snapshot(self.app)).drained:
            loop.violations.append(f"a connection stays busy when the client has left: {state}")
        found = Run(
            tuple(self._heads),
            len(self._done),
            tuple(service.out for service in loop.services),
            b"".join(got),
            closed,
            tuple(loop.violations),
        )
        for service in loop.services:
            service.wire.lose()
        loop.services.clear()
        await self.settled()
        return found

    async def settled(self) -> None:
        """Let the loop run until nothing is left to do but to wait for somebody."""
        for _ in range(_TURNS):
            before = self.loop.calls
            await asyncio.sleep(0)
            if self.loop.calls == before + 1:
                return
        self.loop.violations.append(f"still busy after {_TURNS} turns of the loop")
