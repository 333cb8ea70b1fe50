"""``limen serve --workers N``: the supervisor. It owns the listening socket and the worker processes, and serves nothing.

uvicorn's supervisor would not do: it keeps the listener open while its workers stop, so that clients connect to nobody;
it hears no signal while a restart waits for a worker, nor a second SIGTERM ever; its workers die of a SIGHUP sent to the
group and outlive a killed parent; and it ends with status 0 when the application does not start.

What a signal to the supervisor does:

- SIGTERM, SIGINT: nothing more is accepted, each worker ends in good order (``limen.cli.server``), then status 0. A worker
  that has not ended ``MARGIN`` seconds after its bound is killed.
- the second of these: every worker is killed, and the supervisor ends by that signal.
- SIGHUP: every worker is replaced, one at a time: a new one serves before an old one is told to end, and the next is not
  begun before that has ended. Code is imported anew, options stay. If a new one does not start, the old ones stay.

A worker that ends by itself is replaced, at once or, if it did not live long, after a pause that doubles. One that hangs is
killed and replaced (``limen.cli.heartbeat``), also where the one that should replace it does not start. A start that fails,
for want of memory or of open files, is tried again after such a pause, and so is whatever else goes wrong here: workers that
are well must not end for it. The first worker is started alone, so that an application which does not start says so once:
status 3. Once one has served, starts are tried again for as long as it takes. Workers have a session of their own: what a
terminal sends to its foreground group (Ctrl-C, a hang-up) reaches the supervisor alone.

All that is decided is decided in ``_step``, from the workers as they are, each time that something has changed.
"""

import asyncio
import contextlib
import json
import logging
import signal
import socket
import sys
from collections.abc import Mapping
from typing import Any

from limen.cli import heartbeat
from limen.cli.supervision import CLEANUP, LIFESPAN, STARTUP_FAILURE

logger = logging.getLogger("limen.serve")

# Seconds a worker may take until it serves: a cold start imports much on a small machine.
START = 60.0

# Seconds beyond ``grace`` after which a worker that was told to end is killed: it needs some itself once that is over.
MARGIN = CLEANUP + LIFESPAN + 1.0

# Seconds to wait before a worker is replaced that did not live for ``_LONG``: the first time, and at most.
_LONG = 10.0
_PAUSE = 0.5
_LONGEST_PAUSE = 30.0


async def start_worker(
    listener: socket.socket, options: Mapping[str, Any]
) -> tuple[asyncio.subprocess.Process, socket.socket]:
    """Start a process of ``limen.cli.worker``; return it, and our end of its control socket, which does not block."""
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            files = {"listener": listener.fileno(), "control": theirs.fileno()}
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *(f"-W{option}" for option in sys.warnoptions),
                *("-m", "limen.cli.worker", json.dumps({**options, **files})),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=tuple(files.values()),
                start_new_session=True,
            )
    except BaseException:
        ours.close()
        raise
    ours.setblocking(False)
    return process, ours


class _Worker:
    """A worker process as the supervisor sees it."""

    __slots__ = ("generation", "hung", "leaving", "limit", "process", "ready", "silent", "since", "watch")

    def __init__(self, process: asyncio.subprocess.Process, generation: int, now: float) -> None:
        self.process = process
        self.generation = generation
        self.since = now  # when it began, then when it became ready
        self.ready = False
        self.leaving = False
        self.hung = False  # and killed for it
        self.silent = 0  # looks since it was heard
        self.limit: asyncio.TimerHandle | None = None
        self.watch: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        state = "leaving" if self.leaving else "ready" if self.ready else "starting"
        return f"<worker {self.process.pid} generation {self.generation} {state}>"


