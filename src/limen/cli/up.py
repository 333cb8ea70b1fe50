"""``limen up``: a whole topology on one machine.

1. read the file, resolve secrets and references
2. check that every port is free
3. run the commands that come before each service (migrations)
4. start the services
5. wait until each is healthy, then show the banner; with --reload, for as long as it takes
6. wait for Ctrl-C, SIGTERM or the end of a service
7. stop: first the last service of the file, so that the gateway stops before the services it calls; then the others together
"""

import asyncio
import itertools
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from limen.cli.process import Process
from limen.cli.topology import Service, Topology, command, load_secrets, read

# Seconds a service may take until it is healthy: a cold start imports much on a small machine.
_READY_TIMEOUT = 60.0

# Seconds between two health checks, and for the answer to one.
_CHECK_INTERVAL = 0.1
_CHECK_TIMEOUT = 2.0

_COLOURS = ("cyan", "green", "magenta", "yellow", "blue")


def up(path: Path, *, data: Path, ports: Sequence[str], reload: bool) -> None:
    """Run the topology at ``path`` until a signal; a failure is one clear line and exit status 1."""
    topology = read(path, ports)
    _check_ports_free(topology)
    data.mkdir(parents=True, exist_ok=True)
    run = _Run(topology, load_secrets(topology, data.parent), path.resolve().parent, data, reload=reload)
    if failure := asyncio.run(run.run()):
        raise click.ClickException(failure)


class _Run:
    """One run of a topology."""

    def __init__(
        self, topology: Topology, secrets: Mapping[str, str], folder: Path, data: Path, *, reload: bool
    ) -> None:
        self._topology = topology
        self._secrets = secrets
        self._folder = folder
        self._data = data
        self._reload = reload
        self._width = max(map(len, topology.services))
        self._colour = dict(zip(topology.services, _COLOURS * len(topology.services), strict=False))
        self._processes: list[Process] = []

    async def run(self) -> str:
        """Run until the end; return what failed, or an empty string."""
        loop = asyncio.get_running_loop()
        stop_requested = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop_requested.set)
        stop = loop.create_task(stop_requested.wait())
        work = loop.create_task(self._work())
        try:
            await asyncio.wait((stop, work), return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
            click.echo("Stopping ...", err=True)
            return ""
        finally:
            stop.cancel()
            work.cancel()
            await asyncio.wait((work,))
            await self._stop()

    async def _work(self) -> str:
        for name, service in self._topology.services.items():
            for line in service.before:
                try:
                    process = await self._start(name, service, command(line))
                except OSError as error:
                    return f"{name}: {line!r} cannot run: {error.strerror}"
                if code := await process.wait():
                    return _failure(process, f"{name}: {line!r} failed with exit status {code}")
                self._processes.remove(process)
        ends: list[asyncio.Task[str]] = []
        for name, service in self._topology.services.items():
            process = await self._start(name, service, self._serve(service))
            ends.append(asyncio.create_task(_wait_for_end(process)))
        ready = asyncio.create_task(self._wait_until_ready())
        try:
            await asyncio.wait((ready, *ends), return_when=asyncio.FIRST_COMPLETED)
            if ready.done():
                if failure := ready.result():
                    return failure
                click.echo(self._topology.resolve(self._topology.up.banner, {}) or "All services are up.")
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            return next(iter(done)).result()
        finally:
            for task in (ready, *ends):
                task.cancel()

    async def _start(self, name: str, service: Service, argv: Sequence[str]) -> Process:
        env = os.environ | {"PYTHONUNBUFFERED": "1"}
        env |= {key: self._topology.resolve(text, self._secrets) for key, text in service.env.items()}
        roots = [str(self._folder / service.dir), os.environ.get("PYTHONPATH", "")]
        env["PYTHONPATH"] = os.pathsep.join(root for root in roots if root)
        process = await Process.start(name, argv, env=env, cwd=self._data, show=self._show)
        self._processes.append(process)
        return process

    def _serve(self, service: Service) -> list[str]:
        argv = [sys.executable, "-m", "limen", "serve", service.app, "--port", str(service.port)]
        if self._reload:
            argv.append("--reload")
            for folder in (service.dir, *self._topology.up.watch):
                argv += ["--watch", str(self._folder / folder)]
        return argv

    async def _wait_until_ready(self) -> str:
        # Without a bound for --reload: a service that fails waits for the next save.
        bound = None if self._reload else _READY_TIMEOUT
        waits = [_healthy(service.port, service.health, bound) for service in self._topology.services.values()]
        results = await asyncio.gather(*waits)
        late = [name for name, healthy in zip(self._topology.services, results, strict=True) if not healthy]
        return f"not healthy after {_READY_TIMEOUT:g} s: {', '.join(late)}; see the log above" if late else ""

    async def _stop(self) -> None:
        if self._processes:
            *others, last = self._processes
            await last.stop()
            await asyncio.gather(*(process.stop() for process in others))

    def _show(self, name: str, line: str) -> None:
        click.echo(f"{click.style(name.ljust(self._width), fg=self._colour[name])} | {line}")


async def _wait_for_end(process: Process) -> str:
    code = await process.wait()
    status = f"was killed by signal {-code}" if code < 0 else f"ended with exit status {code}"
    return _failure(process, f"{process.name} {status}")


def _failure(process: Process, what: str) -> str:
    # An indented line belongs to the line above it: it shows the source that a message is about.
    last = next((line for line in reversed(process.tail) if line.strip() and not line.startswith(" ")), "")
    return f"{what}; everything is stopped" + (f". Its last line: {last}" if last else "")


def _check_ports_free(topology: Topology) -> None:
    for name, service in topology.services.items():
        try:
            socket.create_server(("127.0.0.1", service.port)).close()
        except OSError as error:
            raise click.ClickException(
                f"port {service.port}, for {name}, cannot be used: {os.strerror(error.errno or 0)}; "
                f"stop what listens there, or choose another: --port {name}=PORT"
            ) from error


async def _healthy(port: int, path: str, bound: float | None) -> bool:
    """Poll the service until it is healthy, for ``bound`` seconds if any."""
    for _ in itertools.count() if bound is None else range(round(bound / _CHECK_INTERVAL)):
        if await _answers_200(port, path):
            return True
        await asyncio.sleep(_CHECK_INTERVAL)
    return False


async def _answers_200(port: int, path: str) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    try:
        async with asyncio.timeout(_CHECK_TIMEOUT):
            writer.write(f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n".encode())
            return (await reader.readline()).startswith(b"HTTP/1.1 200 ")
    except (OSError, TimeoutError):
        return False
    finally:
        writer.close()
