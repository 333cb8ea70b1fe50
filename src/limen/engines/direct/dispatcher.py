"""Whose a request is: a ``DirectExchange`` for what the gateway's table knows, else the application's, by way of ASGI.

The application's are local endpoints, routes with dependencies, which FastAPI runs, and every request of an application that
has middleware, or that something wraps: there each request has to be seen by somebody else first.
"""

from typing import TYPE_CHECKING, Any, final
from urllib.parse import unquote

from uvicorn.config import Config
from uvicorn.middleware.message_logger import MessageLoggerMiddleware
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.utils import get_local_addr, is_ssl

from limen.client.root_path import below_root, raw_root
from limen.client.trust import Origin, Trust
from limen.engines.direct.asgi_request import AsgiRequest
from limen.engines.direct.exchange import DirectExchange
from limen.engines.direct.local_reply import options_of_server
from limen.engines.direct.pipelined import PipelinedRequest
from limen.errors import Fault
from limen.exchange.outcome import Outcome
from limen.exchange.request import Request
from limen.http.headers import Head
from limen.pipeline import steps
from limen.pipeline.exchange import Exchange
from limen.routing.find import final_recipient, find
from limen.routing.table import Local, Match, MethodNotAllowed
from limen.runtime.host import EngineHost

if TYPE_CHECKING:
    from limen.engines.direct.protocol import GatewayProtocol


@final
class Dispatcher:
    """Makes the requests of one connection. ``gateway`` is there whether or not something wraps it."""

    __slots__ = (
        *(
            "_app",
            "_connection",
            "_hosts",
            "_origin",
            "_origin_lines",
            "_public_root",
            "_raw_scheme",
            "_root",
            "_scheme",
            "_server",
        ),
        *("_server_root", "_trusted", "gateway", "host"),
    )

    def __init__(self, connection: "GatewayProtocol", *, direct: bool) -> None:
        """Without ``direct``, all goes by way of ASGI."""
        config: Any = connection.config
        self._connection = connection
        self._app: Any = vars(config)["loaded_app"]
        self.gateway: EngineHost | None = connection.app_state.get("limen")
        self.host = _host(config, connection.app_state) if direct else None
        self._server: tuple[str, int | None] | None = None
        self._scheme = "http"
        self._raw_scheme = b"http"
        # The root path of the server, which the path does not have, and that of the application, which it may have.
        self._server_root = raw_root(config.root_path)
        self._root = self._server_root
        if self.gateway is not None and self.gateway.root_path:
            self._root = raw_root(self.gateway.root_path)
        # As of the last request with these hosts.
        self._hosts: list[bytes] | None = None
        self._trusted = False
        self._origin: Origin | None = None
        self._origin_lines = b""
        self._public_root = b""

    def connected(self, transport: Any) -> None:
        """Take note of where the connection ends."""
        self._server = get_local_addr(transport)
        self._scheme = "https" if is_ssl(transport) else "http"
        self._raw_scheme = self._scheme.encode()

    def serves_websocket(self) -> bool:
        """Tell whether a WebSocket may be had at the target: of the application, never on a route of the gateway's."""
        connection = self._connection
        if connection.config.ws_protocol_class is None:
            return False
        if self.gateway is None:
            return True
        path, _, query = connection.parser.url.partition(b"?")
        table = self.gateway.active_config().table
        path = self._below_root(path)
        return not isinstance(find(table, b"GET", path, query), Fault) and table.has_websocket(path)

    def request(self, method: bytes, head: Head) -> PipelinedRequest:
        """Return the newest request, for whoever serves it."""
        url = self._connection.parser.url
        if url == b"*":
            return options_of_server(self._connection, method, head)
        exchange = self._exchange(self.host, method, url, head) if self.host is not None else None
        return self._asgi_request(method, url) if exchange is None else exchange

    def _exchange(self, host: EngineHost, method: bytes, url: bytes, head: Head) -> DirectExchange | None:
        """Return the exchange for this head; None leaves it to the application."""
        connection = self._connection
        if connection.limit_concurrency is not None and connection.is_at_its_limit():
            return None
        active = host.active_config_of_lifespan()
        path, mark, query = url.partition(b"?")
        if self._root:
            path = self._below_root(path)
        found = find(active.table, method, path, query)
        if found is None or isinstance(found, Local):
            return None
        if isinstance(found, Match):
            if found.plan.guard is not None:
                return None
        elif isinstance(found, MethodNotAllowed) and found.local and method != b"OPTIONS":
            return None  # what answers 405 may be the user's
        if method == b"OPTIONS":
            found = final_recipient(active.table, found, path, head)
        parser = connection.parser
        origin, hosts = self._origin, head.all(b"host")
        if origin is None or hosts != self._hosts or self._trusted:
            origin = self._origin_of(active.runtime.trust, head, hosts)
        request_id = steps.request_id(head, active.runtime.new_request_id)
        request = Request(
            method,
            path,
            query if mark else None,
            head,
            request_id=request_id,
            peer=connection.peer,
            client=origin.client,
            scheme=origin.scheme,
            host=origin.host,
            origin=self._origin_lines,
            root=self._public_root,
        )
        old = parser.version == "1.0"
        return DirectExchange(
            connection,
            Exchange(active, found, request, Outcome(method, path, request_id, connection.peer)),
            active.runtime.body_memory,
            keep_alive=not old and parser.keeps_alive(),
            chunks=not old,
            expects=parser.expects_continue,
        )

    def _below_root(self, path: bytes) -> bytes:
        """Return the path that the table is asked about, as the asgi engine and FastAPI read it."""
        return path if self._root == self._server_root else below_root(self._server_root + path, self._root)

    def _origin_of(self, trust: Trust, head: Head, hosts: list[bytes]) -> Origin:
        """Return where a request comes from: of a trusted peer that may differ with each, of others only with ``Host``."""
        peer = self._connection.peer
        self._trusted = trust.covers(peer)
        origin = steps.origin(trust, head, peer=peer, trusted=self._trusted, scheme=self._raw_scheme)
        self._public_root = self._root or origin.prefix
        self._origin_lines = steps.origin_lines(origin, self._public_root)
        self._origin = origin
        self._hosts = hosts
        return origin

    def _asgi_request(self, method: bytes, url: bytes) -> AsgiRequest:
        connection = self._connection
        parser, config = connection.parser, connection.config
        raw_path, _, query = url.partition(b"?")
        path = raw_path.decode("ascii")
        root: str = config.root_path
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": config.asgi_version, "spec_version": "2.3"},
            "http_version": parser.version,
            "server": self._server,
            "client": connection.client,
            "scheme": self._scheme,
            "root_path": root,
            "headers": parser.headers,
            "state": connection.app_state.copy(),
            "method": method.decode("ascii"),
            "path": root + (unquote(path) if "%" in path else path),
            "raw_path": root.encode("ascii") + raw_path,
            "query_string": query,
        }
        if not query and url.endswith(b"?"):
            scope["extensions"] = {steps.EMPTY_QUERY: {}}
        keep_alive = parser.version != "1.0" and parser.keeps_alive()
        return AsgiRequest(connection, self._app, scope, keep_alive=keep_alive, expects=parser.expects_continue)


def _host(config: Config, app_state: dict[str, Any]) -> EngineHost | None:
    """Return the gateway, if it is the application itself: what wraps one must see every request."""
    found: Any = app_state.get("limen")
    app: Any = vars(config)["loaded_app"]
    while isinstance(app, ProxyHeadersMiddleware | MessageLoggerMiddleware):
        app = vars(app)["app"]
    if found is None or found is not app or not found.direct():
        return None
    host: EngineHost = found
    return host
