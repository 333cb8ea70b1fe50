"""Keys at an address: one fetch for all waiters, and a bad, slow or dead address costs little."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme

from limen_kit.fetch import MAX_BYTES, fetch
from limen_kit.keys import RemoteKeys
from limen_kit.testing.jwks import PRIVATE_JWK, jwk, jwk_set

Respond = Callable[[asyncio.StreamWriter], Awaitable[None]]


class JwksServer:
    """A server of keys whose answer a test sets; counts the requests."""

    def __init__(self) -> None:
        self.requests = 0
        self.respond: Respond = self.respond_with_keys("a")
        self.url = ""

    def respond_with_keys(self, *kids: str) -> Respond:
        return self.respond_with(jwk_set(*map(jwk, kids)).encode())

    def respond_with(self, content: bytes, status: bytes = b"200 OK", fields: bytes = b"") -> Respond:
        async def write(writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 %b\r\ncontent-length: %d\r\n%b\r\n%b" % (status, len(content), fields, content))

        return write

    def respond_raw(self, data: bytes) -> Respond:
        async def write(writer: asyncio.StreamWriter) -> None:
            writer.write(data)

        return write

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            self.requests += 1
            await self.respond(writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def running_server(tls: ssl.SSLContext | None = None) -> AsyncGenerator[JwksServer]:
    server = JwksServer()
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    server.url = f"{'https' if tls else 'http'}://127.0.0.1:{listener.sockets[0].getsockname()[1]}/jwks?x=1"
    try:
        yield server
    finally:
        listener.close()


async def test_keys_are_fetched_when_one_is_needed_by_one_fetch_for_all() -> None:
    async with running_server() as server:
        remote = RemoteKeys(server.url)
        assert server.requests == 0
        assert remote.find("a") is None
        await asyncio.gather(*(remote.renew() for _ in range(100)))
        assert server.requests == 1
        assert remote.find("a")
        assert not remote.failed
        await remote.aclose()


async def test_an_unknown_kid_fetches_anew_but_not_too_often() -> None:
    async with running_server() as server:
        remote = RemoteKeys(server.url, min_interval=0.2)
        await remote.renew()
        server.respond = server.respond_with_keys("b")
        # All callers with unknown kids wait for the next fetch, which may not begin yet.
        await asyncio.gather(*(remote.renew() for _ in range(500)))
        assert server.requests == 2
        assert remote.find("b")
        assert remote.find("a") is None
        assert remote.version == 2
        await remote.aclose()


async def test_the_same_keys_are_no_change() -> None:
    async with running_server() as server:
        remote = RemoteKeys(server.url, min_interval=0)
        await remote.renew()
        before = remote.find("a")
        await remote.renew()
        assert (server.requests, remote.version) == (2, 1)
        assert remote.find("a") is before


async def test_old_keys_are_fetched_anew_while_nobody_waits() -> None:
    async with running_server() as server:
        remote = RemoteKeys(server.url, min_interval=0, max_age=0)
        await remote.renew()
        server.respond = server.respond_with_keys("b")
        assert remote.find("a")  # begins it
        await remote.renew()  # joins it
        assert server.requests == 2
        assert remote.find("b")
        await remote.aclose()


async def test_keys_of_before_serve_on_while_the_address_is_dead(caplog: pytest.LogCaptureFixture) -> None:
    async with running_server() as server:
        remote = RemoteKeys(server.url, min_interval=0)
        await remote.renew()
    await remote.renew()
    assert remote.failed
    assert remote.find("a")
    assert "the keys of before stay" in caplog.text


async def test_an_address_that_was_never_there(caplog: pytest.LogCaptureFixture) -> None:
    async with running_server() as server:
        pass
    remote = RemoteKeys(server.url, min_interval=0)
    await remote.renew()
    assert remote.failed
    assert remote.find("a") is None
    assert "no caller can be identified until then" in caplog.text
    assert remote.version == 0


async def drip(writer: asyncio.StreamWriter) -> None:
    """Send a head byte by byte, for ever: each read is quick, but the head never ends."""
    writer.write(b"HTTP/1.1 200 OK\r\nx: ")
    while not writer.is_closing():
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.005)


async def continues(writer: asyncio.StreamWriter) -> None:
    """Say 100 Continue for ever."""
    while not writer.is_closing():
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.005)


async def silent(writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("respond", [drip, continues, silent], ids=["drip", "continues", "silent"])
async def test_a_slow_address_is_left(respond: Respond) -> None:
    async with running_server() as server:
        server.respond = respond
        remote = RemoteKeys(server.url, min_interval=0, timeout=0.2)
        await remote.renew()
        assert remote.failed
        server.respond = server.respond_with_keys("a")
        await remote.renew()
        assert remote.find("a")
        assert not remote.failed


@pytest.mark.parametrize(
    "respond",
    [
        JwksServer().respond_with(b"[]"),
        JwksServer().respond_with(b"<html>"),
        JwksServer().respond_with(b""),
        JwksServer().respond_with(jwk_set(jwk()).encode(), b"404 Not Found"),
        JwksServer().respond_with(b"", b"302 Found", b"location: http://127.0.0.1:9/\r\n"),
        JwksServer().respond_with(b"x" * (MAX_BYTES + 1)),
        JwksServer().respond_with(jwk_set(jwk()).encode() + b" " * MAX_BYTES),
        JwksServer().respond_raw(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{"),
        JwksServer().respond_raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"),
        JwksServer().respond_raw(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 200 + b"\r\n{}"),
        JwksServer().respond_raw(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000 + b"\r\n\r\n{}"),
        JwksServer().respond_raw(b"\x00\x01\x02\r\n\r\n"),
        JwksServer().respond_raw(b""),
        JwksServer().respond_with(jwk_set(PRIVATE_JWK).encode()),
        JwksServer().respond_with(jwk_set(*(7 for _ in range(20_000))).encode()),
    ],
)
async def test_garbage_is_no_key_and_no_exception(respond: Respond, caplog: pytest.LogCaptureFixture) -> None:
    async with running_server() as server:
        server.respond = respond
        remote = RemoteKeys(server.url, min_interval=0)
        await remote.renew()
        assert remote.failed
        assert remote.find("k") is None
        assert "no caller can be identified" in caplog.text
        assert str(PRIVATE_JWK["d"]) not in caplog.text


async def test_a_waiter_that_leaves_does_not_end_the_fetch_of_the_others() -> None:
    async with running_server() as server:
        requested, go_on = asyncio.Event(), asyncio.Event()
        with_keys = server.respond

        async def held(writer: asyncio.StreamWriter) -> None:
            requested.set()
            await go_on.wait()
            await with_keys(writer)

        server.respond = held
        remote = RemoteKeys(server.url)
        cancelled, waiting = (asyncio.create_task(remote.renew()) for _ in range(2))
        await requested.wait()
        cancelled.cancel()
        await asyncio.gather(cancelled, return_exceptions=True)
        go_on.set()
        await waiting
        assert server.requests == 1
        assert remote.find("a")


async def test_a_service_that_ends_does_not_wait_for_keys() -> None:
    async with running_server() as server:
        requests = asyncio.Event()

        async def held(writer: asyncio.StreamWriter) -> None:
            requests.set()
            await asyncio.Event().wait()

        server.respond = held
        remote = RemoteKeys(server.url)
        waiting = asyncio.create_task(remote.renew())
        await requests.wait()
        await remote.aclose()
        with pytest.raises(asyncio.CancelledError):
            await waiting


async def test_https_is_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)  # pyright: ignore[reportUnknownMemberType] - of pyOpenSSL
    async with running_server(context) as server:
        with pytest.raises(OSError, match="certificate"):
            await fetch(server.url, 5)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        assert b"keys" in await fetch(server.url, 5)
        with pytest.raises(OSError, match="certificate"):
            await fetch(server.url.replace("127.0.0.1", "localhost"), 5)
    assert server.requests == 1
