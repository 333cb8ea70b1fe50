"""The gateway's keys at an address: one fetch for all who wait, and what a bad, slow or dead address may cost."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme

from limen_kit.fetch import MOST_BYTES, fetch
from limen_kit.keys import Remote
from published import SECRET, jwk, keys

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Origin:
    """An address of keys that answers as it is told, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer: Answer = self.with_keys("a")
        self.url = ""

    def with_keys(self, *kids: str) -> Answer:
        return self.whole(keys(*map(jwk, kids)).encode())

    def whole(self, content: bytes, status: bytes = b"200 OK", more: bytes = b"") -> Answer:
        async def write(writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 %b\r\ncontent-length: %d\r\n%b\r\n%b" % (status, len(content), more, content))

        return write

    def raw(self, data: bytes) -> Answer:
        async def write(writer: asyncio.StreamWriter) -> None:
            writer.write(data)

        return write

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            self.asked += 1
            await self.answer(writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def origin(tls: ssl.SSLContext | None = None) -> AsyncGenerator[Origin]:
    one = Origin()
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0, ssl=tls)
    one.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks?x=1"
    try:
        yield one
    finally:
        server.close()


async def test_keys_are_fetched_when_one_is_needed_by_one_fetch_for_all() -> None:
    async with origin() as one:
        found = Remote(one.url)
        assert one.asked == 0
        assert found.find("a") is None
        await asyncio.gather(*(found.renew() for _ in range(100)))
        assert one.asked == 1
        assert found.find("a")
        assert not found.failed
        await found.aclose()


async def test_an_unknown_name_fetches_anew_but_not_too_often() -> None:
    async with origin() as one:
        found = Remote(one.url, floor=0.2)
        await found.renew()
        one.answer = one.with_keys("b")
        # However many names are invented: they all wait for the next fetch, which may not begin yet.
        await asyncio.gather(*(found.renew() for _ in range(500)))
        assert one.asked == 2
        assert found.find("b")
        assert found.find("a") is None
        assert found.version == 2
        await found.aclose()


async def test_the_same_keys_are_no_change() -> None:
    async with origin() as one:
        found = Remote(one.url, floor=0)
        await found.renew()
        before = found.find("a")
        await found.renew()
        assert (one.asked, found.version) == (2, 1)
        assert found.find("a") is before


async def test_old_keys_are_fetched_anew_while_nobody_waits() -> None:
    async with origin() as one:
        found = Remote(one.url, floor=0, refresh=0)
        await found.renew()
        one.answer = one.with_keys("b")
        assert found.find("a")  # begins it
        await found.renew()  # joins it
        assert one.asked == 2
        assert found.find("b")
        await found.aclose()


async def test_keys_of_before_serve_on_while_the_address_is_dead(caplog: pytest.LogCaptureFixture) -> None:
    async with origin() as one:
        found = Remote(one.url, floor=0)
        await found.renew()
    await found.renew()
    assert found.failed
    assert found.find("a")
    assert "the keys of before stay" in caplog.text


async def test_an_address_that_was_never_there(caplog: pytest.LogCaptureFixture) -> None:
    async with origin() as one:
        pass
    found = Remote(one.url, floor=0)
    await found.renew()
    assert found.failed
    assert found.find("a") is None
    assert "no caller can be identified until then" in caplog.text
    assert found.version == 0


async def drip(writer: asyncio.StreamWriter) -> None:
    """One byte of a head at a time, for ever: each read is quick, the whole never ends."""
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


@pytest.mark.parametrize("answer", [drip, continues, silent], ids=["drip", "continues", "silent"])
async def test_a_slow_address_is_left(answer: Answer) -> None:
    async with origin() as one:
        one.answer = answer
        found = Remote(one.url, floor=0, seconds=0.2)
        await found.renew()
        assert found.failed
        one.answer = one.with_keys("a")
        await found.renew()
        assert found.find("a")
        assert not found.failed


@pytest.mark.parametrize(
    "answer",
    [
        Origin().whole(b"[]"),
        Origin().whole(b"<html>"),
        Origin().whole(b""),
        Origin().whole(keys(jwk()).encode(), b"404 Not Found"),
        Origin().whole(b"", b"302 Found", b"location: http://127.0.0.1:9/\r\n"),
        Origin().whole(b"x" * (MOST_BYTES + 1)),
        Origin().whole(keys(jwk()).encode() + b" " * MOST_BYTES),
        Origin().raw(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{"),
        Origin().raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"),
        Origin().raw(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 200 + b"\r\n{}"),
        Origin().raw(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000 + b"\r\n\r\n{}"),
        Origin().raw(b"\x00\x01\x02\r\n\r\n"),
        Origin().raw(b""),
        Origin().whole(keys(SECRET).encode()),
        Origin().whole(keys(*(7 for _ in range(20_000))).encode()),
    ],
)
async def test_garbage_is_no_key_and_no_exception(answer: Answer, caplog: pytest.LogCaptureFixture) -> None:
    async with origin() as one:
        one.answer = answer
        found = Remote(one.url, floor=0)
        await found.renew()
        assert found.failed
        assert found.find("k") is None
        assert "no caller can be identified" in caplog.text
        assert str(SECRET["d"]) not in caplog.text


async def test_a_waiter_that_leaves_does_not_end_the_fetch_of_the_others() -> None:
    async with origin() as one:
        asked, go_on = asyncio.Event(), asyncio.Event()
        honest = one.answer

        async def held(writer: asyncio.StreamWriter) -> None:
            asked.set()
            await go_on.wait()
            await honest(writer)

        one.answer = held
        found = Remote(one.url)
        leaves, stays = (asyncio.create_task(found.renew()) for _ in range(2))
        await asked.wait()
        leaves.cancel()
        await asyncio.gather(leaves, return_exceptions=True)
        go_on.set()
        await stays
        assert one.asked == 1
        assert found.find("a")


async def test_a_service_that_ends_does_not_wait_for_keys() -> None:
    async with origin() as one:
        asked = asyncio.Event()

        async def held(writer: asyncio.StreamWriter) -> None:
            asked.set()
            await asyncio.Event().wait()

        one.answer = held
        found = Remote(one.url)
        waiting = asyncio.create_task(found.renew())
        await asked.wait()
        await found.aclose()
        with pytest.raises(asyncio.CancelledError):
            await waiting


async def test_https_is_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)  # pyright: ignore[reportUnknownMemberType] - of pyOpenSSL
    async with origin(context) as one:
        with pytest.raises(OSError, match="certificate"):
            await fetch(one.url, 5)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        assert b"keys" in await fetch(one.url, 5)
        with pytest.raises(OSError, match="certificate"):
            await fetch(one.url.replace("127.0.0.1", "localhost"), 5)
    assert one.asked == 1
