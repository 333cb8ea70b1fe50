"""``limen serve --workers N``: the supervisor. It owns the listening socket and the worker processes, and serves nothing.

uvicorn's supervisor has these faults: it keeps the listener open while its workers stop, so that clients connect to nobody;
it ignores signals while a restart waits for a worker, and a second SIGTERM always; its workers die of a SIGHUP sent to the
group and outlive a killed parent; and it ends with status 0 when the application does not start.

Signals to the supervisor:

- SIGTERM, SIGINT: tell every worker not to be ready any more, and go on for ``drain_wait`` seconds. Then accept nothing more,
  let each worker stop gracefully (``limen.cli.server``), exit with status 0. A worker that has not ended ``MARGIN`` seconds
  after ``grace`` is killed.
- the next SIGTERM or SIGINT: end the wait; where there is none (any more), kill every worker, and end by that signal.
- SIGHUP: replace every worker, one at a time. A new one serves before an old one is stopped, and the next one starts when
  that has ended. Code is imported anew, options stay. If a new one does not start, the old ones stay. Those that are replaced
  stay ready to the end: the others accept from the same socket, so there is nobody to be turned away.

A worker that ends by itself is replaced: at once, or after a pause that doubles if it did not live long. A worker that hangs
is killed and replaced (``limen.cli.heartbeat``), even if its replacement does not start. A start that fails, for lack of
memory or open files, is repeated after such a pause, and so is any other failure here: healthy workers must not end for it.
The first worker is started alone, so that an application that does not start says so once: status 3. Once one has served,
starts are repeated without end. Each worker has a session of its own, so that signals of a terminal to its foreground group
(Ctrl-C, a hang-up) reach the supervisor only.

Workers tell each other over the supervisor what becomes of targets, and one of them checks targets for all
(``limen.cli.state_relay``): one that serves, of the newest generation. When it ends, stops, or is not heard for
``_SILENT_BEATS`` beats, another one checks.

``_step`` makes all decisions, from the state of the workers, each time that something has changed.
"""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Mapping
from typing import Any

from limen.cli import heartbeat
from limen.cli.state_relay import StateRelay
from limen.cli.worker_process import START, WorkerProcess, start_worker
from limen.cli.worker_protocol import CLEANUP, LIFESPAN, STARTUP_FAILURE

logger = logging.getLogger("limen.serve")

# Seconds beyond ``grace`` after which a worker that stops is killed: after ``grace`` it has to clean up.
MARGIN = CLEANUP + LIFESPAN + 1.0

# Seconds to wait before a worker is replaced that lived for less than ``_SHORT_LIFE``: the first time, and at most.
_SHORT_LIFE = 10.0
_PAUSE = 0.5
_LONGEST_PAUSE = 30.0

# Beats that the worker that checks targets may miss before another one checks them: a blocked loop is no check.
_SILENT_BEATS = 3


