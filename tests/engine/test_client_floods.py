"""Many clients that are idle, slow or silent: others are served, and nothing is left behind.

``LIMEN_FLOOD`` is their number. What they leave behind is counted, and shows with hundreds as with thousands.
"""

import asyncio
import os

import pytest

from guarded_gateway import HOLD, PING, GuardedGateway, guarded_gateway, refused
from limen.client.limits import ClientLimits
from serving import until

MANY = int(os.environ.get("LIMEN_FLOOD", "300"))

FLOODS = {
    "silent": b"",
    "in the middle of a head": b"GET /svc/x HTTP/1.1\r\nhost: g\r\nx: ",
    "in the middle of a body": b"PUT /local/raw HTTP/1.1\r\nhost: g\r\ncontent-length: 9\r\n\r\nx",
    "idle": PING,
}


def descriptors() -> int:
    """Return how many files this process has open."""
    return len(os.listdir("/proc/self/fd"))


async def flood(gateway: GuardedGateway, sent: bytes) -> list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open many connections and send the same on each."""
    clients: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    for _ in range(MANY):
        client = await gateway.open()
        client[1].write(sent)
        clients.append(client)
    return clients


@pytest.mark.parametrize("kind", FLOODS)
async def test_a_flood_of_clients_that_leave_frees_everything(kind: str) -> None:
    async with guarded_gateway(ClientLimits()) as gateway:
        shared = await gateway.worker_state()
        base = descriptors()
        clients = await flood(gateway, FLOODS[kind])
        await until(lambda: shared.addresses.total() >= MANY)
        assert descriptors() <= base + 2 * MANY + 50
        await gateway.serves()
        for _, writer in clients:
            writer.transport.abort()
        await until(lambda: shared.addresses.total() <= 1 and shared.running == 0)
        await until(lambda: descriptors() <= base + 50)
        await gateway.serves()


@pytest.mark.parametrize("kind", ["silent", "in the middle of a head", "in the middle of a body"])
async def test_a_flood_of_clients_that_stay_times_out(kind: str) -> None:
    limits = ClientLimits(head_time=1.0, body_silence=1.0, linger=0.2)
    async with guarded_gateway(limits) as gateway:
        shared = await gateway.worker_state()
        clients = await flood(gateway, FLOODS[kind])
        await gateway.serves()
        ends = await asyncio.gather(*(reader.read() for reader, _ in clients))
        if kind == "silent":
            assert set(ends) == {b""}
        else:
            code = "head_timeout" if kind.endswith("head") else "request_timeout"
            assert all(refused(end, 408, code) for end in ends)
        for _, writer in clients:
            writer.close()
        await until(lambda: shared.addresses.total() <= 1)
        await gateway.serves()


async def test_a_flood_beyond_the_connection_limit_is_refused() -> None:
    async with guarded_gateway(ClientLimits(connections=20)) as gateway:
        inside = [await gateway.open() for _ in range(20)]
        for _, writer in inside:
            writer.write(HOLD)
            await gateway.arrived.get()
        clients = await flood(gateway, b"")
        ends = await asyncio.gather(*(one.read() for one, _ in clients[:200]), return_exceptions=True)
        answers = [end for end in ends if isinstance(end, bytes) and end]
        assert answers
        assert all(refused(answer, 503, "too_many_connections") for answer in answers)
        gateway.release.set()
        for reader, _ in inside:
            assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 ")
        for _, each in (*clients, *inside):
            each.transport.abort()
