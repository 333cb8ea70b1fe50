"""``limen serve --workers``: restart, drain and death under load, as real processes, on both engines."""

import asyncio
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from commands import Command, Load, connected, get, request, running
from serving import serving
from slow import GATE, PLAIN, Service


@pytest.fixture
async def service() -> AsyncGenerator[tuple[Service, int]]:
    one = Service()
    async with serving(one) as served:
        yield one, served.port


SERVES = r"worker (\d+) serves"


def serve(folder: Path, port: int, *more: str, app: str = "plain:app", workers: int = 2) -> Any:
    return running(folder, "serve", app, "--port", str(port), "--workers", str(workers), *more)


async def replaced(command: Command, pids: list[str]) -> None:
    """Wait until two new workers serve and the old ones have ended in good order."""
    await command.says(SERVES, times=len(pids) + 2)
    for pid in pids[-2:]:
        await command.says(f"worker {pid} ended with status 0")


async def test_a_restart_loses_nothing(folder: Path, port: int) -> None:
    async with serve(folder, port) as command:
        pids = await command.says(SERVES, times=2)
        load = Load(port, "/jobs/")
        async with load.running(keeping=12, renewing=4):
            await load.more(150)
            command.send(signal.SIGHUP)
            await replaced(command, pids)
            await load.more(150)
        assert load.lost == {}
        now = await command.says(SERVES, times=4)
        assert {pid.encode() for pid in now[2:]} <= load.servers
        assert command.text.count("lifespan over") == 2
        command.send(signal.SIGTERM)
        assert await command.ends() == 0


@pytest.mark.parametrize("engine", ["direct", "asgi"])
async def test_a_gateway_loses_nothing(folder: Path, port: int, service: tuple[Service, int], engine: str) -> None:
    upstream, upstream_port = service
    (folder / "gate.py").write_text(GATE.replace("PORT", str(upstream_port)))
    async with serve(folder, port, "--engine", engine, "--log-level", "info", app="gate:app") as command:
        pids = await command.says(SERVES, times=2)
        load = Load(port, "/jobs/")
        async with load.running(keeping=8, renewing=2):
            await load.more(100)
            command.send(signal.SIGHUP)
            await replaced(command, pids)
            await load.more(100)
            assert load.lost == {}
            command.send(signal.SIGTERM)
            assert await command.ends() == 0
        assert upstream.started <= load.answered
        assert "cut after" not in command.text


@pytest.mark.processes_measured
@pytest.mark.parametrize("workers", [0, 2])
async def test_a_stop_answers_requests_that_have_begun(folder: Path, port: int, workers: int) -> None:
    argv = ("serve", "plain:app", "--port", str(port)) + ("--workers", str(workers)) * bool(workers)
    async with running(folder, *argv) as command:
        await command.says(SERVES if workers else "Application startup complete", times=workers or 1)
        load = Load(port, "/jobs/")
        async with load.running(keeping=12, renewing=4):
            await load.more(150)
            command.send(signal.SIGTERM)
            assert await command.ends() == 0
        started = {int(line) for line in (folder / "started").read_text().split()}
        assert started <= load.answered
        assert "cut after" not in command.text
        assert command.text.count("lifespan over") == (workers or 1)


@pytest.mark.parametrize("workers", [(), ("--workers", "2")])
async def test_a_request_on_its_way_is_answered_and_a_quiet_connection_is_closed(
    folder: Path, port: int, workers: tuple[str, ...]
) -> None:
    async with running(folder, "serve", "plain:app", "--port", str(port), *workers) as command:
        await command.says(SERVES if workers else "Application startup complete", times=len(workers) or 1)
        async with connected(port) as busy, connected(port) as quiet:
            await request(busy, "/jobs/1")
            await request(quiet, "/jobs/2")
            command.send(signal.SIGTERM)
            await command.says("stopping: ", times=len(workers) or 1)
            head, _ = await request(busy, "/jobs/3")
            assert b"\r\nconnection: close\r\n" in head
            assert await busy[0].read() == b""
            assert await quiet[0].read() == b""
        assert await command.ends() == 0