class Supervisor:
    """``options`` are those of ``limen.cli.serve.Options``, as a mapping that JSON can hold."""

    def __init__(
        self,
        listener: socket.socket,
        options: Mapping[str, Any],
        *,
        count: int,
        grace: float,
        drain_wait: float = 0.0,
    ) -> None:
        """Keep ``count`` workers that accept from ``listener``; ``grace`` bounds the stop of each, in seconds.

        ``drain_wait`` is for how many seconds they serve on before a stop, while they are not ready.
        """
        self._listener = listener
        self._options = options
        self._count = count
        self._grace = grace
        self._drain_wait = drain_wait
        self._draining: asyncio.TimerHandle | None = None
        self._workers: list[WorkerProcess] = []
        self._generation = 0
        self._changed = asyncio.Event()
        self._stopping = False
        self._status = 0
        self._served = False
        self._pause = 0.0
        self._paused = False
        self._hang_detector = heartbeat.HangDetector()
        self._relay = StateRelay()
        self._checker: WorkerProcess | None = None

    async def run(self) -> int:
        """Serve until a signal ends it; return the exit status."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_stop_signal, number)
        loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
        self._beat_timer = loop.call_later(heartbeat.BEAT_INTERVAL, self._check_beats)
        try:
            while not self._stopping or self._workers:
                self._changed.clear()
                try:
                    await self._step()
                except Exception as error:
                    self._on_start_failed(error)
                if self._workers or not self._stopping:
                    await self._changed.wait()
        finally:
            self._beat_timer.cancel()
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                loop.remove_signal_handler(number)
        return self._status

    async def _step(self) -> None:
        if self._stopping:
            return
        serving = self._serving()
        starting = [worker for worker in self._workers if not worker.ready and not worker.stopping]
        stopping = [worker for worker in self._workers if worker.stopping]
        stale = [worker for worker in serving if worker.generation != self._generation]
        if stale and len(serving) > self._count:
            self._stop_worker(stale[0])
            return
        missing = self._count - len(serving) - len(starting)
        if self._paused or (starting and len(stale) == len(serving)):
            return  # no worker of this generation has served yet: one at a time
        if missing > 0:
            for _ in range(missing if len(serving) > len(stale) else 1):
                await self._start()
        elif stale and not stopping and not starting:
            await self._start()

    # --- events ---

    def _on_stop_signal(self, number: int) -> None:
        name = signal.Signals(number).name
        if not self._stopping and self._draining is None and self._served and self._drain_wait > 0:
            self._draining = asyncio.get_running_loop().call_later(self._drain_wait, self._stop, 0)
            self._drain_workers()
            logger.info(
                "%s: draining for %g s: not ready; all is served, and the next signal ends this", name, self._drain_wait
            )
            return
        if not self._stopping:
            self._stop(0)
            logger.info("%s: the workers end, in at most %g s", name, self._grace + MARGIN)
            return
        for worker in self._workers:
            self._send(worker, signal.SIGKILL)
        asyncio.get_running_loop().remove_signal_handler(number)
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    def _on_hangup(self) -> None:
        if not self._stopping and self._draining is None:
            logger.info("SIGHUP: the workers are replaced, one at a time")
            self._generation += 1
            self._pause = 0.0
            self._changed.set()

    def _on_beat(self, worker: WorkerProcess, control: socket.socket) -> None:
        """The first byte says that the worker serves, every other that its loop still turns."""
        if not control.recv(4096):  # it is about to end
            asyncio.get_running_loop().remove_reader(control.fileno())
            return
        worker.missed_beats = 0
        if worker.ready or worker.stopping:
            return
        worker.ready = self._served = True
        worker.since = asyncio.get_running_loop().time()
        if worker.deadline is not None:
            worker.deadline.cancel()
        if self._draining is not None:
            self._send(worker, signal.SIGUSR1)
        logger.info("worker %d serves", worker.process.pid)
        self._appoint_checker()
        self._changed.set()

    def _check_beats(self) -> None:
        self._beat_timer = asyncio.get_running_loop().call_later(heartbeat.BEAT_INTERVAL, self._check_beats)
        serving = self._serving()
        hung = self._hang_detector.check(serving, self._count)
        silence = heartbeat.MISSED_BEATS * heartbeat.BEAT_INTERVAL
        for worker in serving:
            if worker is not hung and worker.missed_beats == heartbeat.MISSED_BEATS:
                logger.error(
                    "worker %d has not been heard for %g s: it hangs; it is killed when the one before is replaced, "
                    "or after %g s",
                    worker.process.pid,
                    silence,
                    heartbeat.REPLACEMENT_BEATS * heartbeat.BEAT_INTERVAL,
                )
        if hung is not None:
            hung.hung = True
            self._kill(hung, f"has not been heard for {silence:g} s and more: it hangs")
            self._changed.set()  # it is replaced at once: the system may take long to end it
        self._appoint_checker()

    def _on_start_failed(self, error: Exception) -> None:
        """Repeat ``_step`` after a pause; give up if no worker has ever served."""
        if self._stopping:
            return  # that worker is not needed any more
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

    def _on_end(self, worker: WorkerProcess, status: int) -> None:
        if worker.deadline is not None:
            worker.deadline.cancel()
        self._workers.remove(worker)
        if worker.member is not None:
            worker.member.close()
        self._appoint_checker()
        self._changed.set()
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        if self._stopping or worker.stopping:
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
        if lived >= _SHORT_LIFE:
            self._pause = 0.0
        else:
            self._longer_pause()

    def _longer_pause(self) -> None:
        self._pause = min(max(2 * self._pause, _PAUSE), _LONGEST_PAUSE)
        self._paused = True
        asyncio.get_running_loop().call_later(self._pause, self._end_pause)

    def _end_pause(self) -> None:
        self._paused = False
        self._changed.set()

    def _serving(self) -> list[WorkerProcess]:
        return [worker for worker in self._workers if worker.ready and not worker.stopping and not worker.hung]

    def _appoint_checker(self) -> None:
        """Let one worker check targets: the one that does, as long as none is better. At a stop it goes on to its end."""
        if self._stopping:
            return
        able = [
            worker
            for worker in self._workers
            if worker.member is not None
            and not worker.stopping
            and not worker.hung
            and worker.missed_beats < _SILENT_BEATS
        ]
        if able:
            best = max(able, key=lambda worker: (worker.ready, worker.generation, worker is self._checker))
            self._checker = best
            self._relay.appoint(best.member)

    # --- actions ---

    async def _start(self) -> None:
        """Start a worker. Raises OSError when the system has no process, no memory or no file for it."""
        if self._stopping:  # since the worker before was started
            return
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                process, control = await start_worker(self._listener, self._options, states=theirs)
        except BaseException:
            ours.close()
            raise
        worker = WorkerProcess(process, self._generation, loop.time())
        self._workers.append(worker)
        worker.watcher = loop.create_task(self._watch(worker, control))
        loop.add_reader(control.fileno(), self._on_beat, worker, control)
        worker.deadline = loop.call_later(START, self._kill, worker, f"does not serve after {START:g} s")
        worker.member = await self._relay.add(ours)
        if self._stopping:  # since the process was created
            self._stop_worker(worker)
        self._appoint_checker()

    async def _watch(self, worker: WorkerProcess, control: socket.socket) -> None:
        status = await worker.process.wait()
        asyncio.get_running_loop().remove_reader(control.fileno())
        control.close()
        self._on_end(worker, status)

    def _stop(self, status: int) -> None:
        self._stopping = True
        self._status = status
        if self._draining is not None:
            self._draining.cancel()
        self._drain_workers()
        self._listener.close()  # else clients would connect to nobody
        for worker in self._workers:
            self._stop_worker(worker)
        self._changed.set()

    def _drain_workers(self) -> None:
        """Have the readiness endpoint of each worker answer 503."""
        for worker in self._serving():  # one that does not serve yet would end by the signal
            self._send(worker, signal.SIGUSR1)

    def _stop_worker(self, worker: WorkerProcess) -> None:
        if worker.stopping:
            return
        worker.stopping = True
        if worker.deadline is not None:
            worker.deadline.cancel()
        bound = self._grace + MARGIN
        worker.deadline = asyncio.get_running_loop().call_later(
            bound, self._kill, worker, f"has not ended after {bound:g} s"
        )
        self._send(worker, signal.SIGTERM)
        self._appoint_checker()

    def _kill(self, worker: WorkerProcess, why: str) -> None:
        logger.error("worker %d %s: killed", worker.process.pid, why)
        self._send(worker, signal.SIGKILL)

    @staticmethod
    def _send(worker: WorkerProcess, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):  # it has ended, and ``_watch`` goes on next
            worker.process.send_signal(number)