class Supervisor:
    """``options`` are those of ``limen.cli.serve.Options``, as a mapping that JSON can hold."""

    def __init__(self, listener: socket.socket, options: Mapping[str, Any], *, count: int, grace: float) -> None:
        """Keep ``count`` workers that accept from ``listener``; ``grace`` is each one's bound to end, in seconds."""
        self._listener = listener
        self._options = options
        self._count = count
        self._grace = grace
        self._workers: list[_Worker] = []
        self._generation = 0
        self._changed = asyncio.Event()
        self._stopping = False
        self._status = 0
        self._served = False
        self._pause = 0.0
        self._paused = False
        self._looks = heartbeat.Looks()

    async def run(self) -> int:
        """Serve until a signal ends it; return the exit status."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._asked_to_stop, number)
        loop.add_signal_handler(signal.SIGHUP, self._asked_to_restart)
        self._looking = loop.call_later(heartbeat.BEAT, self._look)
        try:
            while not self._stopping or self._workers:
                self._changed.clear()
                try:
                    await self._step()
                except Exception as error:
                    self._failed(error)
                if self._workers or not self._stopping:
                    await self._changed.wait()
        finally:
            self._looking.cancel()
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                loop.remove_signal_handler(number)
        return self._status

    async def _step(self) -> None:
        if self._stopping:
            return
        serving = self._serving()
        starting = [worker for worker in self._workers if not worker.ready and not worker.leaving]
        leaving = [worker for worker in self._workers if worker.leaving]
        stale = [worker for worker in serving if worker.generation != self._generation]
        if stale and len(serving) > self._count:
            self._retire(stale[0])
            return
        missing = self._count - len(serving) - len(starting)
        if self._paused or (starting and len(stale) == len(serving)):
            return  # nothing of this generation has served yet: one at a time
        if missing > 0:
            for _ in range(missing if len(serving) > len(stale) else 1):
                await self._start()
        elif stale and not leaving and not starting:
            await self._start()

    # --- what happens ---

    def _asked_to_stop(self, number: int) -> None:
        if not self._stopping:
            self._stop(0)
            logger.info("%s: the workers end, in at most %g s", signal.Signals(number).name, self._grace + MARGIN)
            return
        for worker in self._workers:
            self._send(worker, signal.SIGKILL)
        asyncio.get_running_loop().remove_signal_handler(number)  # back to what the system does
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    def _asked_to_restart(self) -> None:
        if not self._stopping:
            logger.info("SIGHUP: the workers are replaced, one at a time")
            self._generation += 1
            self._pause = 0.0
            self._changed.set()

    def _heard(self, worker: _Worker, control: socket.socket) -> None:
        """The first byte says that it serves, every other that its loop still turns."""
        if not control.recv(4096):  # it is about to end
            asyncio.get_running_loop().remove_reader(control.fileno())
            return
        worker.silent = 0
        if worker.ready or worker.leaving:
            return
        worker.ready = self._served = True
        worker.since = asyncio.get_running_loop().time()
        if worker.limit is not None:
            worker.limit.cancel()
        logger.info("worker %d serves", worker.process.pid)
        self._changed.set()

    def _look(self) -> None:
        self._looking = asyncio.get_running_loop().call_later(heartbeat.BEAT, self._look)
        serving = self._serving()
        hung = self._looks.look(serving, self._count)
        silence = heartbeat.MISSED * heartbeat.BEAT
        for worker in serving:
            if worker is not hung and worker.silent == heartbeat.MISSED:
                logger.error(
                    "worker %d has not been heard for %g s: it hangs; it is killed when the one before is replaced, "
                    "or after %g s",
                    worker.process.pid,
                    silence,
                    heartbeat.REPLACED * heartbeat.BEAT,
                )
        if hung is not None:
            hung.hung = True
            self._kill(hung, f"has not been heard for {silence:g} s and more: it hangs")
            self._changed.set()  # its place is free at once: the system may take long to end it

    def _failed(self, error: Exception) -> None:
        """What ``_step`` could not do is tried again after a pause; if nothing has ever served, it is given up."""
        if self._stopping:
            return  # nobody waits for that worker any more
        if not self._served and not self._workers:
            logger.error("the first worker cannot be started: %s", error, exc_info=not isinstance(error, OSError))
            self._stop(STARTUP_FAILURE)
            return
        self._longer_pause()
        logger.error(
            "a worker cannot be started: %s; tried again in %g s, and those that serve go on",
            error,
            self._pause,
            exc_info=not isinstance(error, OSError),
        )

    def _ended(self, worker: _Worker, status: int) -> None:
        if worker.limit is not None:
            worker.limit.cancel()
        self._workers.remove(worker)
        self._changed.set()
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        if self._stopping or worker.leaving:
            logger.info("worker %d %s", worker.process.pid, how)
            return
        lived = asyncio.get_running_loop().time() - worker.since if worker.ready else 0.0
        serving = self._serving()
        if worker.ready:
            logger.error("worker %d %s; another takes its place", worker.process.pid, how)
        elif not self._served:
            logger.error("worker %d %s before it served: see its message above", worker.process.pid, how)
            self._stop(STARTUP_FAILURE)
            return
        elif any(other.generation != worker.generation for other in serving):
            logger.error("worker %d %s before it served: the restart is given up", worker.process.pid, how)
            for other in self._workers:
                other.generation = self._generation
        else:
            logger.error("worker %d %s before it served: tried again", worker.process.pid, how)
        if lived >= _LONG:
            self._pause = 0.0
        else:
            self._longer_pause()

    def _longer_pause(self) -> None:
        self._pause = min(max(2 * self._pause, _PAUSE), _LONGEST_PAUSE)
        self._paused = True
        asyncio.get_running_loop().call_later(self._pause, self._go_on)

    def _go_on(self) -> None:
        self._paused = False
        self._changed.set()

    def _serving(self) -> list[_Worker]:
        return [worker for worker in self._workers if worker.ready and not worker.leaving and not worker.hung]

    # --- what is done ---

    async def _start(self) -> None:
        """Start a worker. Raises OSError when the system has no process, no memory or no file for it."""
        if self._stopping:  # asked for while the one before was started
            return
        loop = asyncio.get_running_loop()
        process, ours = await start_worker(self._listener, self._options)
        worker = _Worker(process, self._generation, loop.time())
        self._workers.append(worker)
        worker.watch = loop.create_task(self._watch(worker, ours))
        loop.add_reader(ours.fileno(), self._heard, worker, ours)
        worker.limit = loop.call_later(START, self._kill, worker, f"does not serve after {START:g} s")
        if self._stopping:  # asked for while the process was made
            self._retire(worker)

    async def _watch(self, worker: _Worker, control: socket.socket) -> None:
        status = await worker.process.wait()
        asyncio.get_running_loop().remove_reader(control.fileno())
        control.close()
        self._ended(worker, status)

    def _stop(self, status: int) -> None:
        self._stopping = True
        self._status = status
        self._listener.close()  # or clients would still connect, to nobody
        for worker in self._workers:
            self._retire(worker)
        self._changed.set()

    def _retire(self, worker: _Worker) -> None:
        if worker.leaving:
            return
        worker.leaving = True
        if worker.limit is not None:
            worker.limit.cancel()
        late = self._grace + MARGIN
        worker.limit = asyncio.get_running_loop().call_later(
            late, self._kill, worker, f"has not ended after {late:g} s"
        )
        self._send(worker, signal.SIGTERM)

    def _kill(self, worker: _Worker, why: str) -> None:
        logger.error("worker %d %s: killed", worker.process.pid, why)
        self._send(worker, signal.SIGKILL)

    @staticmethod
    def _send(worker: _Worker, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):  # it has ended, and we hear of it next
            worker.process.send_signal(number)
