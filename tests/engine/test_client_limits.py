"""How much a client may send and hold: each limit has its status, on each engine and for each kind of route."""

import asyncio

import pytest

from guarded_gateway import HOLD, LAST, OK, PATHS, PING, GuardedGateway, guarded_gateway, refused
from limen.client.limits import ClientLimits
from limen.testing import drained

HEAD = b" HTTP/1.1\r\nhost: g\r\n"


@pytest.mark.parametrize("path", PATHS)
async def test_a_head_beyond_a_limit_is_refused(path: bytes) -> None:
    fields = b"".join(b"x-%d: y\r\n" % number for number in range(100))
    wide = b"".join(b"x-%d: %b\r\n" % (number, b"y" * 4000) for number in range(9))
    heads = {
        b"PUT " + path + b"?" + b"x" * 9000 + HEAD + b"\r\n": (414, "uri_too_long"),
        b"PUT " + path + b"?" + b"x" * 9000: (414, "uri_too_long"),
        b"PUT " + path + b"?" + b"x" * 200_000: (414, "uri_too_long"),
        b"PUT " + path + HEAD + fields + b"\r\n": (431, "head_too_large"),
        b"PUT " + path + HEAD + fields + b"x: y\r\nz": (431, "head_too_large"),
        b"PUT " + path + HEAD + wide + b"\r\n": (431, "head_too_large"),
        b"PUT " + path + HEAD + wide: (431, "head_too_large"),
        b"PUT " + path + HEAD + b"x: " + b"y" * 40_000: (431, "head_too_large"),
        b"PUT " + path + HEAD + b"y" * 40_000: (431, "head_too_large"),
    }
    async with guarded_gateway() as gateway:
        for sent, expected in heads.items():
            assert refused(await gateway.served.raw(sent), *expected), sent[:80]
        assert gateway.upstream.requests == []


async def test_a_head_just_within_a_limit_passes() -> None:
    fields = b"".join(b"x-%d: y\r\n" % number for number in range(98))
    wide = b"".join(b"x-%d: %b\r\n" % (number, b"y" * 4000) for number in range(8))
    long = b"GET /svc/?" + b"x" * (8192 - len(b"GET /svc/? HTTP/1.1\r\n")) + b" HTTP/1.1\r\n"
    assert len(long) == 8192
    async with guarded_gateway() as gateway:
        for head in (b"GET /svc/x HTTP/1.1\r\n" + fields, b"GET /svc/x HTTP/1.1\r\n" + wide, long):
            got = await gateway.served.raw(head + b"host: g\r\nconnection: close\r\n\r\n")
            assert got.startswith(b"HTTP/1.1 200 "), head[:60]


async def test_a_head_behind_a_large_body_is_measured_alone() -> None:
    async with guarded_gateway() as gateway:
        body = b"PUT /local/raw HTTP/1.1\r\nhost: g\r\ncontent-length: 150000\r\n\r\n" + bytes(150_000)
        got = await gateway.served.raw(body + PING[:-9], PING[-9:] + LAST)
        assert got.count(b"HTTP/1.1 200 ") == 3


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_a_trickling_head_is_refused_as_soon_as_it_is_too_large(size: int) -> None:
    limits = ClientLimits(request_line=64, head=600)
    async with guarded_gateway(limits) as gateway:
        for start, code in (
            (b"GET /svc/" + b"x" * 900, "uri_too_long"),
            (b"GET /svc/x" + HEAD + b"x: " + b"y" * 2000, ""),
        ):
            reader, writer = await gateway.open()
            for at in range(0, len(start), size):
                if reader.at_eof():
                    break
                writer.write(start[at : at + size])
                await writer.drain()
                await asyncio.sleep(0)
            got = await reader.read()
            assert refused(got, *((414, code) if code else (431, "head_too_large"))), got
            writer.close()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "rest", [b"1;" + b"x" * 3000 + b"\r\na\r\n", b"1;xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\na\r\n" * 90]
)
async def test_framing_without_content_is_bounded(path: bytes, rest: bytes) -> None:
    async with guarded_gateway(ClientLimits(chunk_overhead=1000)) as gateway:
        reader, writer = await gateway.open()
        writer.write(b"POST " + path + HEAD + b"transfer-encoding: chunked\r\n\r\n1\r\na\r\n")
        if path == b"/svc/x":
            await gateway.arrived.get()
        else:
            await gateway.serves()
        writer.write(rest)
        assert refused(await reader.read(), 400, "bad_body")
        writer.close()
        await drained(gateway.app)


