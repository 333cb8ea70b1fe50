"""``limen serve`` with few file descriptors: what it logs, what clients get, and what it does when none is left."""

import contextlib
import os
import re
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from commands import Command, Streams, connected, get, request, running
from serving import serving
from slow import GATE, Service

pytestmark = [
    pytest.mark.processes_measured,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit"),
]


@pytest.fixture
async def gateway_folder(folder: Path) -> AsyncGenerator[Path]:
    """A gateway in front of a service of the test's."""
    async with serving(Service()) as served:
        (folder / "gate.py").write_text(GATE.replace("PORT", str(served.port)))
        yield folder


def opened(command: Command) -> int:
    return len(os.listdir(f"/proc/{command.process.pid}/fd"))


@contextlib.asynccontextmanager
async def idle(port: int, count: int, target: str = "") -> AsyncGenerator[list[Streams]]:
    """Connect ``count`` clients, one after the other; each asks for ``target`` if there is one, and then is idle."""
    async with contextlib.AsyncExitStack() as stack:
        found: list[Streams] = []
        for _ in range(count):
            found.append(await stack.enter_async_context(connected(port)))
            if target:
                assert (await request(found[-1], target))[0].startswith(b"http/1.1 200")
        yield found


@pytest.mark.parametrize("engine", ["direct", "asgi"])
async def test_idle_clients_leave_the_others_served_and_the_service_reached(
    gateway_folder: Path, port: int, engine: str
) -> None:
    argv = ("serve", "gate:app", "--port", str(port), "--engine", engine)
    async with running(gateway_folder, *argv, files="-n 520") as command:
        [clients] = await command.says(r"so clients get (\d+) connections, not 10000")
        await command.says("Application startup complete")
        assert int(clients) < 150
        async with idle(port, int(clients) + 100, "/jobs/1") as others:
            for _ in range(20):
                assert (await get(port, "/jobs/2"))[0].startswith(b"http/1.1 200")
            assert sum(reader.at_eof() for reader, _ in others) >= 100
            assert not others[-1][0].at_eof()
            assert opened(command) < 520
        await command.says("those that are idle for the longest make room for new ones")
        assert "no file can be opened" not in command.text


async def test_the_limit_is_raised_as_far_as_it_is_needed(gateway_folder: Path, port: int) -> None:
    async with running(gateway_folder, "serve", "gate:app", "--port", str(port), files="-S -n 256") as command:
        [(before, after)] = await command.says(r"limit of this process is raised from (\d+) to (\d+)")
        await command.says("Application startup complete")
        assert (before, int(after) > 256) == ("256", True)
        assert re.search("raised.*\n.*listening", command.text), command.text  # among the first lines


@pytest.mark.parametrize(("workers", "status"), [((), 1), (("--workers", "2"), 3)])
async def test_a_declared_number_that_does_not_fit(
    gateway_folder: Path, port: int, workers: tuple[str, ...], status: int
) -> None:
    source = (gateway_folder / "gate.py").read_text()
    (gateway_folder / "gate.py").write_text(
        source.replace("Gateway()", "Gateway(limits=__import__('limen').ClientLimits(connections=5000))")
    )
    async with running(gateway_folder, "serve", "gate:app", "--port", str(port), *workers, files="-n 1000") as command:
        assert await command.ends() == status
    [most] = re.findall(
        r"Error: ClientLimits\(connections=5000\): this process may have 1000 open files, .* or say (\d+) at most",
        command.text,
    )
    (gateway_folder / "gate.py").write_text(
        source.replace("Gateway()", f"Gateway(limits=__import__('limen').ClientLimits(connections={most}))")
    )
    async with running(gateway_folder, "serve", "gate:app", "--port", str(port), *workers, files="-n 1000") as command:
        await command.says("Application startup complete")
        assert "open files" not in command.text


async def test_a_limit_too_low_for_any_client_is_refused(gateway_folder: Path, port: int) -> None:
    async with running(gateway_folder, "serve", "gate:app", "--port", str(port), files="-n 200") as command:
        assert await command.ends() == 1
    assert "Error: no client could connect: this process may have 200 open files" in command.text


@pytest.mark.skipif(sys.platform != "linux", reason="another process's limits can be changed on Linux alone")
async def test_when_no_file_is_left_the_log_says_so_once_and_the_idle_make_room(
    gateway_folder: Path, port: int
) -> None:
    import resource

    async with running(gateway_folder, "serve", "gate:app", "--port", str(port)) as command:
        await command.says("Application startup complete")
        before = resource.prlimit(command.process.pid, resource.RLIMIT_NOFILE)
        async with idle(port, 40, "/jobs/1") as others:
            numbers = {int(name) for name in os.listdir(f"/proc/{command.process.pid}/fd")}
            resource.prlimit(command.process.pid, resource.RLIMIT_NOFILE, (max(numbers) + 1, before[1]))
            async with idle(port, max(numbers) + 1 - len(numbers)):  # the last numbers that are free
                await command.says(r"no file can be opened \(Too many open files\)")
                for reader, _ in others[:20]:
                    assert await reader.read() == b""
                assert (await get(port, "/jobs/2"))[0].startswith(b"http/1.1 200")
        assert command.text.count("no file can be opened") == 1
