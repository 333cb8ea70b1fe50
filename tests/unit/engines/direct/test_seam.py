"""What the direct engine relies on in uvicorn, by name and by what it does: a new uvicorn that differs fails here first."""

import asyncio
import inspect
from typing import Any

import httptools
import pytest
import uvicorn
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from limen import Gateway, Upstream, anyone
from limen.engines.direct import GatewayProtocol
from limen.engines.direct.exchange import Exchange
from limen.engines.direct.shared import LocalReply

PROTOCOL = (
    "app",
    "client",
    "connections",
    "cycle",
    "expect_100_continue",
    "flow",
    "headers",
    "limit_concurrency",
    "loop",
    "parser",
    "pipeline",
    "scheme",
    "server_state",
    "tasks",
    "transport",
)
METHODS = (
    "_start_asgi_task",
    "_should_upgrade",
    "_unset_keepalive_if_required",
    "connection_lost",
    "connection_made",
    "data_received",
    "handle_websocket_upgrade",
    "on_body",
    "on_header",
    "on_headers_complete",
    "on_message_begin",
    "on_message_complete",
    "on_response_complete",
    "on_url",
    "pause_writing",
    "resume_writing",
    "shutdown",
    "timeout_keep_alive_handler",
)


def gateway() -> Gateway:
    app = Gateway()
    app.forward("/x", upstream=Upstream("x", ["http://127.0.0.1:1"]), allow=anyone)
    return app


def protocol(app: ASGIApp, state: dict[str, Any], **options: Any) -> GatewayProtocol:
    config = Config(app, log_config=None, **options)
    config.load()
    return GatewayProtocol(config, ServerState(), state, asyncio.new_event_loop())


def test_the_version_is_one_that_was_read() -> None:
    assert uvicorn.__version__.startswith("0.54.")


def test_the_protocol_has_what_is_used() -> None:
    for name in METHODS:
        assert callable(getattr(HttpToolsProtocol, name)), name
    assert list(inspect.signature(HttpToolsProtocol.__init__).parameters) == [
        "self",
        "config",
        "server_state",
        "app_state",
        "_loop",
    ]
    made = protocol(gateway(), {})
    for name in PROTOCOL:
        assert hasattr(made, name), name
    for name in ("default_headers", "total_requests"):
        assert hasattr(ServerState(), name), name
    made.loop.close()


class Line(asyncio.Transport):
    """A transport that is open until it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = False
        self.written = b""

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data


class Cycle:
    """What stands in line shows no more of a cycle than this: whatever else uvicorn touches is an AttributeError."""

    __slots__ = ("disconnected", "keep_alive", "message_event", "response_complete")

    def __init__(self, *, complete: bool = False) -> None:
        self.disconnected = False
        self.keep_alive = True
        self.message_event = asyncio.Event()
        self.response_complete = complete


class Plain(HttpToolsProtocol):
    """uvicorn's own protocol, whose turns are only counted."""

    def __init__(self, app: ASGIApp) -> None:
        config = Config(app, log_config=None)
        config.load()
        super().__init__(config, ServerState(), {}, asyncio.get_running_loop())
        self.line = Line()
        self.connection_made(self.line)
        self.started: list[Any] = []

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self.started.append(cycle)

    def put(self, *cycles: Cycle) -> None:
        """Let the first be answered, and the others wait behind it."""
        current, *waiting = cycles
        vars(self)["cycle"] = current
        for one in waiting:
            vars(self)["pipeline"].appendleft((one, None))


@pytest.mark.parametrize("shown", [Exchange, LocalReply])
def test_what_stands_in_line_shows_what_uvicorn_touches(shown: type) -> None:
    assert set(Cycle.__slots__) <= set(dir(shown))


@pytest.mark.parametrize("complete", [False, True])
async def test_a_lost_connection_is_told_to_whoever_is_not_done(complete: bool) -> None:
    protocol, cycle = Plain(gateway()), Cycle(complete=complete)
    protocol.put(cycle)
    protocol.connection_lost(None)
    assert cycle.disconnected is not complete
    assert cycle.message_event.is_set()


@pytest.mark.parametrize("complete", [False, True])
async def test_a_stop_lets_whoever_is_not_done_finish(complete: bool) -> None:
    protocol, cycle = Plain(gateway()), Cycle(complete=complete)
    protocol.put(cycle)
    protocol.shutdown()
    assert (cycle.keep_alive, protocol.line.closed) == (complete, complete)


async def test_one_after_the_other_has_its_turn_and_then_the_connection_is_idle() -> None:
    protocol, first, second, third = Plain(gateway()), *(Cycle(complete=True) for _ in range(3))
    protocol.put(first, second, third)
    for started in ([second], [second, third]):
        protocol.on_response_complete()
        assert protocol.started == started
        assert protocol.timeout_keep_alive_task is None
    protocol.on_response_complete()
    assert protocol.started == [second, third]
    assert protocol.timeout_keep_alive_task is not None
    protocol.timeout_keep_alive_task.cancel()
    assert protocol.server_state.total_requests == 3
    protocol.timeout_keep_alive_handler()
    assert protocol.line.closed


async def test_a_cycle_shows_the_guard_how_far_it_is() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    protocol = Plain(app)
    protocol.data_received(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nab")
    (cycle,) = protocol.started
    assert protocol.cycle is cycle
    assert (bytes(cycle.body), cycle.more_body) == (b"ab", True)
    protocol.data_received(b"cd")
    assert (bytes(cycle.body), cycle.more_body) == (b"abcd", False)
    assert (cycle.response_started, cycle.response_complete) == (False, False)
    await cycle.run_asgi(app)
    assert (cycle.response_started, cycle.response_complete) == (True, True)
    assert protocol.timeout_keep_alive_task is not None
    protocol.timeout_keep_alive_task.cancel()


def test_a_cycle_has_what_keeps_chunks_from_a_client_of_http_1_0() -> None:
    source = inspect.getsource(RequestResponseCycle.send)
    for name in ("chunked_encoding", "expected_content_length", "transport"):
        assert f"self.{name}" in source, name


@pytest.mark.parametrize("name", ["body", "more_body", "response_started"])
def test_an_answer_in_line_shows_the_guard_the_same(name: str) -> None:
    assert hasattr(LocalReply, name)


def test_the_parser_has_what_is_used() -> None:
    """Without ``set_dangerous_leniencies``, what follows ``Connection: close`` would be a second request."""
    for name in ("feed_data", "get_http_version", "get_method", "set_dangerous_leniencies", "should_upgrade"):
        assert callable(getattr(httptools.HttpRequestParser, name)), name
    for error in (httptools.HttpParserUpgrade, httptools.HttpParserCallbackError):
        assert issubclass(error, Exception)


class Wrapper:
    """Middleware of somebody else's, around the whole application."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


@pytest.mark.parametrize("options", [{}, {"proxy_headers": True}, {"log_level": "trace"}])
def test_the_gateway_itself_is_served_directly(options: dict[str, Any]) -> None:
    app = gateway()
    made = protocol(app, {"limen": app}, **options)
    assert vars(made)["_door"] is app
    made.loop.close()


def test_whatever_stands_before_the_gateway_sees_every_request() -> None:
    app = gateway()
    with_middleware = gateway()
    with_middleware.add_middleware(GZipMiddleware)
    for made in (
        protocol(Wrapper(app), {"limen": app}),
        protocol(with_middleware, {"limen": with_middleware}),
        protocol(app, {"limen": app}, root_path="/api"),
        protocol(app, {}),
    ):
        assert vars(made)["_door"] is None
        made.loop.close()
