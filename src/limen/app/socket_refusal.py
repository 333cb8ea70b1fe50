"""What somebody gets who may not open a WebSocket: an answer in place of the handshake, where the server can write one."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket

from limen.http.replies import Reply

_POLICY_VIOLATION = 1008  # RFC 6455 section 7.4.1


class SocketRefused(Exception):
    """The rule of a WebSocket has refused the caller, who gets ``reply``."""

    def __init__(self, reply: Reply) -> None:
        """Say nothing of the caller: servers write exceptions to their logs."""
        super().__init__("a WebSocket was refused")
        self.reply = reply


async def on_socket_refused(connection: Request | WebSocket, error: Exception) -> None:
    """Write the reply; where the server knows no such answer, close, which it answers with 403."""
    assert isinstance(error, SocketRefused)
    assert isinstance(connection, WebSocket)
    if "websocket.http.response" not in (connection.scope.get("extensions") or ()):
        await connection.close(_POLICY_VIOLATION)
        return
    response = Response(error.reply.body, error.reply.status)
    response.raw_headers = [
        line for line in error.reply.headers if line[0] != b"content-length"
    ]  # servers write their own
    await connection.send_denial_response(response)
