"""``limen serve --reload``: the supervisor for development. It owns the listening socket throughout; one worker serves.

1. watch (``limen.cli.changes``), then start a worker: no change is missed, those while it starts included
2. when it serves, say so; when it does not start, say why, and answer every request with it (``limen.cli.unavailable``)
3. wait for a change, however the start went
4. end the worker, in good order but soon, and begin again at 1

While one worker serves, the next is there already: it has imported limen and what that needs, most of what takes time, and
waits with the application. If what it has imported is among the changes, another is started in its place.

Between two workers nobody accepts: a request waits in the listener's queue, and the new code answers it. One worker has
ended before the next begins, so that two never share a database file or a port of the application's own.

A first start that fails is treated like any other, for the next save may mend it. What no save can mend ends the command
before: a spec that is none, a top-level module that does not exist, files of TLS that cannot be served, a taken port.

SIGTERM, SIGINT: the worker ends within ``END`` seconds, or at once when asked again; then status 0. A worker has a session of
its own, and ends when this process is gone, whatever ended it.
"""

import asyncio
import contextlib
import os
import signal
import socket
import ssl
import sys
from collections.abc import Collection, Mapping, Sequence
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

import click

from limen.cli.changes import Changes
from limen.cli.supervision import FAILED, GO, LONGEST, SERVES
from limen.cli.unavailable import Unavailable
from limen.cli.workers import START, start_worker

# Seconds that running requests get at a restart, when --grace does not give them less, and after which a worker is killed.
GRACE = 2
END = 3.0

# How many changed files a message names.
_NAMED = 2


class Reloader:
    """``options`` are those of ``limen.cli.serve.Options``, as a mapping that JSON can hold."""

    def __init__(
        self, listener: socket.socket, options: Mapping[str, Any], changes: Changes, tls: ssl.SSLContext | None = None
    ) -> None:
        """Serve on ``listener``, with ``tls`` also while there is no worker; start again at each of ``changes``."""
        self._listener = listener
        self._options = {**options, "grace": min(options["grace"], GRACE), "reload": True}
        self._changes = changes
        self._tls = tls
        self._workers: list[_Worker] = []  # at most one serves; the last one may wait
        self._asked = asyncio.Event()

    async def run(self) -> None:
        """Serve until a signal ends it. Raises ClickException when the folders cannot be watched."""
        loop = asyncio.get_running_loop()
        self._listener.setblocking(False)
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._asked_to_stop)
        asked = loop.create_task(self._asked.wait())
        try:
            await self._changes.start()  # 1
            await self._serve(asked)
        finally:
            asked.cancel()
            await asyncio.gather(*(worker.end() for worker in self._workers))
            await self._changes.stop()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    async def _serve(self, asked: asyncio.Task[Any]) -> None:
        loop = asyncio.get_running_loop()
        changed = loop.create_task(self._changes.next())
        since: float | None = None
        try:
            while not asked.done():
                worker = await self._next()
                self._import_as_a_worker()
                started = worker.go()
                await _first(asked, changed, started)
                failure = started.result() if started.done() else ""
                if started.done() and not failure:  # 2
                    watched = ", ".join(map(str, self._changes.folders))
                    again = "" if since is None else f" again after {loop.time() - since:.1f} s"
                    _say(f"serves{again or f'; watches {watched}'}", "green")
                    await self._next()
                    await _first(asked, changed, worker.ended)  # 3
                    if worker.ended.done():
                        failure = f"the worker {_how(worker.ended.result())}; what it said last says why"
                if failure and not changed.done() and not asked.done():
                    await self._fail(failure, worker, asked, changed)  # 2, 3
                if not asked.done():
                    since = loop.time()
                    _say(f"{_named(sorted(changed.result()))} changed; restarting", "yellow")
                    await self._end(worker)  # 4
                    paths = {*changed.result().values(), *self._changes.taken().values()}  # up to now
                    forget(paths)
                    for waiting in self._workers[:]:
                        if waiting.ended.done() or imported(paths):
                            await self._end(waiting)
                    changed = loop.create_task(self._changes.next())
        finally:
            changed.cancel()

    async def _fail(
        self, failure: str, worker: "_Worker", asked: asyncio.Task[Any], changed: asyncio.Task[Any]
    ) -> None:
        await self._end(worker)
        _say(failure, "red")
        async with Unavailable(self._listener, failure, self._tls):
            _say("every request is answered with 503 until the next save", "red")
            await self._next()
            await _first(asked, changed)

    async def _next(self) -> "_Worker":
        """Return the worker that waits; start one if there is none."""
        if not self._workers or self._workers[-1].told_to_go:
            self._workers.append(await _Worker.start(self._listener, self._options))
        return self._workers[-1]

    def _import_as_a_worker(self) -> None:
        """Import what a waiting worker has, while the first one does so, if that is not done: ``imported`` is about that.

        What cannot be imported here (a file of the application's in the place of a module that it needs) is for the worker
        to fail with, and for the next save to mend.
        """
        try:
            from limen.cli.worker import prepare

            prepare(str(self._options["engine"]))
        except (Exception, SystemExit) as error:  # any module may be in the way, and raise anything
            _say(f"the supervisor cannot import what serves: {type(error).__name__}: {error}", "red")

    async def _end(self, worker: "_Worker") -> None:
        if worker in self._workers:
            await worker.end()
            self._workers.remove(worker)

    def _asked_to_stop(self) -> None:
        if self._asked.is_set():
            for worker in self._workers:
                worker.kill()
        self._asked.set()


