"""A worker at its connection limit: the longest idle connection is closed for a new one, busy ones stay."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable

from commands import Streams
from guarded_gateway import HOLD, LAST, PING, GuardedGateway, guarded_gateway, refused
from limen.client.limits import ClientLimits
from serving import until

Open = Callable[[], Awaitable[Streams]]


@contextlib.asynccontextmanager
async def roomy(connections: int) -> AsyncGenerator[tuple[GuardedGateway, Open]]:
    """A gateway with so many places, and so much time that nobody is closed for anything else; how to connect to it."""
    async with guarded_gateway(ClientLimits(connections=connections, head_time=50.0, keepalive=50.0)) as gateway:
        with contextlib.ExitStack() as stack:

            async def opened() -> Streams:
                streams = await gateway.open()
                stack.callback(streams[1].close)
                return streams

            yield gateway, opened


async def ping(streams: Streams) -> None:
    """Insist on an answer."""
    streams[1].write(PING)
    assert (await streams[0].readuntil(b"\r\n\r\nok")).startswith(b"HTTP/1.1 200 ")


async def test_the_longest_idle_connection_is_closed_for_a_new_one() -> None:
    async with roomy(20) as (gateway, opened):
        shared = await gateway.worker_state()
        await until(lambda: shared.addresses.total() == 0)
        idle = [await opened() for _ in range(20)]
        await until(lambda: shared.addresses.total() == 20)
        for streams in idle[::2]:  # idle anew, and so for less long than the silent ones
            await ping(streams)
        newcomers: list[Streams] = []
        for count in range(1, 6):
            newcomers.append(await opened())
            await ping(newcomers[-1])
            await until(lambda: sum(reader.at_eof() for reader, _ in idle[1::2]) == count)  # noqa: B023 - waited for here
        for streams in (*idle[::2], *newcomers):
            await ping(streams)
        assert sum(reader.at_eof() for reader, _ in idle) == 5
        assert (shared.addresses.total(), shared.idle.leaving) == (20, 0)


async def test_many_new_connections_at_once_replace_idle_ones() -> None:
    async with roomy(200) as (gateway, opened):
        shared = await gateway.worker_state()
        for _ in range(200):
            await opened()
        await until(lambda: shared.addresses.total() >= 200)
        answers = await asyncio.gather(*(gateway.served.raw(LAST) for _ in range(150)))
        assert {answer[:13] for answer in answers} == {b"HTTP/1.1 200 "}
        await until(lambda: shared.idle.leaving == 0)


async def test_busy_connections_stay_open() -> None:
    """A request that waits for its service, a head and a body that are on their way: none of them is idle."""
    async with roomy(4) as (gateway, opened):
        waiting, head, body = [await opened() for _ in range(3)]
        waiting[1].write(HOLD)
        head[1].write(PING[:-2])
        body[1].write(b"PUT /local/raw HTTP/1.1\r\nhost: g\r\ncontent-length: 2\r\n\r\nx")
        await gateway.arrived.get()
        for _ in range(3):  # each is idle for a moment, and the first to go for the next
            await ping(await opened())
        gateway.release.set()
        head[1].write(PING[-2:])
        body[1].write(b"y")
        for streams, end in (waiting, b"ok"), (head, b"ok"), (body, b"2"):
            assert (await streams[0].readuntil(b"\r\n\r\n" + end)).startswith(b"HTTP/1.1 200 ")


async def test_a_new_connection_is_refused_when_none_is_idle() -> None:
    async with roomy(1) as (gateway, opened):
        streams = await opened()
        streams[1].write(HOLD)
        await gateway.arrived.get()
        assert refused(await gateway.served.raw(PING), 503, "too_many_connections")
