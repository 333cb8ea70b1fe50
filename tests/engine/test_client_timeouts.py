"""How long a client may take for a head, for a body, and for reading its answer. Time is real here, and short.

No test asserts how late a deadline may be; each waits for its effect.
"""

import asyncio
import logging

import pytest

from guarded_gateway import PATHS, PING, guarded_gateway, refused
from limen.client.limits import ClientLimits
from limen.testing import drained, flush_log

NEVER = 600.0


def limits(**given: float) -> ClientLimits:
    """Return limits whose times are so long that only the given one can pass."""
    times = {"head_time": NEVER, "body_silence": NEVER, "body_grace": NEVER, "reader_silence": NEVER, **given}
    return ClientLimits(**times)  # pyright: ignore[reportArgumentType] - none of the names is an integer's but body_rate


async def test_silence_before_the_first_head_ends_without_an_answer() -> None:
    async with guarded_gateway(limits(head_time=0.2)) as gateway:
        assert await gateway.served.raw() == b""


@pytest.mark.parametrize("start", [b"G", b"GET /svc/x HTTP/1.1\r\nho", b"GET /svc/x HTTP/1.1\r\nhost: g\r\n"])
@pytest.mark.parametrize("after", [b"", PING])
async def test_an_unfinished_head_is_408(start: bytes, after: bytes) -> None:
    async with guarded_gateway(limits(head_time=0.3)) as gateway:
        reader, writer = await gateway.open()
        if after:
            writer.write(after)
            await reader.readuntil(b"ok")
        writer.write(start)
        assert refused(await reader.read(), 408, "head_timeout")
        writer.close()


async def test_the_time_for_a_head_is_in_all_and_not_for_each_byte() -> None:
    async with guarded_gateway(limits(head_time=0.4)) as gateway:
        reader, writer = await gateway.open()
        reading = asyncio.create_task(reader.read())
        writer.write(b"GET /svc/x HTTP/1.1\r\nhost: g\r\nx: ")
        while not reading.done():
            writer.write(b"y")
            await asyncio.wait([reading], timeout=0.02)
        assert refused(reading.result(), 408, "head_timeout")
        writer.close()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("framing", [b"content-length: 9", b"transfer-encoding: chunked"])
async def test_a_silent_body_is_408(path: bytes, framing: bytes) -> None:
    async with guarded_gateway(limits(body_silence=0.3)) as gateway:
        got = await gateway.served.raw(b"POST " + path + b" HTTP/1.1\r\nhost: g\r\n" + framing + b"\r\n\r\n1\r\na\r\n")
        assert refused(got, 408, "request_timeout"), got
        await drained(gateway.app)
        await gateway.serves()


@pytest.mark.parametrize("path", PATHS)
async def test_a_body_that_is_too_slow_is_408(path: bytes) -> None:
    async with guarded_gateway(limits(body_silence=0.4, body_grace=0.1, body_rate=10_000)) as gateway:
        reader, writer = await gateway.open()
        reading = asyncio.create_task(reader.read())
        writer.write(b"POST " + path + b" HTTP/1.1\r\nhost: g\r\ncontent-length: 100000\r\n\r\n")
        while not reading.done():
            writer.write(b"x")
            await asyncio.wait([reading], timeout=0.02)
        assert refused(reading.result(), 408, "request_timeout")
        writer.close()


async def test_a_body_in_time_is_not_cut() -> None:
    async with guarded_gateway(limits(body_silence=0.6, body_grace=0.1, body_rate=100)) as gateway:
        reader, writer = await gateway.open()
        writer.write(b"PUT /local/raw HTTP/1.1\r\nhost: g\r\nconnection: close\r\ncontent-length: 50000\r\n\r\n")
        reading = asyncio.create_task(reader.read())
        for _ in range(25):
            writer.write(bytes(2000))
            await asyncio.wait([reading], timeout=0.03)
        assert (await reading).endswith(b"50000")
        writer.close()


@pytest.mark.parametrize("line", [b"", b"connection: close\r\n"])
async def test_a_client_that_does_not_read_is_cut_and_logged_as_the_cause(
    line: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "limen.access")
    async with guarded_gateway(limits(reader_silence=0.3)) as gateway:
        reader, writer = await gateway.open(buffer=4096)
        writer.write(b"GET /svc/large HTTP/1.1\r\nhost: g\r\n" + line + b"\r\n")
        await gateway.arrived.get()
        await drained(gateway.app)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(33_554_432)
        writer.close()
        await gateway.serves()
    flush_log()
    (found,) = [record for record in caplog.records if " /svc/large " in record.getMessage()]
    assert found.levelno == logging.WARNING
    assert " 200 " in found.getMessage()
    assert "cut=true code=answer_not_taken" in found.getMessage()


async def test_an_idle_connection_is_kept_for_the_declared_time() -> None:
    async with guarded_gateway(ClientLimits(keepalive=0.2)) as gateway:
        for path in (b"/svc/ping", b"/local/shared"):
            reader, writer = await gateway.open()
            writer.write(b"GET " + path + b" HTTP/1.1\r\nhost: g\r\n\r\n")
            got = await reader.read()
            assert got.startswith(b"HTTP/1.1 200 ")
            assert b"connection: close" not in got
            writer.close()
