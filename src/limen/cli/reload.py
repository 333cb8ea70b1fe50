"""``limen serve --reload``: the supervisor for development. It owns the listening socket throughout; one worker serves.

1. watch the sources (``limen.cli.source_changes``), then start a worker: no change is missed, even while it starts
2. print that it serves, or why it does not start; then answer every request with that (``limen.cli.unavailable_server``)
3. wait for a change, however the start went
4. stop the worker, gracefully but soon, and begin again at 1

While one worker serves, the next one is prepared: it has imported limen and its dependencies, which takes most of the time,
and waits before it imports the application. If something that it has imported changes, another worker replaces it.

Between two workers nothing accepts: requests wait in the listener's queue, and the new code answers them. A worker ends
before the next one begins, so that two never share a database file or a port of the application's own.

A failed first start is treated like any other, for the next save may mend it. What no save can mend ends the command before:
an invalid spec, a top-level module that does not exist, TLS files that cannot be served, a port that is in use.

SIGTERM, SIGINT: the worker ends within ``END`` seconds, or at once at the second signal; then status 0. A worker has a
session of its own, and ends when this process has ended, for whatever reason.
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

from limen.cli.source_changes import SourceChanges
from limen.cli.unavailable_server import UnavailableServer
from limen.cli.worker_process import START, start_worker
from limen.cli.worker_protocol import FAILED, GO, LONGEST, SERVES

# Seconds that running requests get at a restart, unless --grace gives them less; and after which a worker is killed.
GRACE = 2
END = 3.0

# How many changed files a message names.
_NAMED = 2


class Reloader:
    """``options`` are those of ``limen.cli.serve.Options``, as a mapping that JSON can hold."""

    def __init__(
        self,
        listener: socket.socket,
        options: Mapping[str, Any],
        changes: SourceChanges,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Serve on ``listener``, with ``tls`` also while there is no worker; restart at each of ``changes``."""
        self._listener = listener
        self._options = {**options, "grace": min(options["grace"], GRACE), "reload": True}
        self._changes = changes
        self._tls = tls
        self._workers: list[_ReloadWorker] = []  # at most one serves; the last one may be prepared
        self._stop_requested = asyncio.Event()

    async def run(self) -> None:
        """Serve until a signal ends it. Raises ClickException when the folders cannot be watched."""
        loop = asyncio.get_running_loop()
        self._listener.setblocking(False)
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_stop_signal)
        stop = loop.create_task(self._stop_requested.wait())
        try:
            await self._changes.start()  # 1
            await self._serve(stop)
        finally:
            stop.cancel()
            await asyncio.gather(*(worker.end() for worker in self._workers))
            await self._changes.stop()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    async def _serve(self, stop: asyncio.Task[Any]) -> None:
        loop = asyncio.get_running_loop()
        changed = loop.create_task(self._changes.next())
        since: float | None = None
        try:
            while not stop.done():
                worker = await self._prepared()
                self._import_as_a_worker()
                started = worker.go()
                await _wait_for_first(stop, changed, started)
                failure = started.result() if started.done() else ""
                if started.done() and not failure:  # 2
                    watched = ", ".join(map(str, self._changes.folders))
                    again = "" if since is None else f" again after {loop.time() - since:.1f} s"
                    _say(f"serves{again or f'; watches {watched}'}", "green")
                    await self._prepared()
                    await _wait_for_first(stop, changed, worker.ended)  # 3
                    if worker.ended.done():
                        failure = f"the worker {_describe_end(worker.ended.result())}; what it said last says why"
                if failure and not changed.done() and not stop.done():
                    await self._fail(failure, worker, stop, changed)  # 2, 3
                if not stop.done():
                    since = loop.time()
                    _say(f"{_enumerate(sorted(changed.result()))} changed; restarting", "yellow")
                    await self._end(worker)  # 4
                    paths = {*changed.result().values(), *self._changes.take().values()}  # up to now
                    remove_bytecode(paths)
                    for prepared in self._workers[:]:
                        if prepared.ended.done() or imported(paths):
                            await self._end(prepared)
                    changed = loop.create_task(self._changes.next())
        finally:
            changed.cancel()

    async def _fail(
        self, failure: str, worker: "_ReloadWorker", stop: asyncio.Task[Any], changed: asyncio.Task[Any]
    ) -> None:
        await self._end(worker)
        _say(failure, "red")
        async with UnavailableServer(self._listener, failure, self._tls):
            _say("every request is answered with 503 until the next save", "red")
            await self._prepared()
            await _wait_for_first(stop, changed)

    async def _prepared(self) -> "_ReloadWorker":
        """Return the prepared worker; start one if there is none."""
        if not self._workers or self._workers[-1].going:
            self._workers.append(await _ReloadWorker.start(self._listener, self._options))
        return self._workers[-1]

    def _import_as_a_worker(self) -> None:
        """Import what a prepared worker imports, if that is not done, so that ``imported`` knows the modules.

        If that fails (a file of the application's shadows a module), the worker fails too, and the next save may mend it.
        """
        try:
            from limen.cli.worker import prepare

            prepare(str(self._options["engine"]))
        except (Exception, SystemExit) as error:  # any module may be shadowed, and raise anything
            _say(f"the supervisor cannot import what serves: {type(error).__name__}: {error}", "red")

    async def _end(self, worker: "_ReloadWorker") -> None:
        if worker in self._workers:
            await worker.end()
            self._workers.remove(worker)

    def _on_stop_signal(self) -> None:
        if self._stop_requested.is_set():
            for worker in self._workers:
                worker.kill()
        self._stop_requested.set()


