"""``limen serve --tls-certificate`` and its clients, on both engines: which are admitted, and for how long."""

import asyncio
import contextlib
import signal
import socket
import ssl
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from certificates import Authority
from commands import request, running
from limen.testing import ScriptedUpstream, saying
from slow import GATE, PLAIN
from tls_clients import secured

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

# uvloop resets before its alert has left, as the case may be.
REFUSED = (ssl.SSLError, ConnectionError)


@pytest.fixture
async def upstream(tmp_path: Path) -> AsyncGenerator[ScriptedUpstream]:
    (tmp_path / "plain.py").write_text(PLAIN)
    async with ScriptedUpstream(saying(*[OK] * 9)) as server:
        (tmp_path / "gate.py").write_text(GATE.replace("PORT", str(server.port)))
        yield server


def serve(folder: Path, port: int, pair: tuple[Path, Path], *more: str, app: str = "gate:app") -> Any:
    argv = ("serve", app, "--port", str(port), "--tls-certificate", str(pair[0]), "--tls-key", str(pair[1]))
    return running(folder, *argv, *more)


@pytest.mark.parametrize("engine", ["direct", "asgi"])
async def test_services_are_told_that_the_client_used_https(
    tmp_path: Path, port: int, authority: Authority, upstream: ScriptedUpstream, engine: str
) -> None:
    async with serve(tmp_path, port, authority.pair("served"), "--engine", engine) as command:
        await command.says("Application startup complete")
        async with secured(port, authority.client()) as streams:
            session: Any = streams[1].get_extra_info("ssl_object")
            assert (session.version(), session.selected_alpn_protocol()) == ("TLSv1.3", "http/1.1")
            for number in range(3):
                head, content = await request(streams, f"/x/{number}", body=b"x" * 300_000)
                assert (head.startswith(b"http/1.1 200"), content) == (True, b"ok")
                assert b"strict-transport-security" not in head
        assert all(b"\r\nx-forwarded-proto: https\r\n" in seen for seen in upstream.requests)
        # Plain HTTP on this port is not answered, and does no harm.
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nhost: g\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert b"HTTP" not in await reader.read()
        writer.close()
        async with secured(port, authority.client()) as streams:
            assert (await request(streams, "/x"))[1] == b"ok"
        assert len(upstream.requests) == 4
        assert "Traceback" not in command.text


async def test_tls_1_2_with_forward_secrecy_is_the_minimum(
    tmp_path: Path, port: int, authority: Authority, upstream: ScriptedUpstream
) -> None:
    async with serve(tmp_path, port, authority.pair("served")) as command:
        await command.says("Application startup complete")
        client = authority.client()
        client.maximum_version = ssl.TLSVersion.TLSv1_2
        async with secured(port, client) as streams:
            session: Any = streams[1].get_extra_info("ssl_object")
            assert session.version() == "TLSv1.2"
            assert session.cipher()[0].startswith("ECDHE-")
            assert (await request(streams, "/x"))[1] == b"ok"
        for ciphers in ("AES256-GCM-SHA384", "ECDHE-RSA-AES256-SHA:ECDHE-ECDSA-AES256-SHA"):
            client.set_ciphers(ciphers)
            with pytest.raises(REFUSED):
                async with secured(port, client):
                    pass
        old = authority.client()
        with pytest.warns(DeprecationWarning, match="deprecated"):
            old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.raises(REFUSED):
            async with secured(port, old):
                pass


@pytest.mark.parametrize("workers", [(), ("--workers", "1")])
@pytest.mark.parametrize("wanted", ["required", "optional"])
async def test_client_certificates(
    tmp_path: Path, port: int, authority: Authority, upstream: ScriptedUpstream, wanted: str, workers: tuple[str, ...]
) -> None:
    argv = ("--tls-client-ca", str(authority.path), "--tls-client-auth", wanted, *workers)
    async with serve(tmp_path, port, authority.pair("served"), *argv) as command:
        await command.says("serves" if workers else "Application startup complete")
        async with secured(port, authority.client(authority.pair("someone", "someone.example"))) as streams:
            assert (await request(streams, "/x"))[1] == b"ok"
        stranger = Authority(tmp_path, "stranger").pair("stranger", "someone.example")
        for pair in (stranger, None):
            if pair is None and wanted == "optional":
                async with secured(port, authority.client()) as streams:
                    assert (await request(streams, "/x"))[1] == b"ok"
                continue
            with pytest.raises(REFUSED):
                async with secured(port, authority.client(pair)) as streams:
                    await request(streams, "/x")
        assert len(upstream.requests) == (2 if wanted == "optional" else 1)


@pytest.mark.parametrize("workers", [(), ("--workers", "1")])
async def test_a_stop_does_not_wait_for_close_notify(
    tmp_path: Path, port: int, authority: Authority, upstream: ScriptedUpstream, workers: tuple[str, ...]
) -> None:
    del upstream
    async with serve(tmp_path, port, authority.pair("served"), *workers, app="plain:app") as command:
        await command.says("serves" if workers else "Application startup complete")
        client = authority.client()

        def visit() -> ssl.SSLSocket:
            bare = socket.create_connection(("127.0.0.1", port), timeout=20)
            session = client.wrap_socket(bare, server_hostname="localhost")
            session.sendall(b"GET /jobs/1 HTTP/1.1\r\nhost: g\r\n\r\n")
            assert session.recv(65536).startswith(b"HTTP/1.1 200")
            return session

        # A client in a pool that looks at its connection only when it needs it again.
        with await asyncio.to_thread(visit), socket.create_connection(("127.0.0.1", port)):
            command.send(signal.SIGTERM)
            assert await command.ends() == 0
        assert "cut after" not in command.text


@pytest.mark.parametrize("workers", [(), ("--workers", "1")])
async def test_an_answer_that_does_not_end_is_cut_at_a_stop_and_does_not_look_whole(
    tmp_path: Path, port: int, authority: Authority, upstream: ScriptedUpstream, workers: tuple[str, ...]
) -> None:
    del upstream
    async with serve(tmp_path, port, authority.pair("served"), "--grace", "1", *workers, app="plain:app") as command:
        await command.says("serves" if workers else "Application startup complete")
        async with secured(port, authority.client()) as half:
            half[1].write(b"GET /half HTTP/1.1\r\nhost: g\r\n\r\n")
            assert (await half[0].readuntil(b"half")).startswith(b"HTTP/1.1 200")
            command.send(signal.SIGTERM)
            with pytest.raises(ConnectionResetError):
                await half[0].read()
        assert await command.ends() == 0
        assert "cut after 1 s: 1 connections" in command.text
