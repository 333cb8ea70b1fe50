"""What different servers make of the same bytes: the requests they accept, in one canonical form, and whether they refuse.

Limen, on either engine, is judged by what reaches the service behind it; h11 by what it reads; nginx by what it passes on.
"""

import asyncio
import contextlib
import re
import socket
import subprocess
import threading
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from pathlib import Path

import h11

import strictness
from in_memory_gateway import InMemoryGateway
from limen import Gateway, Limits, Upstream, anyone

# What any intermediary removes, replaces or adds is no part of a verdict. nginx and we drop names with an underscore.
_OWN = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding upgrade "
    b"content-length expect forwarded host via x-forwarded-for x-forwarded-host x-forwarded-port x-forwarded-prefix "
    b"x-forwarded-proto x-forwarded-server x-real-ip x-request-id max-forwards request-identity "
    b"request-session-id request-user-id request-user-role "
    b"authorization http2-settings".split()
)

# The target of an absolute-form says the same as its path in origin-form, with Host beside it (RFC 9112 section 3.2.2).
_ABSOLUTE = re.compile(rb"^https?://[^/?#]*", re.IGNORECASE)


@dataclass(frozen=True)
class Accepted:
    """One request, canonical: what it asks for, its end-to-end headers in order, and its content."""

    method: bytes
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


@dataclass(frozen=True)
class Verdict:
    """What one server made of a stream: the whole requests that it took, and why it stopped, if it says so."""

    accepted: tuple[Accepted, ...]
    refusal: str = ""


def everything() -> Gateway:
    """Return a gateway that lets anybody ask for anything: what it refuses, it refuses for its form."""
    app = Gateway()
    service = Upstream("svc", ["http://127.0.0.1:9"], limits=Limits(connections=8))
    app.forward("/{path:path}", upstream=service, allow=anyone)
    return app


def _canonical(method: bytes, target: bytes, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> Accepted:
    lines = [(bytes(name).lower(), bytes(value).strip(b" \t")) for name, value in headers]
    named = {one.strip().lower() for name, value in lines if name == b"connection" for one in value.split(b",")}
    kept = ((n, v) for n, v in lines if n not in _OWN and n not in named and b"_" not in n)
    return Accepted(bytes(method), _ABSOLUTE.sub(b"", bytes(target)) or b"/", tuple(kept), body)


def limen(gateway: InMemoryGateway, data: bytes) -> Verdict:
    """Return Limen's verdict. Byte by byte, so that each request is served before the next is read."""
    run = gateway.run([data[i : i + 1] for i in range(len(data))])
    out = [one for connection in run.connections for one in strictness.requests(connection) if one.whole]
    accepted = tuple(_canonical(one.method, one.target, one.headers, one.body) for one in out)
    return Verdict(accepted, run.answer.rpartition(b"HTTP/1.1 ")[2][:3].decode("latin-1") if run.closed else "")


def by_h11(data: bytes) -> Verdict:
    """Return h11's verdict."""
    reader = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    reader.receive_data(data)
    found: list[Accepted] = []
    head: h11.Request | None = None
    body = b""
    try:
        while True:
            event = reader.next_event()
            if isinstance(event, h11.Request):
                head, body = event, b""
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                assert head is not None
                found.append(_canonical(head.method, head.target, head.headers, body))
                strictness.answer(reader)
                reader.start_next_cycle()
            else:
                return Verdict(tuple(found))
    except h11.RemoteProtocolError as error:
        return Verdict(tuple(found), str(error))
    except h11.LocalProtocolError:
        return Verdict(tuple(found))  # the request was the last of its connection


_CONF = """
daemon off; worker_processes 1; error_log stderr crit; pid {folder}/pid;
events {{ worker_connections 64; }}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://unix:{folder}/service:; proxy_http_version 1.1; proxy_request_buffering on;
            proxy_ignore_client_abort on; proxy_set_header Host g;
        }}
    }}
}}
"""


class Nginx:
    """nginx in front of a service that records; for ``verdict`` only."""

    def __init__(self, port: int, recorder: "_Recorder") -> None:
        self._port = port
        self._recorder = recorder

    def verdict(self, data: bytes) -> Verdict:
        """Return nginx's verdict on one stream."""
        self._recorder.seen.clear()
        answer = b""
        with socket.create_connection(("127.0.0.1", self._port), 5) as client, contextlib.suppress(OSError):
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            while piece := client.recv(65536):
                answer += piece
        accepted = [one for stream in list(self._recorder.seen) for one in by_h11(bytes(stream)).accepted]
        refusal = answer.rpartition(b"HTTP/1.1 ")[2][:3].decode("latin-1")
        return Verdict(tuple(accepted), refusal if refusal != "200" else "")


class _Recorder(threading.Thread):
    """Keeps what comes on each connection, and answers each request."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self.seen: list[bytearray] = []
        self._path = path
        self._loop = asyncio.new_event_loop()
        self.ready = threading.Event()

    def run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._over = asyncio.Event()
        async with await asyncio.start_unix_server(self._converse, str(self._path)):
            self.ready.set()
            await self._over.wait()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(lambda: self._over.set())
        self.join()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        stream = bytearray()
        self.seen.append(stream)
        while data := await reader.read(65536):
            stream += data
            if by_h11(bytes(stream)).accepted:
                writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
                await writer.drain()
                break
        writer.close()


@contextlib.contextmanager
def nginx(program: str, folder: Path) -> Generator[Nginx]:
    """Run nginx until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    recorder = _Recorder(folder / "service")
    recorder.start()
    recorder.ready.wait()
    (folder / "service").chmod(0o777)  # nginx's workers may be another user
    folder.chmod(0o777)
    (folder / "conf").write_text(_CONF.format(folder=folder, port=port))
    server = subprocess.Popen([program, "-p", str(folder), "-c", str(folder / "conf")], stderr=subprocess.DEVNULL)
    try:
        while True:
            assert server.poll() is None, (
                "nginx ended at once: run it with the configuration in tests/support/verdicts.py"
            )
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
        yield Nginx(port, recorder)
    finally:
        server.terminate()
        server.wait()
        recorder.stop()
