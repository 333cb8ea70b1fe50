"""What the direct engine relies on in uvicorn, by name and by what it does: a new uvicorn that differs fails here first."""

import asyncio
import inspect
from typing import Any

import httptools
import pytest
import uvicorn
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import service_unavailable
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import Server, ServerState

from limen import Gateway, Upstream, anyone
from limen.engines.direct import GatewayProtocol

# What uvicorn's server does with a connection, apart from the calls of ``asyncio.Protocol``.
OF_A_CONNECTION = ("shutdown",)
STATE = ("connections", "default_headers", "tasks", "total_requests")
CONFIG = (
    *("asgi_version", "limit_concurrency", "loaded", "loaded_app", "reset_contextvars", "root_path"),
    "ws_protocol_class",
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


def test_the_protocol_is_made_as_uvicorn_makes_its_own() -> None:
    named = list(inspect.signature(HttpToolsProtocol.__init__).parameters)
    assert named == ["self", "config", "server_state", "app_state", "_loop"]
    assert list(inspect.signature(GatewayProtocol.__init__).parameters) == named


def test_the_configuration_and_the_state_have_what_is_used() -> None:
    config = Config(gateway(), log_config=None)
    config.load()
    for name in CONFIG:
        assert hasattr(config, name), name
    for name in STATE:
        assert hasattr(ServerState(), name), name


def test_the_server_asks_nothing_else_of_a_connection() -> None:
    source = inspect.getsource(Server.shutdown)
    for name in OF_A_CONNECTION:
        assert f"connection.{name}(" in source
        assert callable(getattr(GatewayProtocol, name))
    assert source.count("connection.") == len(OF_A_CONNECTION)


@pytest.mark.parametrize("call", ["connection_made", "data_received", "eof_received", "connection_lost"])
def test_it_has_the_calls_of_a_protocol(call: str) -> None:
    own, theirs = (
        list(inspect.signature(getattr(kind, call)).parameters) for kind in (GatewayProtocol, asyncio.Protocol)
    )
    assert own == theirs


async def test_uvicorn_refuses_what_passes_its_own_limit_with_503() -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    refused: Any = service_unavailable
    await refused({"type": "http"}, receive, send)
    assert sent[0]["status"] == 503


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
    made: Any = protocol(app, {"limen": app}, **options)
    assert made.dispatcher.host is app
    made.loop.close()


def test_whatever_stands_before_the_gateway_sees_every_request() -> None:
    app = gateway()
    with_middleware = gateway()
    with_middleware.add_middleware(GZipMiddleware)
    made: Any
    for made in (
        protocol(Wrapper(app), {"limen": app}),
        protocol(with_middleware, {"limen": with_middleware}),
        protocol(app, {}),
    ):
        assert made.dispatcher.host is None
        made.loop.close()