async def test_small_chunks_are_no_framing_without_content() -> None:
    async with guarded_gateway(ClientLimits(chunk_overhead=10)) as gateway:
        head = b"PUT /local/raw" + HEAD + b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n"
        got = await gateway.served.raw(head, b"1\r\na\r\n" * 3000, b"1\r\na\r\n" * 3000, b"0\r\n\r\n")
        assert got.endswith(b"6000"), got


async def test_connections_of_a_worker_are_bounded() -> None:
    async with guarded_gateway(ClientLimits(connections=3)) as gateway:
        kept = [await gateway.open() for _ in range(3)]
        for _, writer in kept:
            writer.write(HOLD)
            await gateway.arrived.get()
        for _ in range(3):
            got = await gateway.served.raw(PING)
            assert refused(got, 503, "too_many_connections")
            assert b"retry-after: 1\r\n" in got
        gateway.release.set()
        for reader, writer in kept:
            assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 ")
            writer.close()
        await _serves_again(gateway)


async def test_connections_of_an_address_are_bounded() -> None:
    async with guarded_gateway(ClientLimits(connections_per_address=2)) as gateway:
        kept = [await gateway.open() for _ in range(2)]
        for reader, writer in kept:
            writer.write(PING)
            await reader.readuntil(b"ok")
        assert refused(await gateway.served.raw(PING), 429, "too_many_from_address")
        for _, writer in kept:
            writer.close()
        await _serves_again(gateway)


async def _serves_again(gateway: GuardedGateway) -> None:
    """What has left is counted no more, which the gateway may learn a moment later."""
    while not (await gateway.served.raw(LAST)).startswith(OK[:13]):
        continue


async def test_requests_in_flight_are_bounded() -> None:
    async with guarded_gateway(ClientLimits(requests=2)) as gateway:
        held = [await gateway.open() for _ in range(2)]
        for _, writer in held:
            writer.write(PING.replace(b"ping", b"hold"))
            await gateway.arrived.get()
        got = await gateway.served.raw(PING)
        assert refused(got, 503, "overloaded")
        assert b"retry-after: 1\r\n" in got
        gateway.release.set()
        for reader, writer in held:
            assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 ")
            writer.close()
        await gateway.serves()
        shared = await gateway.worker_state()
        assert shared.running == 0


async def test_a_refusal_waits_for_its_turn() -> None:
    async with guarded_gateway() as gateway:
        reader, writer = await gateway.open()
        writer.write(PING.replace(b"ping", b"hold"))
        await gateway.arrived.get()
        writer.write(PING.replace(b"host: g", b"x : y") + PING)
        gateway.release.set()
        got = await reader.read()
        assert got.startswith(b"HTTP/1.1 200 ")
        assert refused(got[got.index(b"ok") + 2 :], 400, "bad_request"), got
        assert len(gateway.upstream.requests) == 1
        writer.close()


async def test_a_client_that_goes_on_sending_still_reads_the_refusal() -> None:
    """Input behind a refusal is thrown away, up to a bound, so that the system does not reset the connection."""
    async with guarded_gateway() as gateway:
        reader, writer = await gateway.open()
        writer.write(PING.replace(b"host: g", b"x : y"))
        await reader.readuntil(b"}")
        for _ in range(8):
            writer.write(bytes(65536))
            await writer.drain()
        assert await reader.read() == b""
        writer.close()
        await gateway.serves()


async def test_options_of_the_gateway_itself() -> None:
    async with guarded_gateway() as gateway:
        got = await gateway.served.raw(b"OPTIONS * HTTP/1.1\r\nhost: g\r\n\r\n" + LAST)
        assert got.startswith(b"HTTP/1.1 204 ")
        assert got.endswith(b"ok")
