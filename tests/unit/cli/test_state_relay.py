"""Workers that share what they know of targets, without processes: gateways' states, links and the relay. Time is virtual."""

import asyncio
import json
from random import Random
from typing import Any, cast

import pytest

from limen.cli.state_lines import encode_checks, encode_state
from limen.cli.state_relay import RelayMember, StateRelay
from limen.cli.supervisor_link import SupervisorLink
from limen.runtime.target_states import TargetStates
from limen.upstream.declared import Upstream
from limen.upstream.ejection import Ejection
from limen.upstream.health import Health
from limen.upstream.live import LiveUpstream
from limen.upstream.target import Target
from virtual_time import now, run

TARGETS = ["http://10.0.0.1:80", "http://10.0.0.2:80"]
KEY = Target.parse(TARGETS[0]).key
ENOUGH = 0.1  # seconds, in which all have to know


def epoch() -> float:
    """Return seconds since the epoch, of which none is 0: that is no time."""
    return 1e9 + now()


class Pipe(asyncio.Transport):
    """One direction of a socket in memory; ``held`` keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.reader: asyncio.Protocol | None = None
        self.other: Pipe | None = None
        self.writer: asyncio.Protocol | None = None
        self.held: bytes | None = None
        self.written = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)
        if self.held is not None:
            self.held += bytes(data)
        elif not self.closed:
            asyncio.get_running_loop().call_soon(self._deliver, bytes(data))

    def _deliver(self, data: bytes) -> None:
        assert self.reader is not None
        if not self.closed:
            self.reader.data_received(data)

    def hold(self) -> None:
        self.held = b""

    def release(self) -> None:
        data, self.held = self.held, None
        self._deliver(data or b"")

    def close(self) -> None:
        if not self.closed:
            assert self.reader is not None
            assert self.other is not None
            assert self.writer is not None
            self.closed = self.other.closed = True
            loop = asyncio.get_running_loop()
            loop.call_soon(self.reader.connection_lost, None)
            loop.call_soon(self.writer.connection_lost, None)


class Worker:
    """A worker: one upstream, its states, and its link to ``relay``."""

    def __init__(self, relay: StateRelay, targets: list[str] | None = None, **options: Any) -> None:
        loop = asyncio.get_running_loop()
        options = {"health": Health("/"), "ejection": Ejection(slow_start=0.0)} | options
        upstream = Upstream("orders", targets or TARGETS, **options)
        self.live = LiveUpstream(upstream, clock=loop.time, now=epoch, random=Random(1))
        self.link = SupervisorLink()
        self.member = RelayMember(relay)
        self.up, self.down = Pipe(), Pipe()
        self.up.reader, self.down.reader = self.member, self.link
        self.up.writer, self.down.writer = self.link, self.member
        self.up.other, self.down.other = self.down, self.up
        self.states = TargetStates()
        self.states.join(self.link)
        self.states.watch({"orders": self.live})
        self.link.connection_made(self.up)
        self.member.connection_made(self.down)

    def says(self, number: int = 0) -> str:
        return self.live.targets[number].health.says()

    def fails(self, times: int = 3, number: int = 0) -> None:
        for _ in range(times):
            self.live.failed(self.live.targets[number], "connecting: refused", self.live.clock())

    def succeeds(self, times: int = 3, number: int = 0) -> None:
        for _ in range(times):
            self.live.answered(self.live.targets[number], 200, self.live.clock())

    def probes(self, number: int = 0) -> None:
        self.live.targets[number].health.probe()

    def told(self) -> list[dict[str, Any]]:
        """Return what it has told its supervisor."""
        return [cast("dict[str, Any]", json.loads(line)) for line in self.up.written.splitlines()]


def test_an_ejection_and_a_return_reach_the_others_and_are_not_told_back() -> None:
    async def test() -> None:
        relay = StateRelay()
        a, b, c = (Worker(relay) for _ in range(3))
        a.fails()
        reason = "out: 3 failures in a row, the last: connecting: refused"
        assert (a.says(), b.says()) == (reason, "in")
        await asyncio.sleep(ENOUGH)
        assert (b.says(), c.says()) == (reason, reason)
        ours, theirs = (one.live.targets[0].health for one in (a, b))
        assert theirs.since == ours.since
        assert theirs.until == pytest.approx(ours.until)
        assert not b.told()
        assert not c.told()
        assert [target.target.url for target in b.live._target_set.well] == TARGETS[1:]  # pyright: ignore[reportPrivateUsage]
        await asyncio.sleep(2)
        b.probes()
        b.succeeds()
        await asyncio.sleep(ENOUGH)
        assert {one.says() for one in (a, b, c)} == {"in"}
        assert (len(a.told()), len(b.told()), len(c.told())) == (1, 1, 0)
        # The next time out is longer everywhere, whoever ejects.
        c.fails()
        assert c.live.targets[0].health.until - c.live.clock() > 2.5

    run(test())


def test_drains_are_shared_and_kept_apart_from_ejections() -> None:
    async def test() -> None:
        relay = StateRelay()
        a, b = Worker(relay), Worker(relay)
        a.live.drain(TARGETS[0])
        b.fails()  # at the same time
        await asyncio.sleep(ENOUGH)
        assert a.says() == b.says() == "drained, out: 3 failures in a row, the last: connecting: refused"
        b.live.restore(TARGETS[0])
        await asyncio.sleep(ENOUGH)
        assert not a.live.targets[0].health.drained_since

    run(test())


def test_checks_of_one_count_for_all() -> None:
    async def test() -> None:
        relay = StateRelay()
        a, b = Worker(relay), Worker(relay)
        relay.appoint(a.member)
        a.live.checked(a.live.targets[0], "")
        await asyncio.sleep(ENOUGH)
        assert b.live.unchecked() == 1
        a.live.checked(a.live.targets[1], "an answer of 503")
        await asyncio.sleep(ENOUGH)
        assert b.live.unchecked() == 0
        assert b.says(1) == "out: the check failed: an answer of 503"
        assert not b.live.targets[1].health.due()
        b.fails(number=1)  # tells nothing: it is out
        a.live.checked(a.live.targets[1], "")
        a.live.checked(a.live.targets[1], "")
        await asyncio.sleep(ENOUGH)
        assert b.live.targets[1].health.due()
        assert b.says(1) == "out: checks are good again, after: the check failed: an answer of 503"
        told = len(a.told())
        for _ in range(100):
            a.live.checked(a.live.targets[0], "")
        await asyncio.sleep(ENOUGH)
        assert len(a.told()) == told  # a good check of a good target is no news
        assert not b.told()

    run(test())


def test_one_that_comes_later_learns_all() -> None:
    async def test() -> None:
        relay = StateRelay()
        a = Worker(relay)
        relay.appoint(a.member)
        a.live.checked(a.live.targets[0], "")
        a.live.checked(a.live.targets[1], "an answer of 503")
        a.live.drain(TARGETS[0])
        await asyncio.sleep(5)
        b = Worker(relay)
        await asyncio.sleep(ENOUGH)
        assert b.live.unchecked() == 0
        assert (b.says(0), b.says(1)) == (a.says(0), a.says(1))
        assert b.live.targets[1].health.since == a.live.targets[1].health.since
        assert not b.told()
        # And a target that is there later.
        c = Worker(relay, TARGETS[:1])
        await asyncio.sleep(ENOUGH)
        c.live.retarget([Target.parse(url) for url in TARGETS])
        assert c.says(1) == "out: the check failed: an answer of 503"
        assert not c.told()

    run(test())


def test_the_last_well_target_is_kept_whatever_others_say() -> None:
    async def test() -> None:
        relay = StateRelay()
        a, b = Worker(relay), Worker(relay)
        a.fails(number=0)
        b.fails(number=1)  # both at once: neither knows of the other
        await asyncio.sleep(ENOUGH)
        for worker in (a, b):
            states = [target.health.state for target in worker.live.targets]
            assert states.count(0) == 1, worker
            kept = worker.live.targets[states.index(0)].health
            assert kept.failing
            assert kept.reason.startswith("kept in, since too many others are out: 3 failures in a row")
        assert (len(a.told()), len(b.told())) == (1, 1)

    run(test())


def test_what_crosses_on_the_way_ends_the_same_everywhere() -> None:
    async def test() -> None:
        relay = StateRelay()
        a, b, c = (Worker(relay) for _ in range(3))
        a.up.hold()
        a.live.drain(TARGETS[0])
        await asyncio.sleep(ENOUGH)
        b.live.drain(TARGETS[0])
        b.live.restore(TARGETS[0])
        b.live.drain(TARGETS[0])
        b.live.restore(TARGETS[0])
        b.live.drain(TARGETS[0])
        await asyncio.sleep(ENOUGH)
        a.live.restore(TARGETS[0])
        await asyncio.sleep(ENOUGH)
        assert c.says() == "drained, in"
        assert a.says() == "in"  # it said so after what it has got from the others
        a.up.release()
        await asyncio.sleep(ENOUGH)
        assert [one.says() for one in (a, b, c)] == ["in"] * 3

    run(test())


def test_a_state_that_flutters_is_sent_at_most_so_often() -> None:
    async def test() -> None:
        relay = StateRelay()
        a, b = Worker(relay), Worker(relay)
        for _ in range(10_000):
            a.live.drain(TARGETS[0])
            a.live.restore(TARGETS[0])
        a.live.drain(TARGETS[0])
        await asyncio.sleep(ENOUGH)
        assert len(a.told()) == 1
        assert b.says() == "drained, in"

    run(test())


def test_a_supervisor_that_reads_nothing_costs_one_value_per_state() -> None:
    async def test() -> None:
        relay = StateRelay()
        a, b = Worker(relay), Worker(relay)
        a.link.pause_writing()
        for _ in range(100):
            a.live.drain(TARGETS[0])
            await asyncio.sleep(0.01)
            a.live.restore(TARGETS[0])
            await asyncio.sleep(0.01)
        a.fails(number=1)
        assert not a.told()
        a.link.resume_writing()
        await asyncio.sleep(ENOUGH)
        assert len(a.told()) == 2
        assert b.says(1) == a.says(1)
        # The same for a worker that reads nothing.
        b.member.pause_writing()
        before = len(b.down.written)
        for _ in range(100):
            a.live.drain(TARGETS[0])
            a.live.restore(TARGETS[0])
            await asyncio.sleep(0.01)
        a.live.drain(TARGETS[0])
        await asyncio.sleep(ENOUGH)
        b.member.resume_writing()
        await asyncio.sleep(ENOUGH)
        assert b.says() == "drained, in"
        assert b.down.written[before:].count(b"\n") == 1

    run(test())


def test_one_is_told_to_check_and_another_when_it_is_gone() -> None:
    async def test() -> None:
        relay = StateRelay()
        a, b = Worker(relay), Worker(relay)
        assert (a.states.checks, b.states.checks) == (False, False)
        relay.appoint(a.member)
        relay.appoint(a.member)
        await asyncio.sleep(ENOUGH)
        assert (a.states.checks, b.states.checks) == (True, False)
        a.down.close()
        await asyncio.sleep(ENOUGH)
        relay.appoint(b.member)
        await asyncio.sleep(ENOUGH)
        assert b.states.checks
        assert a.states.checks  # its supervisor is gone: it does all by itself
        a.live.drain(TARGETS[0])  # and tells nobody
        await asyncio.sleep(ENOUGH)
        assert b.says() == "in"
        late = TargetStates()
        late.join(b.link)
        assert late.checks

    run(test())


def test_what_is_not_understood_changes_nothing() -> None:
    async def test() -> None:
        relay = StateRelay()
        a = Worker(relay)
        good: dict[str, object] = {
            "out": True,
            "reason": "r",
            "since": 1.0,
            "until": 1e12,
            "ejections": 1,
            "failing": False,
        }
        for aspect, value in [
            ("later", {"since": 1.0}),
            ("drain", {}),
            ("drain", {"since": "1"}),
            ("drain", {"since": -1.0}),
            ("drain", {"since": True}),
            ("drain", {"since": float("inf")}),
            ("check", {"failing": 1, "reason": "", "since": 0.0}),
            ("check", {"failing": True, "reason": 1, "since": 0.0}),
            *(("availability", good | {name: None}) for name in good),
        ]:
            key = ("orders", KEY, aspect)
            a.link.data_received(encode_state(0, key, value, to_worker=True))
        a.link.data_received(b'{"v":1,"unknown":1}\n{"v":2}\n' + b"x" * 10_000 + b"\n")
        assert (a.says(), a.live.unchecked()) == ("in", 2)
        key = ("orders", KEY, "availability")
        a.link.data_received(encode_state(0, key, good | {"reason": "x" * 3000}, to_worker=True))
        assert a.says() == f"out: {'x' * 300}"
        # No peer keeps a target out for longer than this worker would.
        assert a.live.targets[0].health.until - a.live.clock() <= 10.0
        a.link.data_received(encode_checks(mine=True))
        assert a.states.checks
        a.member.data_received(b'{"v":1,"checks":true}\nno\n')

    run(test())


def test_without_peers_nothing_is_watched() -> None:
    async def test() -> None:
        states = TargetStates()
        states.join(None)
        live = LiveUpstream(Upstream("orders", TARGETS))
        states.watch({"orders": live})
        assert states.checks
        assert live.changed is None
        assert live.arrived is None

    run(test())


def test_what_is_removed_is_forgotten() -> None:
    async def test() -> None:
        relay = StateRelay()
        a, b = Worker(relay), Worker(relay)
        a.fails()
        await asyncio.sleep(ENOUGH)
        b.live.retarget([Target.parse(TARGETS[1])])
        b.live.retarget([Target.parse(url) for url in TARGETS])
        assert b.says(1) == "in"
        b.states.watch({})
        assert repr(b.link) == "<SupervisorLink 0 states>"
        b.states.leave()
        assert b.live.changed is None
        a.live.drain(TARGETS[1])
        await asyncio.sleep(ENOUGH)
        assert "drained" not in b.says(0)

    run(test())
