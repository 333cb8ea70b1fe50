"""What happens when a process of a service ends: with processes that are no processes, and time that the test moves."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from errno import EAGAIN

from limen.cli.service_processes import ServiceProcesses
from limen.cli.targets import Target
from serving import until


class Scripted:
    """A process that ends when the test says so."""

    def __init__(self) -> None:
        self.tail: Sequence[str] = ("said before", "  detail")
        self.stopped = False
        self._code: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def end(self, code: int) -> None:
        self._code.set_result(code)

    async def wait(self) -> int:
        return await asyncio.shield(self._code)

    async def stop(self) -> None:
        self.stopped = True


class Stage:
    """A service with scripted processes; ``processes`` are all that were started, by name."""

    def __init__(self, *names: str) -> None:
        self.now = 0.0
        self.reports: list[str] = []
        self.processes: dict[str, list[Scripted]] = {}
        self.impossible = 0
        self.naps: list[tuple[float, asyncio.Future[None]]] = []
        self.healthy = asyncio.Event()
        self.service = ServiceProcesses(
            [Target(name, "orders", 1) for name in names],
            self._start,
            self._serves,
            lambda target, text: self.reports.append(f"{target.name} {text}"),
            now=lambda: self.now,
            sleep=self._sleep,
        )

    @asynccontextmanager
    async def running(self, *, restarts: bool = True) -> AsyncGenerator[asyncio.Task[str]]:
        await self.service.start()
        if restarts:
            self.service.allow_restarts()
        task = asyncio.create_task(self.service.ended())
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def end(self, name: str, code: int = -9) -> float:
        """End the last process called ``name``; return the back-off that follows."""
        naps = len(self.naps)
        self.processes[name][-1].end(code)
        await until(lambda: len(self.naps) > naps)
        return self.naps[-1][0]

    async def wake(self, name: str) -> None:
        """Let the last back-off pass, until ``name`` has started once more."""
        started = len(self.processes[name])
        self.naps[-1][1].set_result(None)
        await until(lambda: len(self.processes[name]) > started)

    async def _start(self, target: Target) -> Scripted:
        if self.impossible:
            self.impossible -= 1
            raise OSError(EAGAIN, "Resource temporarily unavailable")
        process = Scripted()
        self.processes.setdefault(target.name, []).append(process)
        return process

    async def _serves(self, target: Target) -> bool:
        return await self.healthy.wait()

    async def _sleep(self, seconds: float) -> None:
        nap: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.naps.append((seconds, nap))
        await nap


async def test_the_end_of_the_only_target_is_that_of_the_service() -> None:
    stage = Stage("orders")
    async with stage.running() as task:
        stage.processes["orders"][0].end(3)
        assert await task == "orders ended with exit status 3; everything is stopped. Its last line: said before"
    assert stage.reports == []


async def test_before_all_was_healthy_every_end_is_that_of_the_service() -> None:
    stage = Stage("orders-1", "orders-2")
    async with stage.running(restarts=False) as task:
        stage.processes["orders-2"][0].end(-9)
        assert await task == "orders-2 was killed by signal 9; everything is stopped. Its last line: said before"
    assert stage.naps == []


async def test_a_target_starts_again_while_another_lives() -> None:
    stage = Stage("orders-1", "orders-2")
    async with stage.running() as task:
        assert repr(stage.service) == "<ServiceProcesses orders-1, orders-2 of 2>"
        assert await stage.end("orders-1") == 0.5
        assert repr(stage.service) == "<ServiceProcesses orders-2 of 2>"
        assert stage.processes["orders-1"][0].stopped
        await stage.wake("orders-1")
        assert stage.reports == [
            "orders-1 was killed by signal 9; it starts again in 0.5 s. Of orders still run: orders-2"
        ]
        stage.healthy.set()
        await until(lambda: stage.reports[-1] == "orders-1 serves again")
        assert not task.done()
        assert len(stage.processes["orders-2"]) == 1


async def test_the_service_has_ended_once_no_target_lives() -> None:
    stage = Stage("orders-1", "orders-2")
    async with stage.running() as task:
        await stage.end("orders-1")
        stage.processes["orders-2"][0].end(0)
        assert await task == "orders-2 ended with exit status 0; everything is stopped. Its last line: said before"
    assert len(stage.processes["orders-1"]) == 1


async def test_quick_ends_double_the_back_off_up_to_a_bound() -> None:
    stage = Stage("orders-1", "orders-2")
    async with stage.running():
        for delay in (0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0):
            assert await stage.end("orders-1", 1) == delay
            await stage.wake("orders-1")
        stage.now += 9.0
        assert await stage.end("orders-1") == 10.0
        await stage.wake("orders-1")
        stage.now += 10.0
        assert await stage.end("orders-1") == 0.5
    # It ended each time before it was healthy.
    assert not [line for line in stage.reports if "serves" in line]


async def test_a_process_that_cannot_be_made_is_tried_again() -> None:
    stage = Stage("orders-1", "orders-2")
    async with stage.running():
        await stage.end("orders-1")
        stage.impossible = 1
        stage.naps[-1][1].set_result(None)
        await until(lambda: len(stage.naps) == 2)
        assert stage.naps[-1][0] == 1.0
        assert stage.reports[-1].startswith(
            "orders-1 cannot start: Resource temporarily unavailable; it starts again in 1 s"
        )
        await stage.wake("orders-1")


async def test_what_is_cancelled_starts_nothing_more() -> None:
    stage = Stage("orders-1", "orders-2")
    async with stage.running():
        await stage.end("orders-1")
    assert stage.naps[-1][1].cancelled()
    assert len(stage.processes["orders-1"]) == 1
    assert not stage.processes["orders-2"][0].stopped
