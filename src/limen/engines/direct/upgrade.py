"""What becomes of a request that offers an upgrade: only a WebSocket gets it; the body of any other is read on."""

from typing import TYPE_CHECKING, Any

from limen.engines.direct.stages import DISCARDING
from limen.http.headers import Head

if TYPE_CHECKING:
    from limen.engines.direct.protocol import GatewayProtocol


def offers_websocket(head: Head) -> bool:
    """Tell whether ``head`` asks for a WebSocket (RFC 6455 section 4.1)."""
    upgrade = head.all(b"upgrade")
    if not upgrade or upgrade[-1].lower() != b"websocket":
        return False
    connection = head.all(b"connection")
    return bool(connection) and b"upgrade" in [token.lower().strip() for token in connection[-1].split(b",")]


def give_to_websocket(connection: "GatewayProtocol", early: bytes) -> None:
    """Give ``connection`` to the server's protocol for WebSockets; ``early`` is what has come of frames already."""
    early += connection.input.take_back()
    connection.stop_counting()
    connection.parser.stage = DISCARDING
    connection.input.give_away()
    connection.connections.discard(connection)
    head = b"GET " + connection.parser.url + b" HTTP/1.1\r\n"
    for name, value in connection.parser.headers:
        head += name + b": " + value + b"\r\n"
    make: Any = connection.config.ws_protocol_class
    taker = make(config=connection.config, server_state=connection.server_state, app_state=connection.app_state)
    taker.connection_made(connection.transport)
    taker.data_received(head + b"\r\n")
    connection.transport.set_protocol(taker)
    connection.release_parts()
    if early and not connection.transport.is_closing():
        taker.data_received(early)


def framing_head(method: bytes, head: Head) -> bytes | None:
    """Return a head that states nothing but the framing of the body behind ``head``; None where none follows."""
    length = head.all(b"content-length")
    if head.all(b"transfer-encoding"):
        return b"%b / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n" % method
    if length and length[0].strip(b"0"):
        return b"%b / HTTP/1.1\r\ncontent-length: %b\r\n\r\n" % (method, length[0])
    return None


class ResumedBodyCallbacks:
    """Reads a body whose head another parser has read: the first head, which only states the framing, is kept back."""

    def __init__(self, parser: Any) -> None:
        """``parser``, whose callbacks are those of a ``RequestParser``, gets everything else."""
        self._parser = parser
        self._muted = True
        self.on_body = parser.on_body
        self.on_chunk_header = parser.on_chunk_header
        self.on_message_complete = parser.on_message_complete

    def on_message_begin(self) -> None:
        """Begin a request."""
        if not self._muted:
            self._parser.on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Pass a piece of the target on."""
        if not self._muted:
            self._parser.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Pass a header line on."""
        if not self._muted:
            self._parser.on_header(name, value)

    def on_headers_complete(self) -> None:
        """Pass on that the head is whole."""
        if self._muted:
            self._muted = False
        else:
            self._parser.on_headers_complete()
