"""``limen up``: a whole topology on one machine.

1. read the file, resolve secrets and references
2. check that every port is free
3. run the commands that come before each service (migrations)
4. start the services, each with all its targets
5. wait until each target is healthy, then show the banner; with --reload, for as long as it takes
6. wait for Ctrl-C, SIGTERM or the end of a service; a target of several that ends starts again (``service_processes``)
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
from limen.cli.service_processes import ServiceProcesses, failure
from limen.cli.targets import Target
from limen.cli.topology import Layout, Service, command, load_secrets, read

# Seconds a service may take until it is healthy: a cold start imports much on a small machine.
_READY_TIMEOUT = 60.0

# Seconds between two health checks, and for the answer to one.
_CHECK_INTERVAL = 0.1
_CHECK_TIMEOUT = 2.0

_COLOURS = ("cyan", "green", "magenta", "yellow", "blue")


def up(path: Path, *, data: Path, ports: Sequence[str], reload: bool) -> None:
    """Run the topology at ``path`` until a signal; a failure is one clear line and exit status 1."""
    layout = read(path, ports)
    _check_ports_free(layout)
    data.mkdir(parents=True, exist_ok=True)
    run = _Run(layout, load_secrets(layout.declared, data.parent), path.resolve().parent, data, reload=reload)
    if failed := asyncio.run(run.run()):
        raise click.ClickException(failed)


class _Run:
    """One run of a topology."""

    def __init__(self, layout: Layout, secrets: Mapping[str, str], folder: Path, data: Path, *, reload: bool) -> None:
        self._layout = layout
        self._services = layout.declared.services
        self._secrets = secrets
        self._folder = folder
        self._data = data
        self._reload = reload
        # A command that comes before a service speaks in the service's name, each process in that of its target.
        colours = dict(zip(self._services, _COLOURS * len(self._services), strict=False))
        self._colour = colours | {target.name: colours[target.service] for target in layout.all_targets()}
        self._width = max(map(len, self._colour))
        self._processes: dict[str, Process] = {}

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
        for name, service in self._services.items():
            for line in service.before:
                try:
                    process = await self._start(name, service, command(line))
                except OSError as error:
                    return f"{name}: {line!r} cannot run: {error.strerror}"
                if code := await process.wait():
                    return failure(f"{name}: {line!r} failed with exit status {code}", process.tail)
                del self._processes[name]
        running: list[ServiceProcesses] = []
        tasks: list[asyncio.Task[str]] = []
        try:
            for targets in self._layout.targets.values():
                service = ServiceProcesses(targets, self._start_target, self._serves, self._report)
                await service.start()
                running.append(service)
                tasks.append(asyncio.create_task(service.ended()))
            ends = tuple(tasks)
            ready = asyncio.create_task(self._wait_until_ready())
            tasks.append(ready)
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if ready.done():
                if late := ready.result():
                    return late
                for service in running:
                    service.allow_restarts()
                click.echo(self._layout.resolve(self._layout.declared.up.banner, {}) or "All services are up.")
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            return next(iter(done)).result()
        finally:
            # Until the end: what is stopped next must not be started again.
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _start(self, name: str, service: Service, argv: Sequence[str]) -> Process:
        env = os.environ | {"PYTHONUNBUFFERED": "1"}
        env |= {key: self._layout.resolve(text, self._secrets) for key, text in service.env.items()}
        roots = [str(self._folder / service.dir), os.environ.get("PYTHONPATH", "")]
        env["PYTHONPATH"] = os.pathsep.join(root for root in roots if root)
        process = await Process.start(name, argv, env=env, cwd=self._data, show=self._show)
        self._processes[name] = process
        return process

    async def _start_target(self, target: Target) -> Process:
        service = self._services[target.service]
        return await self._start(target.name, service, self._serve(service, target.port))

    def _serve(self, service: Service, port: int) -> list[str]:
        argv = [sys.executable, "-m", "limen", "serve", service.app, "--port", str(port)]
        if self._reload:
            argv.append("--reload")
            for folder in (service.dir, *self._layout.declared.up.watch):
                argv += ["--watch", str(self._folder / folder)]
        return argv

    async def _wait_until_ready(self) -> str:
        # Without a bound for --reload: a service that fails waits for the next save.
        bound = None if self._reload else _READY_TIMEOUT
        targets = list(self._layout.all_targets())
        results = await asyncio.gather(*(self._serves(target, bound) for target in targets))
        late = [target.name for target, healthy in zip(targets, results, strict=True) if not healthy]
        return f"not healthy after {_READY_TIMEOUT:g} s: {', '.join(late)}; see the log above" if late else ""

    async def _serves(self, target: Target, bound: float | None = None) -> bool:
        return await _healthy(target.port, self._services[target.service].health, bound)

    async def _stop(self) -> None:
        first = {target.name for target in self._layout.targets[next(reversed(self._services))]}
        for last in (True, False):
            stops = [process.stop() for name, process in self._processes.items() if (name in first) == last]
            await asyncio.gather(*stops)

    def _report(self, target: Target, text: str) -> None:
        self._show(target.name, click.style(text, bold=True))

    def _show(self, name: str, line: str) -> None:
        click.echo(f"{click.style(name.ljust(self._width), fg=self._colour[name])} | {line}")


def _check_ports_free(layout: Layout) -> None:
    for target in layout.all_targets():
        try:
            socket.create_server(("127.0.0.1", target.port)).close()
        except OSError as error:
            raise click.ClickException(
                f"port {target.port}, for {target.name}, cannot be used: {os.strerror(error.errno or 0)}; "
                f"stop what listens there, or choose another: --port {target.name}=PORT"
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
