"""A TLS service: the test decides how its connection ends, down to the last record."""

import asyncio
import contextlib
import socket
import ssl
import threading


class TlsService(threading.Thread):
    """Serves one answer, then ends the TCP connection in order, with or without TLS's own farewell.

    A thread, because asyncio's servers always say farewell. ``over`` is set when the service has done its part.
    """

    def __init__(self, context: ssl.SSLContext, answer: bytes, *, notify: bool) -> None:
        super().__init__()
        self._context = context
        self._answer = answer
        self._notify = notify
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://localhost:{self._listener.getsockname()[1]}"
        self.over = threading.Event()

    def run(self) -> None:
        """Serve."""
        with self._listener:
            bare, _ = self._listener.accept()
        with bare, contextlib.suppress(OSError):  # the gateway refuses, or leaves
            bare.settimeout(20)
            with self._context.wrap_socket(bare, server_side=True, do_handshake_on_connect=False) as session:
                try:
                    session.do_handshake()
                except ssl.SSLError:
                    self._refuse(session)
                    return
                session.recv(65536)
                session.sendall(self._answer)
                self.over.set()
                if self._notify:
                    session.unwrap()
                else:
                    socket.socket.shutdown(session, socket.SHUT_WR)  # TCP's alone
                    session.recv(1)

    @staticmethod
    def _refuse(session: ssl.SSLSocket) -> None:
        """Take what comes: closing with something unread would be a reset, which may overtake the alert."""
        socket.socket.shutdown(session, socket.SHUT_WR)
        while socket.socket.recv(session, 65536):
            pass

    async def __aenter__(self) -> "TlsService":
        self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await asyncio.to_thread(self.join)
