"""The processes of one service under ``limen up``: started, watched, and started again while another one lives.

1. Until the whole topology was healthy once, the end of a process is the end of its service: a mistake in a setting is one
   clear line, and not a loop of starts.
2. After that, a target of several starts again after a back-off, and the others go on. It is said aloud.
3. A service none of whose processes lives has ended. For one with a single target, that is the end of its process.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Protocol

from limen.cli.targets import Target

# Seconds until a process starts again: the first time, and at most, since each quick end doubles them. One that ran for
# ``_STEADY`` begins anew.
_FIRST_DELAY = 0.5
_LONGEST_DELAY = 10.0
_STEADY = 10.0


class Running(Protocol):
    """What is needed of a process; ``tail`` holds its last lines of output."""

    @property
    def tail(self) -> Sequence[str]:
        """Return them."""
        ...

    async def wait(self) -> int:
        """Return the exit status, once it has ended."""
        ...

    async def stop(self) -> None:
        """End it, and what it has started."""
        ...


Start = Callable[[Target], Awaitable[Running]]
Serves = Callable[[Target], Coroutine[Any, Any, object]]
Report = Callable[[Target, str], None]
Now = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]


class ServiceProcesses:
    """The targets of one service.

    ``start`` makes a process, and raises OSError if that is impossible. ``serves`` returns once a target is healthy.
    ``report`` tells whoever watches.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        start: Start,
        serves: Serves,
        report: Report,
        *,
        now: Now | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Start nothing yet."""
        self._targets = targets
        self._start = start
        self._serves = serves
        self._report = report
        self._now = now or asyncio.get_running_loop().time
        self._sleep = sleep
        self._living: dict[str, Running] = {}
        self._restarts = False

    def __repr__(self) -> str:
        """Show which targets live."""
        return f"<ServiceProcesses {', '.join(self._living) or 'none'} of {len(self._targets)}>"

    async def start(self) -> None:
        """Start every target; raises OSError if that is impossible."""
        for target in self._targets:
            self._living[target.name] = await self._start(target)

    def allow_restarts(self) -> None:
        """From now on, start a target again that ends while another one lives."""
        self._restarts = True

    async def ended(self) -> str:
        """Wait until the service has ended; return why. Cancelled, it starts nothing more, and leaves running what runs."""
        watches = [asyncio.create_task(self._watch(target)) for target in self._targets]
        try:
            done, _ = await asyncio.wait(watches, return_when=asyncio.FIRST_COMPLETED)
            return next(iter(done)).result()
        finally:
            for watch in watches:
                watch.cancel()
            await asyncio.gather(*watches, return_exceptions=True)

    async def _watch(self, target: Target) -> str:
        process = self._living[target.name]
        delay = 0.0
        again = False
        while True:
            began = self._now()
            status = _status(await self._end_of(process, target, again=again))
            del self._living[target.name]
            if not self._restarts or not self._living:
                return failure(f"{target.name} {status}", process.tail)
            if self._now() - began >= _STEADY:
                delay = 0.0
            await process.stop()  # a child of it may hold the port
            process, delay = await self._start_again(target, status, delay)
            self._living[target.name] = process
            again = True

    async def _end_of(self, process: Running, target: Target, *, again: bool) -> int:
        announcement = asyncio.create_task(self._announce(target)) if again else None
        try:
            return await process.wait()
        finally:
            if announcement is not None:
                announcement.cancel()

    async def _announce(self, target: Target) -> None:
        await self._serves(target)
        self._report(target, "serves again")

    async def _start_again(self, target: Target, why: str, delay: float) -> tuple[Running, float]:
        """Start it after a back-off that follows ``delay``; return the process and the back-off."""
        while True:
            delay = min(2 * delay, _LONGEST_DELAY) or _FIRST_DELAY
            living = ", ".join(self._living) or "none"
            self._report(target, f"{why}; it starts again in {delay:g} s. Of {target.service} still run: {living}")
            await self._sleep(delay)
            try:
                return await self._start(target), delay
            except OSError as error:
                why = f"cannot start: {error.strerror}"


def failure(what: str, tail: Sequence[str]) -> str:
    """Return the message that ``limen up`` ends with: what has happened, and the last thing that the process said."""
    # An indented line belongs to the line above it: it shows the source that a message is about.
    last = next((line for line in reversed(tail) if line.strip() and not line.startswith(" ")), "")
    return f"{what}; everything is stopped" + (f". Its last line: {last}" if last else "")


def _status(code: int) -> str:
    return f"was killed by signal {-code}" if code < 0 else f"ended with exit status {code}"
