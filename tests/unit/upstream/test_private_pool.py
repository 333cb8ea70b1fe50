"""Connections that serve one client alone: who gets them, how many there are, and when they end."""

import asyncio
from collections.abc import Iterator
from random import Random

import pytest

from calling import counts
from clocked_pool import ClockedLoop, aborted, clocked_pool, opened, wire_of
from limen import Limits, Upstream
from limen.upstream.connection import Connection
from limen.upstream.live import LiveUpstream
from limen.upstream.live_target import LiveTarget
from limen.upstream.network import Sockets
from limen.upstream.pool import Pool
from limen.upstream.private_connections import MOST_PRIVATE, PrivateConnections
from talk import RecordedAnswer

CHALLENGE = b"HTTP/1.1 401 Unauthorized\r\nwww-authenticate: NTLM\r\ncontent-length: 0\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
LIMITS = Limits(connections=2, waiting=2, keepalive=4.0, lifetime=15.0)


class NoJitter(Random):
    """Lives are as long as they are declared."""

    def random(self) -> float:
        return 0.0


class Service:
    """An upstream with targets whose connections lead nowhere, in a loop of its own time."""

    def __init__(self, loop: ClockedLoop, *urls: str, name: str = "svc", limits: Limits = LIMITS) -> None:
        self.loop = loop
        self.live = LiveUpstream(
            Upstream(name, urls or ("http://a",), limits=limits), Sockets(), clock=loop.time, random=Random(1)
        )
        self.live.retarget(self.live.upstream.addresses)
        for target in self.live.targets:
            target.pool = clocked_pool(loop, limits, NoJitter())

    @property
    def pool(self) -> Pool:
        return self.live.targets[0].pool

    def used(
        self, owner: PrivateConnections, *, handshake: bool = False, answer: bytes = OK, target: int = 0
    ) -> Connection:
        """Let a request of ``owner`` authenticate a new connection, and return that."""
        found = self.live.targets[target]
        [connection] = opened(self.loop, found.pool)
        self.keeps(owner, found, connection, handshake=handshake, answer=answer)
        return connection

    def keeps(
        self,
        owner: PrivateConnections,
        target: LiveTarget,
        connection: Connection,
        *,
        handshake: bool,
        answer: bytes = OK,
    ) -> None:
        connection.private = True
        exchange(connection, answer)
        owner.keep(self.live.upstream.name, target, connection, handshake=handshake)


def exchange(connection: Connection, answer: bytes) -> None:
    connection.start(RecordedAnswer(), b"GET", b"request", whole=True)
    connection.data_received(answer)


@pytest.fixture
def clock() -> Iterator[ClockedLoop]:
    loop = ClockedLoop()
    yield loop
    loop.close()


def test_a_challenge_makes_a_connection_private(clock: ClockedLoop) -> None:
    pool = clocked_pool(clock, LIMITS)
    for answer in (
        CHALLENGE,
        CHALLENGE.replace(b"NTLM", b'Basic realm="x", negotiate'),
        b"HTTP/1.1 100 Go\r\n\r\n" + CHALLENGE,
    ):
        [connection] = opened(clock, pool)
        exchange(connection, answer)
        assert (connection.private, connection.reusable) == (True, True)
        pool.release(connection)
        assert (aborted([connection]), counts(pool)) == (1, (0, 0, 0))


@pytest.mark.parametrize(
    "answer",
    [
        CHALLENGE.replace(b"NTLM", b'Basic realm="x"'),
        CHALLENGE.replace(b"401", b"403"),
        CHALLENGE.replace(b"401", b"407").replace(b"www-", b"proxy-"),
        CHALLENGE.replace(b"www-", b"proxy-"),
    ],
)
def test_other_answers_do_not(answer: bytes, clock: ClockedLoop) -> None:
    pool = clocked_pool(clock, LIMITS)
    [connection] = opened(clock, pool)
    exchange(connection, answer)
    pool.release(connection)
    assert pool.idle() is connection