class _Worker:
    """A worker process, which waits until it is told to go. ``ended`` is its exit status."""

    def __init__(self, process: asyncio.subprocess.Process, control: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self._process = process
        self._control = control
        self._told = b""
        self.ended = loop.create_task(process.wait())
        self._started: asyncio.Task[str] | None = None

    @classmethod
    async def start(cls, listener: socket.socket, options: Mapping[str, Any]) -> "_Worker":
        return cls(*await start_worker(listener, options))

    @property
    def told_to_go(self) -> bool:
        return self._started is not None

    def go(self) -> asyncio.Task[str]:
        """Let it import the application; the result is nothing once it serves, or why it does not."""
        with contextlib.suppress(BrokenPipeError):  # it has ended, and we hear of it next
            self._control.send(GO)
        self._started = asyncio.get_running_loop().create_task(self._start())
        return self._started

    async def _start(self) -> str:
        reading = asyncio.get_running_loop().create_task(self._read())
        try:
            # Its end counts by itself: what it has started may hold the other end of the socket open.
            await asyncio.wait((reading, self.ended), timeout=START, return_when=asyncio.FIRST_COMPLETED)
        finally:
            reading.cancel()
            await asyncio.wait((reading,))
        if self._told == SERVES:
            return ""
        with contextlib.suppress(OSError):  # what it wrote just before its end
            self._told += self._control.recv(LONGEST + len(FAILED))
        if self._told.startswith(FAILED):
            return self._told[len(FAILED) :].decode(errors="replace")
        if not reading.cancelled() or self.ended.done():
            return f"the worker {_how(await self.ended)} before it served; what it said last says why"
        return f"the worker does not serve after {START:g} s: killed"

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(ConnectionError):  # it was killed
            while self._told != SERVES and (more := await loop.sock_recv(self._control, LONGEST)):
                self._told += more

    async def end(self) -> None:
        """End it and what it has started: SIGTERM, ``END`` seconds, SIGKILL."""
        if not self.ended.done():
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)
            await asyncio.wait((self.ended,), timeout=END)
        self.kill()
        await self.ended
        if self._started is not None:
            self._started.cancel()
            await asyncio.wait((self._started,))
        self._control.close()

    def kill(self) -> None:
        """Kill its whole group; what it has started may be there without it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)


async def _first(*tasks: asyncio.Task[Any]) -> None:
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)


def imported(paths: Collection[Path]) -> bool:
    """Tell whether a waiting worker may have imported one of ``paths``: then this process has as well."""
    loaded = {Path(file) for module in list(sys.modules.values()) if (file := getattr(module, "__file__", None))}
    return any(file.is_relative_to(path) for path in paths for file in loaded)


def forget(paths: Collection[Path]) -> None:
    """Remove what Python keeps of ``paths`` once it has compiled them.

    It takes that for what is in a file with the same size and second of change: two saves within a second may be one to it.
    """
    for path in paths:
        for source in (path,) if path.suffix == ".py" else _sources(path):
            with contextlib.suppress(OSError):  # there is none, or it is another's
                Path(cache_from_source(str(source))).unlink()


def _sources(path: Path) -> list[Path]:
    """Return what has changed with a folder, or a link to one: the files in it, and links beside it, which may lead there."""
    if not path.is_dir():
        return []
    with contextlib.suppress(OSError):  # gone meanwhile, which is the next change
        return [*path.rglob("*.py"), *(each for each in path.parent.glob("*.py") if each.is_symlink())]
    return []


def _how(status: int) -> str:
    return f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"


def _named(names: Sequence[str]) -> str:
    if len(names) > _NAMED + 1:
        return f"{', '.join(names[:_NAMED])} and {len(names) - _NAMED} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _say(text: str, colour: str) -> None:
    click.echo(f"{click.style('reload:', fg=colour, bold=True)} {text}", err=True)
