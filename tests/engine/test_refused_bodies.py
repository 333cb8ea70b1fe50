"""The rest of a refused body is discarded within bounds of bytes and of time; then its connection is closed."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator

import pytest
from pydantic import BaseModel

from limen import Gateway, Upstream, anyone, signed_in
from limen.auth import Jwt
from limen.client.limits import ClientLimits
from limen.testing import Conversation, ScriptedUpstream, drained
from serving import Served, serving
from tokens import SECRET

MIB = 1024 * 1024
SIZE = 64 * MIB
PIECE = b"x" * 65536
# What is thrown away, and what the system's buffers hold on both sides.
MOST = 12 * MIB

REFUSED = {
    "too large, streamed": (b"/upload", 413),
    "too large, declared": (b"/items", 413),
    "of nobody": (b"/mine", 401),
    "to nowhere": (b"/nothing", 404),
    "with another method": (b"/get", 405),
    "ambiguous": (b"/svc//x", 400),
    "by the service": (b"/svc/early", 403),
}
PLAIN = pytest.mark.parametrize("plain", [False, True], ids=["guarded", "plain uvicorn"])


class Item(BaseModel):
    """A declared body."""

    name: str


async def early(conversation: Conversation) -> None:
    """Answer to the head, and read on."""
    await conversation.head()
    await conversation.say(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno")
    await conversation.reader.read()


@contextlib.asynccontextmanager
async def gateway(*, plain: bool, linger: float = 2.0) -> AsyncGenerator[Served]:
    async with ScriptedUpstream(early) as upstream:
        app = Gateway(auth=Jwt(SECRET), limits=ClientLimits(linger=linger))
        service = Upstream("svc", [upstream.url])
        app.forward("/svc/{path:path}", upstream=service, allow=anyone)

        @app.put("/upload", upstream=service, allow=anyone, max_body=1000)
        def upload() -> None: ...

        @app.put("/items", upstream=service, allow=anyone)
        def items(item: Item) -> None: ...

        @app.put("/mine", upstream=service, allow=signed_in)
        def mine() -> None: ...

        @app.get("/get", upstream=service, allow=anyone)
        def get() -> None: ...

        del upload, items, mine, get
        async with serving(app, plain=plain) as served:
            yield served
            await drained(app)


def head(path: bytes, framing: bytes) -> bytes:
    lines = (b"PUT " + path + b" HTTP/1.1", b"Host: g", b"Content-Type: application/json", framing, b"", b"")
    return b"\r\n".join(lines)


def content(*, chunked: bool) -> Iterator[bytes]:
    for _ in range(SIZE // len(PIECE)):
        yield b"%x\r\n%b\r\n" % (len(PIECE), PIECE) if chunked else PIECE


@PLAIN
@pytest.mark.parametrize("chunked", [False, True], ids=["its length known", "chunked"])
@pytest.mark.parametrize(("path", "status"), REFUSED.values(), ids=REFUSED)
async def test_the_rest_of_a_refused_body_is_bounded_in_bytes(
    path: bytes, status: int, chunked: bool, plain: bool
) -> None:
    if plain and path == b"/svc/early":
        return  # uvicorn reads on by itself behind an answer that is no refusal of ours
    async with gateway(plain=plain) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % SIZE
        writer.write(head(path, framing))
        sent = 0

        async def send() -> None:
            nonlocal sent
            with contextlib.suppress(ConnectionError):
                for piece in content(chunked=chunked):
                    writer.write(piece)
                    await writer.drain()
                    sent += len(piece)

        sending = asyncio.create_task(send())
        got = await reader.readuntil(b"\r\n\r\n")
        assert got.startswith(b"HTTP/1.1 %d " % status), got
        # Where it is known by then that the connection ends, the answer says so.
        known = not chunked or plain
        if path != b"/svc/early" and known:
            assert b"\r\nconnection: close\r\n" in got.lower()
        with contextlib.suppress(ConnectionError):
            await reader.read()
        await sending  # it fails: nobody reads any more
        writer.transport.abort()
        assert sent < MOST


@PLAIN
@pytest.mark.parametrize(
    "framing", [b"Content-Length: 9999", b"Content-Length: 99999999", b"Transfer-Encoding: chunked"]
)
@pytest.mark.parametrize("path", [b"/mine", b"/nothing", b"/svc//x"])
async def test_the_rest_of_a_refused_body_is_bounded_in_time(path: bytes, framing: bytes, plain: bool) -> None:
    async with gateway(plain=plain, linger=0.2) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(head(path, framing) + b"1")
        got = await reader.read()
        assert got.count(b"HTTP/1.1 4") == 1
        writer.close()


@pytest.mark.parametrize(("path", "status"), REFUSED.values(), ids=REFUSED)
async def test_a_short_rest_leaves_the_connection_to_the_next_request(path: bytes, status: int) -> None:
    if path == b"/upload":
        return
    async with gateway(plain=False) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        for _ in range(2):
            writer.write(head(path, b"Content-Length: %d" % (300_000 if status == 413 else 9)))
            got = await reader.readuntil(b"\r\n\r\n")
            assert got.startswith(b"HTTP/1.1 %d " % status), got
            length = next(int(line[16:]) for line in got.split(b"\r\n") if line.startswith(b"content-length: "))
            await reader.readexactly(length)
            writer.write(b"." * (300_000 if status == 413 else 9))
        writer.close()