class _ReloadWorker:
    """A worker process, which waits for ``go`` before it imports the application. ``ended`` is its exit status."""

    def __init__(self, process: asyncio.subprocess.Process, control: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self._process = process
        self._control = control
        self._received = b""
        self.ended = loop.create_task(process.wait())
        self._started: asyncio.Task[str] | None = None

    @classmethod
    async def start(cls, listener: socket.socket, options: Mapping[str, Any]) -> "_ReloadWorker":
        return cls(*await start_worker(listener, options))

    @property
    def going(self) -> bool:
        return self._started is not None

    def go(self) -> asyncio.Task[str]:
        """Let it import the application; the result is empty once it serves, else it says why it does not."""
        with contextlib.suppress(BrokenPipeError):  # it has ended, which ``_start`` finds out
            self._control.send(GO)
        self._started = asyncio.get_running_loop().create_task(self._start())
        return self._started

    async def _start(self) -> str:
        reading = asyncio.get_running_loop().create_task(self._read())
        try:
            # ``ended`` is waited for too: a child of the worker may hold the other end of the socket open.
            await asyncio.wait((reading, self.ended), timeout=START, return_when=asyncio.FIRST_COMPLETED)
        finally:
            reading.cancel()
            await asyncio.wait((reading,))
        if self._received == SERVES:
            return ""
        with contextlib.suppress(OSError):  # what it wrote just before its end
            self._received += self._control.recv(LONGEST + len(FAILED))
        if self._received.startswith(FAILED):
            return self._received[len(FAILED) :].decode(errors="replace")
        if not reading.cancelled() or self.ended.done():
            return f"the worker {_describe_end(await self.ended)} before it served; what it said last says why"
        return f"the worker does not serve after {START:g} s: killed"

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(ConnectionError):  # it was killed
            while self._received != SERVES and (more := await loop.sock_recv(self._control, LONGEST)):
                self._received += more

    async def end(self) -> None:
        """End it and its children: SIGTERM, ``END`` seconds, SIGKILL."""
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
        """Kill its whole process group: children may outlive it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)


async def _wait_for_first(*tasks: asyncio.Task[Any]) -> None:
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)


def imported(paths: Collection[Path]) -> bool:
    """Tell whether a prepared worker may have imported one of ``paths``: then this process has as well."""
    loaded = {Path(file) for module in list(sys.modules.values()) if (file := getattr(module, "__file__", None))}
    return any(file.is_relative_to(path) for path in paths for file in loaded)


def remove_bytecode(paths: Collection[Path]) -> None:
    """Remove Python's compiled files of ``paths``.

    Python uses them for a source of the same size and second of change, so it may miss the second of two saves.
    """
    for path in paths:
        for source in (path,) if path.suffix == ".py" else _sources(path):
            with contextlib.suppress(OSError):  # there is none, or it belongs to another user
                Path(cache_from_source(str(source))).unlink()


def _sources(path: Path) -> list[Path]:
    """Return the sources that change with a folder or a link to one: files in it, and links beside it that may lead to it."""
    if not path.is_dir():
        return []
    with contextlib.suppress(OSError):  # removed meanwhile, which is the next change
        return [*path.rglob("*.py"), *(each for each in path.parent.glob("*.py") if each.is_symlink())]
    return []


def _describe_end(status: int) -> str:
    return f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"


def _enumerate(names: Sequence[str]) -> str:
    if len(names) > _NAMED + 1:
        return f"{', '.join(names[:_NAMED])} and {len(names) - _NAMED} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _say(text: str, colour: str) -> None:
    click.echo(f"{click.style('reload:', fg=colour, bold=True)} {text}", err=True)