def test_only_its_client_gets_it(clock: ClockedLoop) -> None:
    service = Service(clock)
    alice, bob = PrivateConnections(), PrivateConnections()
    connection = service.used(alice)
    assert (counts(service.pool), repr(alice)) == ((0, 1, 0), "<PrivateConnections 1>")
    assert service.pool.idle() is None
    assert bob.take(service.live) is None
    taken = alice.take(service.live)
    assert taken is not None
    assert (taken.connection, taken.target, repr(alice)) == (
        connection,
        service.live.targets[0],
        "<PrivateConnections 0>",
    )
    assert alice.take(service.live) is None  # it is in use
    service.keeps(alice, taken.target, connection, handshake=False)
    assert repr(alice) == "<PrivateConnections 1>"
    assert not wire_of(connection).aborted


def test_it_ends_with_its_client(clock: ClockedLoop) -> None:
    service = Service(clock)
    alice = PrivateConnections()
    connection = service.used(alice)
    alice.close()
    assert (aborted([connection]), counts(service.pool), repr(alice)) == (1, (0, 0, 0), "<PrivateConnections 0>")


def test_it_ends_when_it_is_idle_for_too_long(clock: ClockedLoop) -> None:
    service = Service(clock)
    alice, bob = PrivateConnections(), PrivateConnections()
    connection = service.used(alice, handshake=True)
    clock.until(1003.0)
    later = service.used(bob)
    clock.until(1004.5)
    assert (aborted([connection]), aborted([later]), repr(alice)) == (1, 0, "<PrivateConnections 0>")
    clock.now = 1007.0  # nobody has looked
    assert bob.take(service.live) is None
    assert (aborted([later]), counts(service.pool), repr(bob)) == (1, (0, 0, 0), "<PrivateConnections 0>")
    clock.until(2000.0)
    assert clock.timers == []


def test_its_life_ends_but_not_within_a_handshake(clock: ClockedLoop) -> None:
    service = Service(clock, limits=Limits(connections=2, keepalive=100.0, lifetime=15.0))
    alice = PrivateConnections()
    connection = service.used(alice, handshake=True, answer=CHALLENGE)
    clock.until(1020.0)
    taken = alice.take(service.live)
    assert taken is not None
    service.keeps(alice, taken.target, connection, handshake=False)
    assert (aborted([connection]), repr(alice)) == (1, "<PrivateConnections 0>")
    after = service.used(alice)
    clock.until(1035.5)
    assert (aborted([after]), counts(service.pool), repr(alice)) == (1, (0, 0, 0), "<PrivateConnections 0>")


def test_the_service_may_close_it(clock: ClockedLoop) -> None:
    service = Service(clock)
    alice = PrivateConnections()
    service.used(alice).connection_lost(None)
    assert (counts(service.pool), repr(alice)) == ((0, 0, 0), "<PrivateConnections 0>")
    connection = service.used(alice)
    connection.data_received(b"out of turn")  # which ends it; the loss is heard of later
    assert alice.take(service.live) is None
    assert (aborted([connection]), counts(service.pool)) == (1, (0, 0, 0))


