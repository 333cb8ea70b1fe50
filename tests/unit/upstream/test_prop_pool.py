"""A pool of connections under any sequence of what callers, services and the network do to it.

The service's part is played by hand: it answers whole, in part, too much, out of turn, or goes. After every step:
no two exchanges share a connection, none begins on one that is out of step, the bound holds, and the line is in order.
"""

import asyncio
from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule

from calling import counts
from limen import Limits, Upstream
from limen.upstream.connection import Connection
from limen.upstream.error import UpstreamError
from limen.upstream.network import Sockets
from limen.upstream.pool import Pool
from talk import RecordedAnswer, Wire
from turning import timeless

MOST = 4
WAITING = 4
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
CLEAN = (
    OK,
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
)
DIRTY = (
    OK + b"x",
    OK + OK,
    OK[:-1],
    b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\n\r\nok",
    b"HTTP/1.1 204 No Content\r\ncontent-length: 2\r\n\r\nok",
    b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
    b"garbage\r\n\r\n",
    b"HTTP/1.1 1",
)


class Narrow(Pool):
    """A pool whose connections lead to the test; an opening waits for ``gate`` and fails where it is told to."""

    made: list[Connection]
    fails: bool
    gate: asyncio.Event

    async def _connect(self, deadline: float | None) -> Connection:
        await self.gate.wait()
        if self.fails:
            raise ConnectionRefusedError("told to")
        lost: Callable[[Connection], None] = self._lost
        connection = Connection(self.target, 4096, lost, timeless())
        connection.connection_made(Wire())
        self.made.append(connection)
        return connection


