"""What the direct engine relies on in uvicorn, by name: a new uvicorn that changes one of these fails here first."""

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
from limen.direct import GatewayProtocol
from limen.direct.exchange import Exchange
from limen.direct.shared import Said

CYCLE = ("response_complete", "disconnected", "keep_alive", "message_event")
# What the guard looks at in uvicorn's own cycles besides, and so in what stands in line with them.
GUARDED_CYCLE = (*CYCLE, "response_started", "body", "more_body")
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
    "timeout_keep_alive",
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


def test_an_exchange_shows_what_a_cycle_does() -> None:
    source = inspect.getsource(RequestResponseCycle.__init__)
    for name in CYCLE:
        assert f"self.{name} = " in source, name
        assert hasattr(Exchange, name), name
    for name in GUARDED_CYCLE:
        assert f"self.{name} = " in source, name
        assert hasattr(Said, name), name
    touched = inspect.getsource(HttpToolsProtocol)
    for attribute in ("body", "more_body"):
        # Only in methods that GatewayProtocol answers itself for an exchange.
        assert touched.count(f"cycle.{attribute}") == inspect.getsource(HttpToolsProtocol.on_body).count(
            f"cycle.{attribute}"
        ) + inspect.getsource(HttpToolsProtocol.on_message_complete).count(f"cycle.{attribute}")


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
