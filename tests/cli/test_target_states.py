"""What several workers know of targets, as real processes: it is shared, and one of them checks for all."""

import asyncio
import os
import re
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from commands import Command, connected, get, request, running
from limen.testing import Fleet, answer, saying

SERVES = r"worker (\d+) serves"

# Its own endpoint says which worker answers, and what that knows.
GATE = """
import os
from limen import Ejection, Gateway, Health, Upstream, anyone
from limen.testing import snapshot
app = Gateway()
orders = Upstream("orders", TARGETS, health=HEALTH, ejection=Ejection(seconds=30, longest=30), hedge=None)
app.forward("/orders/{path:path}", upstream=orders, allow=anyone)

@app.get("/known")
async def known() -> str:
    targets = snapshot(app).upstreams[0].targets
    return f"{os.getpid()} " + " | ".join(
        f"{'drained' if one.drained_since else ''} {one.state} {one.reason}" for one in targets
    )

@app.post("/drain")
async def drain() -> str:
    app.active_config().runtime.drain_target("orders", orders.targets[0])
    return str(os.getpid())
"""


@asynccontextmanager
async def served(
    folder: Path, port: int, fleet: Fleet, health: str = "None"
) -> AsyncGenerator[tuple[Command, list[int]]]:
    (folder / "gate.py").write_text(GATE.replace("TARGETS", repr(fleet.urls)).replace("HEALTH", health))
    argv = ("serve", "gate:app", "--port", str(port), "--workers", "2", "--log-level", "info")
    async with running(folder, *argv) as command:
        pids = await command.says(SERVES, times=2)
        yield command, [int(pid) for pid in pids]
        command.send(signal.SIGTERM)
        assert await command.ends() == 0
        assert "Traceback" not in command.text
        assert "traceback" not in command.text


async def known(port: int) -> dict[int, str]:
    """Return what each of two workers knows: new connections are accepted by either."""
    found: dict[int, str] = {}
    while len(found) < 2:
        content = (await get(port, "/known"))[1].decode().strip('"')
        pid, _, states = content.partition(" ")
        found[int(pid)] = states
    return found


async def until_known(port: int, condition: Callable[[str], bool]) -> None:
    """Wait until each of two workers knows; the test's own time limit bounds it."""
    while not all(map(condition, (await known(port)).values())):  # noqa: ASYNC110  # other processes have to know
        await asyncio.sleep(0.005)


async def test_what_requests_to_one_worker_tell_the_other_knows_at_once(folder: Path, port: int) -> None:
    async with Fleet(2) as fleet, served(folder, port, fleet) as (command, pids):
        fleet[0].behave(saying(answer(status=503)))
        async with connected(port) as streams:  # one connection is one worker
            pid = int((await request(streams, "/known"))[1].decode().strip('"').split()[0])
            while "is out" not in command.text:
                assert (await request(streams, "/orders/1"))[0].startswith(b"http/1.1 200")
            [other] = set(pids) - {pid}
            async with asyncio.timeout(5):
                await command.says(rf"\[{other}\] .*another worker says of target .*: out: 3 failures in a row")
        asked = fleet[0].count()
        assert asked == 3
        states = await known(port)
        assert states[pid] == states[other]
        for _ in range(20):
            assert (await get(port, "/orders/1"))[0].startswith(b"http/1.1 200")
        assert fleet[0].count() == asked  # whichever worker it was


async def test_a_drain_reaches_the_other_worker_and_one_that_starts_later(folder: Path, port: int) -> None:
    async with Fleet(2) as fleet, served(folder, port, fleet) as (command, pids):
        async with connected(port) as streams:
            content = (await request(streams, "/drain", body=b" "))[1]
            pid = int(content.decode().strip('"'))
            [other] = set(pids) - {pid}
            async with asyncio.timeout(5):
                await command.says(rf"\[{other}\] .*another worker says of target .*: drained, in")
        os.kill(pid, signal.SIGKILL)
        await command.says(SERVES, times=3)
        await until_known(port, lambda states: states.startswith("drained in"))
        for _ in range(10):
            await get(port, "/orders/1")
        assert fleet.counts() == [0, 10]


HEALTH = 'Health("/readyz", 0.4, unhealthy_interval=0.4)'


@pytest.mark.processes_measured
async def test_targets_are_checked_once_per_interval_and_on_when_the_worker_that_checks_is_killed(
    folder: Path, port: int
) -> None:
    async with Fleet(2) as fleet, served(folder, port, fleet, HEALTH) as (command, pids):
        while not (await get(port, "/readyz"))[0].startswith(b"http/1.1 200"):  # noqa: ASYNC110  # another process
            await asyncio.sleep(0.01)
        loop = asyncio.get_running_loop()
        fleet.forget()
        begun = loop.time()
        await seen(fleet, 6)
        took = loop.time() - begun
        assert fleet[0].count("/readyz") <= took / (0.8 * 0.4) + 1  # and not twice that
        ready = 0
        while ready < 20:  # both answer: what one has found, the other knows
            head, _ = await get(port, "/readyz")
            assert head.startswith(b"http/1.1 200")
            ready += 1

        # The first one that has started checks. Another one goes on when it is killed.
        checker = pids[0]
        os.kill(checker, signal.SIGKILL)
        await command.says(f"worker {checker} was killed by signal 9")
        fleet.forget()
        await seen(fleet, 3)
        fleet[1].behave(saying(answer(status=503)), path="/readyz")
        await command.says(SERVES, times=3)
        await until_known(port, lambda states: "checks in a row failed, the last: an answer of 503" in states)
        said = re.findall(r"is out: \d checks in a row failed", command.text)
        assert len(said) == 1


async def test_a_frozen_worker_checks_no_more_and_another_one_does(folder: Path, port: int) -> None:
    async with Fleet(2) as fleet, served(folder, port, fleet, HEALTH) as (_, pids):
        await seen(fleet, 1)
        os.kill(pids[0], signal.SIGSTOP)
        try:
            fleet.forget()
            await seen(fleet, 3)  # it is three beats of a second before another one begins
        finally:
            os.kill(pids[0], signal.SIGCONT)


async def test_a_restart_hands_the_checks_over(folder: Path, port: int) -> None:
    async with Fleet(2) as fleet, served(folder, port, fleet, HEALTH) as (command, pids):
        await seen(fleet, 1)
        command.send(signal.SIGHUP)
        await command.says(SERVES, times=4)
        for pid in pids:
            await command.says(f"worker {pid} ended with status 0")
        fleet.forget()
        await seen(fleet, 2)
        assert (await get(port, "/readyz"))[0].startswith(b"http/1.1 200")


async def seen(fleet: Fleet, times: int) -> None:
    """Wait until each target was checked so often."""
    while min(fleet.counts("/readyz")) < times:  # noqa: ASYNC110  # another process has to ask
        await asyncio.sleep(0.005)