@pytest.mark.parametrize("workers", [(), ("--workers", "1")])
async def test_a_request_that_does_not_end_is_cut_at_the_bound(
    folder: Path, port: int, workers: tuple[str, ...]
) -> None:
    async with running(folder, "serve", "plain:app", "--port", str(port), "--grace", "1", *workers) as command:
        await command.says(SERVES if workers else "Application startup complete")
        async with connected(port) as half, connected(port) as stuck:
            half[1].write(b"GET /half HTTP/1.1\r\nhost: g\r\n\r\n")
            assert (await half[0].readuntil(b"half")).startswith(b"HTTP/1.1 200")
            asking = asyncio.create_task(request(stuck, "/stuck"))
            while "stuck" not in (folder / "started").read_text():  # noqa: ASYNC110  # another process writes it
                await asyncio.sleep(0.01)
            command.send(signal.SIGTERM)
            with pytest.raises(ConnectionResetError):
                await half[0].read()
            head, _ = await asking
            assert head.startswith(b"http/1.1 500")
        assert await command.ends() == 0
        assert "cut after 1 s: 2 connections" in command.text
        assert "lifespan over" in command.text


@pytest.mark.processes_measured
async def test_a_lifespan_that_does_not_end_is_cancelled(folder: Path, port: int) -> None:
    (folder / "plain.py").write_text(
        PLAIN.replace('print("lifespan over", flush=True)', "await asyncio.Event().wait()")
    )
    async with running(folder, "serve", "plain:app", "--port", str(port)) as command:
        await command.says("Application startup complete")
        command.send(signal.SIGTERM)
        assert await command.ends() == 0
        assert "the application's shutdown took longer than 3 s: given up" in command.text


async def test_a_second_signal_ends_at_once(folder: Path, port: int) -> None:
    for workers, number in ((), signal.SIGINT), (("--workers", "2"), signal.SIGTERM):
        async with running(folder, "serve", "plain:app", "--port", str(port), "--grace", "90", *workers) as command:
            await command.says(SERVES if workers else "Application startup complete", times=len(workers) or 1)
            async with connected(port) as stuck:
                stuck[1].write(b"GET /half HTTP/1.1\r\nhost: g\r\n\r\n")
                await stuck[0].readuntil(b"half")
                command.send(number)
                await command.says("stopping: ", times=len(workers) or 1)
                command.send(number)
                assert await command.ends() == -number
        socket.create_server(("127.0.0.1", port)).close()


async def test_a_stop_is_heard_while_a_restart_waits(folder: Path, port: int) -> None:
    async with serve(folder, port, "--grace", "2", workers=1) as command:
        [pid] = await command.says(SERVES)
        async with connected(port) as stuck:
            stuck[1].write(b"GET /half HTTP/1.1\r\nhost: g\r\n\r\n")
            await stuck[0].readuntil(b"half")
            command.send(signal.SIGHUP)
            await command.says(SERVES, times=2)
            await command.says(rf"\[{pid}\] limen.serve stopping")
            # It may still accept who comes in these turns of its loop; then the others alone do.
            answers = [(await get(port, "/jobs/1"))[1] for _ in range(20)]
            assert answers[-1] != pid.encode()
            command.send(signal.SIGTERM)
            fresh = (await command.says(SERVES))[1]
            await command.says(f"worker {fresh} ended with status 0")
            assert f"worker {pid} ended" not in command.text
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", port)
        assert await command.ends() == 0


async def test_a_killed_worker_is_replaced(folder: Path, port: int) -> None:
    async with serve(folder, port) as command:
        first, second = await command.says(SERVES, times=2)
        os.kill(int(first), signal.SIGKILL)
        await command.says(f"worker {first} was killed by signal 9; another takes its place")
        for number in range(5):
            assert (await get(port, f"/jobs/{number}"))[0].startswith(b"http/1.1 200")
        third = (await command.says(SERVES, times=3))[2]
        os.kill(int(second), signal.SIGKILL)
        await command.says(f"worker {second} was killed")
        assert (await get(port, "/jobs/9"))[1] == third.encode()
        os.kill(int(third), signal.SIGHUP)  # is the supervisor's alone
        assert (await get(port, "/jobs/9"))[0].startswith(b"http/1.1 200")
        await command.says(SERVES, times=4)