def test_one_that_is_not_fit_for_another_request_is_not_kept(clock: ClockedLoop) -> None:
    service = Service(clock)
    alice = PrivateConnections()
    connection = service.used(alice, answer=OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
    assert (aborted([connection]), counts(service.pool), repr(alice)) == (1, (0, 0, 0), "<PrivateConnections 0>")


def test_of_a_full_pool_the_one_that_waits_longest_gives_way(clock: ClockedLoop) -> None:
    service = Service(clock)
    alice, bob = PrivateConnections(), PrivateConnections()
    connections = [service.used(alice), service.used(bob)]
    assert (counts(service.pool), service.pool.full) == ((0, 2, 0), False)
    for left in ((True, False), (True, True)):
        opened(clock, service.pool)
        assert tuple(wire_of(connection).aborted for connection in connections) == left
        assert counts(service.pool) == (0, 2, 0)
    assert (repr(alice), repr(bob), service.pool.full) == ("<PrivateConnections 0>", "<PrivateConnections 0>", True)


def test_it_gives_way_to_who_has_waited_before(clock: ClockedLoop) -> None:
    service = Service(clock)
    alice = PrivateConnections()
    pool = service.pool
    [connection, _] = opened(clock, pool, 2)
    order: list[int] = []

    async def asks(number: int) -> None:
        await pool.acquire(None)
        order.append(number)

    async def turns() -> None:
        for _ in range(8):
            await asyncio.sleep(0)

    tasks = [clock.create_task(asks(0))]
    clock.run_until_complete(turns())
    service.keeps(alice, service.live.targets[0], connection, handshake=False)
    clock.run_until_complete(turns())
    assert (order, repr(alice)) == ([], "<PrivateConnections 1>")
    tasks.append(clock.create_task(asks(1)))
    clock.run_until_complete(turns())
    assert (order, repr(alice), counts(pool)) == ([0], "<PrivateConnections 0>", (0, 2, 1))
    clock.run_until_complete(pool.aclose())
    clock.run_until_complete(turns())
    assert all(task.done() for task in tasks)
    assert tasks[1].exception() is not None


def test_a_client_keeps_one_for_each_upstream_and_few_in_all(clock: ClockedLoop) -> None:
    alice = PrivateConnections()
    services = [Service(clock, name=f"svc-{number}") for number in range(MOST_PRIVATE + 1)]
    connections = [service.used(alice) for service in services]
    assert [wire_of(one).aborted for one in connections] == [True, *[False] * MOST_PRIVATE]
    assert counts(services[0].pool) == (0, 0, 0)
    again = services[2].used(alice)
    assert (wire_of(connections[2]).aborted, wire_of(again).aborted) == (True, False)
    assert (counts(services[2].pool), repr(alice)) == ((0, 1, 0), f"<PrivateConnections {MOST_PRIVATE}>")


def test_a_pool_that_is_retired_or_closed_keeps_none(clock: ClockedLoop) -> None:
    service, in_use = Service(clock), set[Pool]()
    alice = PrivateConnections()
    kept = service.used(alice)
    [busy] = opened(clock, service.pool)
    service.pool.retire(in_use)
    assert (aborted([kept]), counts(service.pool), in_use) == (1, (0, 1, 0), {service.pool})
    assert alice.take(service.live) is None
    service.keeps(alice, service.live.targets[0], busy, handshake=True)
    assert (aborted([busy]), in_use, repr(alice)) == (1, set(), "<PrivateConnections 0>")
    other = Service(clock)
    other.used(alice)
    clock.run_until_complete(other.pool.aclose())
    assert (counts(other.pool), repr(alice)) == ((0, 0, 0), "<PrivateConnections 0>")


async def nothing() -> None: ...


def test_a_pool_with_private_connections_is_drained_when_they_have_ended(clock: ClockedLoop) -> None:
    service = Service(clock)
    alice = PrivateConnections()
    service.used(alice)
    drained = clock.create_task(service.live.drained())
    clock.run_until_complete(nothing())
    assert not drained.done()
    alice.close()
    clock.run_until_complete(drained)


def test_a_target_that_went_serves_nobody(clock: ClockedLoop) -> None:
    service = Service(clock, "http://a", "http://b")
    alice = PrivateConnections()
    connection = service.used(alice, handshake=True)
    first = service.live.targets[0]
    service.live._target_set.have(service.live.targets[1:])  # pyright: ignore[reportPrivateUsage]
    assert alice.take(service.live) is None
    assert (aborted([connection]), counts(first.pool)) == (1, (0, 0, 0))


@pytest.mark.parametrize("how", ["drained", "out"])
def test_a_target_that_gets_no_requests_finishes_a_handshake_and_no_more(how: str, clock: ClockedLoop) -> None:
    service = Service(clock, "http://a", "http://b")
    alice, bob = PrivateConnections(), PrivateConnections()
    first = service.live.targets[0]
    begun, known = service.used(alice, handshake=True), service.used(bob)
    if how == "drained":
        first.health.drain()
    else:
        first.health.wants_out = "told to"
        first.health.eject()
    assert bob.take(service.live) is None
    taken = alice.take(service.live)
    assert taken is not None
    assert (taken.connection, aborted([begun]), aborted([known])) == (begun, 0, 1)
