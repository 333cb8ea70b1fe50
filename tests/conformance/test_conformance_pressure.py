"""Large bodies against readers that do not read: the gateway holds little, waits, and loses nothing."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from conformance import OK, Answers, Freed, Gets, Logs, Says, Sees, get, request
from conformance_stage import Stage

SIZE = 32 * 1024 * 1024
HELD = SIZE // 2
"""Far more than what the gateway and the kernel's buffers hold between them."""


async def standstill(stage: Stage, progress: Callable[[], int]) -> int:
    """Return ``progress()`` once it has not changed while the gateway served dozens of other requests."""
    last, same = progress(), 0
    while same < 4:
        await stage.turns()
        now = progress()
        same = same + 1 if now == last else 0
        last = now
    return last


def waiting(writer: asyncio.StreamWriter) -> int:
    """Return how many bytes a writer has not got rid of."""
    return writer.transport.get_write_buffer_size()


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_client_that_does_not_read_makes_the_service_wait(stage: Stage, framing: str) -> None:
    class Plays:
        async def play(self, stage: Stage) -> None:
            client = await stage.client()
            await stage.send([request(b"GET /svc/large")])
            await stage.arrival()
            service = stage.conversation.writer
            head = b"HTTP/1.1 200 OK\r\n"
            if framing == "length":
                service.write(head + b"content-length: %d\r\n\r\n" % SIZE + bytes(SIZE))
            else:
                service.write(head + b"transfer-encoding: chunked\r\n\r\n%x\r\n" % SIZE + bytes(SIZE))
                service.write(b"\r\n0\r\n\r\n")
            assert await standstill(stage, lambda: waiting(service)) > HELD
            got = await client.answer()
            assert got.whole
            assert len(got.body) == SIZE

    await stage.play((Plays(),))


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_service_that_does_not_read_makes_the_client_wait(stage: Stage, framing: str) -> None:
    class Plays:
        async def play(self, stage: Stage) -> None:
            client = await stage.client()
            if framing == "length":
                client.writer.write(request(b"POST /svc/large", b"Content-Length: %d" % SIZE) + bytes(SIZE))
            else:
                client.writer.write(request(b"POST /svc/large", b"Transfer-Encoding: chunked"))
                client.writer.write(b"%x\r\n" % SIZE + bytes(SIZE) + b"\r\n0\r\n\r\n")
            conversation, head = await stage.arrival()
            assert await standstill(stage, lambda: waiting(client.writer)) > HELD
            assert await stage.content(head) == bytes(SIZE)
            await conversation.say(OK)
            got = await client.answer()
            assert (got.status, got.body) == (200, b"ok")

    await stage.play((Plays(),))


async def test_a_client_that_leaves_while_the_service_waits_frees_it(stage: Stage) -> None:
    class Plays:
        async def play(self, stage: Stage) -> None:
            client = await stage.client()
            await stage.send([request(b"GET /svc/large")])
            await stage.arrival()
            service = stage.conversation.writer
            service.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (2 * SIZE) + bytes(SIZE))
            await standstill(stage, lambda: waiting(service))
            client.leave(reset=True)

    await stage.play((Plays(), Freed(), Logs(" 499 ", "code=client_closed")))


async def test_a_delayed_answer_leaves_its_connection_reusable(stage: Stage) -> None:
    """The end may come with the very piece that makes the service wait: where that is, the kernel's buffers decide."""
    again = (Says(get(b"/svc/2")), Sees(b"GET /svc/2 HTTP/1.1", connections=1), Answers(OK), Gets(200, b"ok"))
    for size in range(1 << 20, 7 << 20, 160 << 10):
        await stage.play((_HeldUp(size), *again))


@dataclass(frozen=True)
class _HeldUp:
    """The client asks, the service answers as fast as it can, and only then does the client read."""

    size: int

    async def play(self, stage: Stage) -> None:
        client = await stage.client()
        await stage.send([get(b"/svc/1")])
        await stage.arrival()
        service = stage.conversation.writer
        service.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % self.size + bytes(self.size))
        await stage.turns()
        assert len((await client.answer()).body) == self.size