@pytest.mark.processes_measured
@pytest.mark.skipif(sys.platform != "linux", reason="another process's limits can be changed on Linux alone")
async def test_a_supervisor_without_open_files_keeps_the_workers_that_are_well(folder: Path, port: int) -> None:
    import resource

    async with serve(folder, port) as command:
        first, second = await command.says(SERVES, times=2)
        before = resource.prlimit(command.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(command.process.pid, resource.RLIMIT_NOFILE, (3, before[1]))
        os.kill(int(first), signal.SIGKILL)
        await command.says("a worker cannot be started: .*Too many open files; tried again in 1 s")
        assert (await get(port, "/jobs/1"))[1] == second.encode()
        resource.prlimit(command.process.pid, resource.RLIMIT_NOFILE, before)
        await command.says(SERVES, times=3)
        command.send(signal.SIGTERM)
        assert await command.ends() == 0
        assert "Traceback" not in command.text


async def test_workers_follow_a_killed_supervisor(folder: Path, port: int) -> None:
    async with serve(folder, port) as command:
        await command.says(SERVES, times=2)
        command.send(signal.SIGKILL)
        assert await command.ends() == -signal.SIGKILL  # all output read: the workers have let go of it, too
        assert command.text.count("lifespan over") == 2


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        (
            "from limen import *\napp = Gateway()\n@app.get('/a', upstream=Upstream('u', ['http://u']))\ndef a(): ...",
            "/a",
        ),
        (
            "async def app(scope, receive, send):\n"
            "    await receive()\n"
            "    await send({'type': 'lifespan.startup.failed', 'message': 'no database'})",
            "no database",
        ),
    ],
)
@pytest.mark.processes_measured
async def test_an_application_that_does_not_start_ends_the_command_once(
    folder: Path, port: int, source: str, said: str
) -> None:
    (folder / "broken.py").write_text(source)
    async with serve(folder, port, app="broken:app") as command:
        assert await command.ends() == 3
    assert said in command.text
    assert len(re.findall("before it served: see its message above", command.text)) == 1
    assert "Traceback" not in command.text


@pytest.mark.processes_measured
async def test_a_failed_restart_keeps_the_running_workers(folder: Path, port: int) -> None:
    async with serve(folder, port) as command:
        pids = await command.says(SERVES, times=2)
        (folder / "plain.py").write_text("1 / 0")
        command.send(signal.SIGHUP)
        await command.says("before it served: the restart is given up")
        assert (await get(port, "/jobs/1"))[1].decode() in pids
        (folder / "plain.py").write_text(PLAIN)
        command.send(signal.SIGHUP)
        await replaced(command, pids)
        assert (await get(port, "/jobs/1"))[1].decode() not in pids


@pytest.mark.processes_measured
async def test_a_worker_that_cannot_be_replaced_is_tried_again(folder: Path, port: int) -> None:
    async with serve(folder, port) as command:
        first, second = await command.says(SERVES, times=2)
        (folder / "plain.py").write_text("1 / 0")
        os.kill(int(first), signal.SIGKILL)
        await command.says("ended with status 3 before it served: tried again")
        assert (await get(port, "/jobs/1"))[1] == second.encode()
        (folder / "plain.py").write_text(PLAIN)
        await command.says(SERVES, times=3)


async def test_workers_share_a_unix_socket(folder: Path) -> None:
    async with running(folder, "serve", "plain:app", "--uds", "g.sock", "--workers", "2") as command:
        await command.says(SERVES, times=2)
        streams = await asyncio.open_unix_connection(folder / "g.sock")
        assert (await request(streams, "/jobs/1", close=True))[0].startswith(b"http/1.1 200")
        streams[1].close()
        command.send(signal.SIGINT)
        assert await command.ends() == 0
        assert not (folder / "g.sock").exists()


async def test_refusals_are_one_clear_message(folder: Path, port: int) -> None:
    async with serve(folder, port, "--reload") as command:
        assert await command.ends() == 2
        assert "--reload and --workers exclude one another" in command.text
    with socket.create_server(("127.0.0.1", 0)) as taken:
        async with serve(folder, taken.getsockname()[1]) as command:
            assert await command.ends() == 1
            assert "choose another port with --port" in command.text
    async with running(folder, "serve", "plain:app", "--uds", "no/such/folder", "--workers", "1") as command:
        assert await command.ends() == 1
        assert "choose another path with --uds" in command.text
