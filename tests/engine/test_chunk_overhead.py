"""The bytes of a body besides content count from the first one, also where they come in one read with the head."""

import pytest

from guarded_gateway import PATHS, PING, guarded_gateway, refused
from limen.client.limits import ClientLimits
from limen.testing import drained

FRAMING = b" HTTP/1.1\r\nhost: g\r\ntransfer-encoding: chunked\r\n\r\n"
BEGUN = {
    "an extension": b"1;" + b"x" * 3000,
    "extensions": b"1;" + b"x" * 98 + b"\r\na\r\n",
    "trailers": b"1\r\na\r\n0\r\n" + b"x: y\r\n" * 500,
}
BEGUN["extensions"] *= 30


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("begun", BEGUN.values(), ids=BEGUN)
async def test_framing_in_the_first_read_of_a_body_counts(path: bytes, begun: bytes) -> None:
    async with guarded_gateway(ClientLimits(chunk_overhead=1000)) as gateway:
        reader, writer = await gateway.open()
        writer.write(b"POST " + path + FRAMING + begun)
        assert refused(await reader.read(), 400, "bad_body")
        writer.close()
        await drained(gateway.app)


WHOLE = {
    "an extension": b"1;" + b"x" * 3000 + b"\r\na\r\n0\r\n\r\n",
    "extensions": BEGUN["extensions"] + b"0\r\n\r\n",
    "of the last chunk": b"1\r\na\r\n0;" + b"x" * 3000 + b"\r\n\r\n",
    "trailers": BEGUN["trailers"] + b"\r\n",
    "one trailer": b"1\r\na\r\n0\r\nx: " + b"y" * 3000 + b"\r\n\r\n",
    "far more than a step": b"1;" + b"x" * 60000 + b"\r\na\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("apart", [False, True], ids=["with the head", "behind it"])
@pytest.mark.parametrize("whole", WHOLE.values(), ids=WHOLE)
async def test_framing_of_a_body_in_one_read_counts(path: bytes, whole: bytes, apart: bool) -> None:
    async with guarded_gateway(ClientLimits(chunk_overhead=1000)) as gateway:
        reader, writer = await gateway.open()
        writer.write(b"POST " + path + FRAMING + (b"" if apart else whole))
        if apart:
            await gateway.serves()
            writer.write(whole)
        assert refused(await reader.read(), 400, "bad_body")
        writer.close()
        await drained(gateway.app)


@pytest.mark.parametrize("path", PATHS)
async def test_input_behind_a_body_does_not_count(path: bytes) -> None:
    """Neither requests in line behind a body, nor their bodies, are its framing."""
    body = b"PUT " + path + FRAMING + b"5;x=y\r\nhello\r\n0\r\n\r\n"
    sized = b"PUT /local/raw HTTP/1.1\r\nhost: g\r\ncontent-length: 5000\r\n\r\n" + b"." * 5000
    async with guarded_gateway(ClientLimits(chunk_overhead=100)) as gateway:
        for behind in (PING * 3, PING * 10, sized, body * 10, b"\r\n" + PING * 9):
            reader, writer = await gateway.open()
            writer.write(body + behind)
            for _ in range((body + behind).count(b" HTTP/1.1\r\n")):
                await reader.readuntil(b"HTTP/1.1 200 ")
            writer.close()


@pytest.mark.parametrize("path", PATHS)
async def test_requests_before_a_body_do_not_count(path: bytes) -> None:
    """Neither the requests in line before a body nor their content are its framing."""
    sized = b"PUT /local/raw HTTP/1.1\r\nhost: g\r\ncontent-length: 5000\r\n\r\n" + b"." * 5000
    chunks = b"PUT /local/raw" + FRAMING + b"5;x=y\r\nhello\r\n0\r\n\r\n"
    body = b"PUT " + path + FRAMING + b"5;x=y\r\nhello\r\n"
    async with guarded_gateway(ClientLimits(chunk_overhead=100)) as gateway:
        for before in (PING * 20, sized, chunks * 10, sized + chunks + PING):
            reader, writer = await gateway.open()
            writer.write(before + body)
            for _ in range(before.count(b" HTTP/1.1\r\n")):
                await reader.readuntil(b"HTTP/1.1 200 ")
            writer.write(b"0\r\n\r\n")
            await reader.readuntil(b"HTTP/1.1 200 ")
            writer.close()


@pytest.mark.parametrize("path", PATHS)
async def test_the_head_of_a_body_does_not_count(path: bytes) -> None:
    """Whole or in pieces, with as many spaces as it may have."""
    head = b"PUT " + path + FRAMING.replace(b"chunked\r\n", b"chunked\r\nx: " + b"y" * 3000 + b"\r\n")
    async with guarded_gateway(ClientLimits(chunk_overhead=100)) as gateway:
        for cut in (0, 1, 50, 500, len(head) - 1, len(head)):
            reader, writer = await gateway.open()
            if cut:
                writer.write(head[:cut])
                await gateway.serves()
            writer.write(head[cut:] + b"5\r\nhello\r\n")
            await gateway.serves()
            writer.write(b"0\r\n\r\n")
            await reader.readuntil(b"HTTP/1.1 200 ")
            writer.close()