class PoolMachine(RuleBasedStateMachine):
    """What may happen, as rules; ``held`` are the connections that callers have."""

    held = Bundle("held")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        upstream = Upstream("svc", ["http://a"], limits=Limits(connections=MOST, waiting=WAITING, keepalive=60))
        self.pool = Narrow(upstream, upstream.addresses[0], Sockets(), lambda: None)
        self.pool.made, self.pool.fails, self.pool.gate = [], False, asyncio.Event()
        self.pool.gate.set()
        self.callers: list[asyncio.Task[Connection]] = []
        self.out: list[Connection] = []
        self.dirty: set[Connection] = set()

    # --- callers ---

    @rule()
    def asks(self) -> None:
        """Somebody wants a connection, and may have to wait."""
        self.callers.append(self.loop.create_task(self.pool.acquire(1000)))
        self.turns()

    @rule(target=held)
    def takes(self) -> Connection | None:
        """Somebody takes an idle connection, if there is one and nobody is in line."""
        line = counts(self.pool)[2]
        found = self.pool.idle()
        assert found is None or not line, "overtaken"
        return self._given(found)

    @rule(target=held)
    def is_served(self) -> Connection | None:
        """The first who asked has a connection by now, or a refusal."""
        for task in [task for task in self.callers if task.done()]:
            self.callers.remove(task)
            if task.cancelled() or task.exception() is not None:
                assert task.cancelled() or isinstance(task.exception(), UpstreamError)
                continue
            return self._given(task.result())
        return None

    @precondition(lambda self: bool(self.callers))
    @rule(which=st.integers(0, 9))
    def leaves(self, which: int) -> None:
        """Somebody who asked does not wait any longer."""
        task = self.callers[which % len(self.callers)]
        if not task.done():
            task.cancel()
        self.turns()

    # --- exchanges ---

    @rule(held=consumes(held), answer=st.sampled_from(CLEAN), late=st.booleans())
    def ends_well(self, held: Connection | None, answer: bytes, late: bool) -> None:
        """A whole exchange; ``late`` closes behind it, before or after the connection is given back."""
        if held is None:
            return
        seen = self._begin(held)
        held.data_received(answer)
        assert seen.ended or held.lost
        if late:
            held.connection_lost(None)
        self._release(held)

    @rule(held=consumes(held), answer=st.sampled_from(DIRTY))
    def ends_badly(self, held: Connection | None, answer: bytes) -> None:
        """An exchange after which the connection is not fit for another."""
        if held is None:
            return
        self._begin(held)
        held.data_received(answer)
        self.dirty.add(held)
        self._release(held)

    @rule(held=consumes(held), error=st.booleans())
    def breaks(self, held: Connection | None, error: bool) -> None:
        """The network breaks an exchange."""
        if held is None:
            return
        seen = self._begin(held)
        held.connection_lost(ConnectionResetError() if error else None)
        assert seen.kind is not None
        self.dirty.add(held)
        self._release(held)

    @rule(held=consumes(held))
    def is_early(self, held: Connection | None) -> None:
        """The service answers before the request is whole."""
        if held is None:
            return
        self._begin(held, whole=False)
        held.data_received(OK)
        self.dirty.add(held)
        self._release(held)

    @rule(held=consumes(held), twice=st.booleans())
    def is_given_up(self, held: Connection | None, twice: bool) -> None:
        """The caller aborts in mid-exchange; giving back twice is harmless."""
        if held is None:
            return
        self._begin(held)
        held.abort()
        self.dirty.add(held)
        self._release(held)
        if twice:
            self.pool.release(held)

    # --- the service and the network ---

    @rule(which=st.integers(0, 9), stray=st.sampled_from((b"\n", OK, b"")))
    def an_idle_one_is_spoilt(self, which: int, stray: bytes) -> None:
        """Bytes, or an end, come on a connection that nobody uses."""
        idle = [one for one in self.pool.made if one not in self.out and one not in self.dirty and not one.lost]
        idle = [
            one
            for one in idle
            if not any(
                t.done() and not t.cancelled() and t.exception() is None and t.result() is one for t in self.callers
            )
        ]
        if not idle:
            return
        one = idle[which % len(idle)]
        self.dirty.add(one)
        if stray:
            one.data_received(stray)
        else:
            one.connection_lost(None)
        self.turns()

    @rule(opens=st.booleans(), fails=st.booleans())
    def the_network_changes(self, opens: bool, fails: bool) -> None:
        """Openings hang or not, and fail or not."""
        self.pool.fails = fails
        if opens:
            self.pool.gate.set()
        else:
            self.pool.gate.clear()
        self.turns()

    # --- what holds ---

    @invariant()
    def the_bound_holds(self) -> None:
        idle, busy, waiting = counts(self.pool)
        assert idle + busy <= MOST
        assert waiting <= WAITING

    @invariant()
    def all_are_accounted_for(self) -> None:
        """Who has a connection, or is about to, is busy; nothing else is, once openings have come to an end."""
        served = [t for t in self.callers if t.done() and not t.cancelled() and t.exception() is None]
        assert len({id(one) for one in self.out}) == len(self.out)
        assert counts(self.pool)[1] >= len(self.out) + len(served) - sum(one.lost for one in self.out)

    @invariant()
    def the_line_is_in_order(self) -> None:
        """While openings work, nobody is served before one who asked earlier and still waits."""
        states = [t.done() for t in self.callers if not t.cancelled()]
        if self.pool.gate.is_set() and counts(self.pool)[2]:
            refused = [t for t in self.callers if t.done() and not t.cancelled() and t.exception() is not None]
            if not refused:
                assert states == sorted(states, reverse=True)

    def teardown(self) -> None:
        """Whatever has happened: once all is given back, all is free, and a new caller is served."""
        self.pool.gate.set()
        self.pool.fails = False
        drained = self.loop.create_task(self.pool.drained())
        for connection in self.out:
            connection.abort()
            self.pool.release(connection)
        for _ in range(50):
            self.turns()
            for task in [task for task in self.callers if task.done()]:
                self.callers.remove(task)
                if not task.cancelled() and task.exception() is None:
                    self.pool.release(task.result())
        assert not self.callers, f"somebody waits for ever: {self.pool!r}"
        assert counts(self.pool)[1:] == (0, 0), repr(self.pool)
        assert drained.done(), "all is free, and whoever waits for that was not told"
        last = self.loop.run_until_complete(self.pool.acquire(1000))
        assert last not in self.dirty
        self.pool.release(last)
        self.loop.run_until_complete(self.pool.aclose())
        assert counts(self.pool) == (0, 0, 0)
        assert not asyncio.all_tasks(self.loop)
        self.loop.close()

    # --- inside ---

    def turns(self) -> None:
        """Let everything that can run, run."""

        async def some() -> None:
            for _ in range(8):
                await asyncio.sleep(0)

        self.loop.run_until_complete(some())

    def _given(self, connection: Connection | None) -> Connection | None:
        if connection is not None:
            assert connection not in self.out, "one connection for two"
            assert connection not in self.dirty, "used again though out of step"
            self.out.append(connection)
        return connection

    def _begin(self, connection: Connection, *, whole: bool = True) -> RecordedAnswer:
        seen = RecordedAnswer()
        connection.start(seen, b"GET", b"request", whole=whole)
        return seen

    def _release(self, connection: Connection) -> None:
        self.out.remove(connection)
        self.pool.release(connection)
        if connection.lost or not connection.reusable:
            self.dirty.add(connection)
        self.turns()


TestPool = PoolMachine.TestCase
