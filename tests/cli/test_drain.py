"""``limen serve --drain-wait``, as real processes: not ready first, then the stop, and what ends the wait."""

import os
import signal
from pathlib import Path

import pytest

from commands import Command, connected, get, request, running

pytestmark = pytest.mark.processes_measured

GATE = """
from limen import Gateway
app = Gateway()

@app.get("/here")
def here() -> str:
    return "here"
"""
SERVES = r"worker (\d+) serves"


@pytest.fixture
def folder(folder: Path) -> Path:
    (folder / "gate.py").write_text(GATE)
    return folder


async def started(command: Command, workers: int, times: int = 0) -> None:
    await command.says(SERVES if workers else "Application startup complete", times=times or workers or 1)


async def not_ready(port: int, times: int) -> None:
    """Ask until so many answers in a row are 503: each worker may be the one that answers."""
    row = 0
    while row < times:
        head, _ = await get(port, "/readyz")
        assert head.startswith((b"http/1.1 200 ", b"http/1.1 503 "))
        row = row + 1 if head.startswith(b"http/1.1 503 ") else 0


@pytest.mark.parametrize("engine", ["direct", "asgi"])
@pytest.mark.parametrize("workers", [0, 2])
async def test_it_is_not_ready_and_serves_until_the_next_signal(
    folder: Path, port: int, workers: int, engine: str
) -> None:
    argv = ("serve", "gate:app", "--port", str(port), "--engine", engine, "--drain-wait", "3600")
    async with running(folder, *argv, *("--workers", str(workers)) * bool(workers)) as command:
        await started(command, workers)
        async with connected(port) as kept:
            assert (await request(kept, "/readyz"))[0].startswith(b"http/1.1 200 ")
            command.send(signal.SIGTERM)
            await command.says("draining for 3600 s: not ready")
            await not_ready(port, 10 if workers else 1)
            head, content = await request(kept, "/here")
            assert head.startswith(b"http/1.1 200 ")
            assert (b"connection: close" in head, content) == (False, b'"here"')
            assert (await request(kept, "/healthz"))[0].startswith(b"http/1.1 200 ")
            assert "stopping: " not in command.text
            command.send(signal.SIGTERM)
            await command.says("stopping: ", times=workers or 1)
            head, _ = await request(kept, "/readyz")
            assert head.startswith(b"http/1.1 503 ")
            assert b"\r\nconnection: close\r\n" in head
        assert await command.ends() == 0


@pytest.mark.parametrize("workers", [(), ("--workers", "1")])
async def test_the_wait_ends_by_itself(folder: Path, port: int, workers: tuple[str, ...]) -> None:
    argv = ("serve", "gate:app", "--port", str(port), "--drain-wait", "1", *workers)
    async with running(folder, *argv) as command:
        await started(command, len(workers) // 2)
        command.send(signal.SIGTERM)
        await command.says("draining for 1 s: not ready")
        assert await command.ends() == 0


@pytest.mark.parametrize("workers", [(), ("--workers", "1")])
async def test_without_a_wait_kept_connections_hear_of_the_stop(
    folder: Path, port: int, workers: tuple[str, ...]
) -> None:
    async with running(folder, "serve", "gate:app", "--port", str(port), *workers) as command:
        await started(command, len(workers) // 2)
        async with connected(port) as kept:
            await request(kept, "/here")
            command.send(signal.SIGTERM)
            await command.says("stopping: ")
            assert b"it drains" in (await request(kept, "/readyz"))[1]
        assert await command.ends() == 0
    assert "draining" not in command.text


async def test_a_worker_that_is_replaced_stays_ready(folder: Path, port: int) -> None:
    argv = ("serve", "gate:app", "--port", str(port), "--drain-wait", "3600", "--workers", "1")
    async with running(folder, *argv) as command:
        await started(command, 1)
        async with connected(port) as kept:
            await request(kept, "/here")
            command.send(signal.SIGHUP)
            await command.says("stopping: ")
            head, content = await request(kept, "/readyz")
            assert b"\r\nconnection: close\r\n" in head
            assert content == b'{"status":"ready"}'
        await command.says("ended with status 0")
        assert "draining" not in command.text
        command.send(signal.SIGTERM)
        await command.says("draining for ")
        command.send(signal.SIGTERM)
        assert await command.ends() == 0


async def test_a_worker_that_is_started_meanwhile_is_not_ready(folder: Path, port: int) -> None:
    argv = ("serve", "gate:app", "--port", str(port), "--drain-wait", "3600", "--workers", "1")
    async with running(folder, *argv) as command:
        [pid] = await command.says(SERVES)
        command.send(signal.SIGTERM)
        await command.says("draining for ")
        os.kill(int(pid), signal.SIGKILL)
        await started(command, 1, times=2)
        await not_ready(port, 1)
        command.send(signal.SIGTERM)
        assert await command.ends() == 0


async def test_an_application_that_cannot_say_so_is_told_of(folder: Path, port: int) -> None:
    async with running(folder, "serve", "plain:app", "--port", str(port), "--drain-wait", "3600") as command:
        await started(command, 0)
        command.send(signal.SIGINT)
        await command.says("draining for 3600 s: no gateway that could say so")
        assert (await get(port, "/jobs/1"))[0].startswith(b"http/1.1 200 ")
        command.send(signal.SIGINT)
        assert await command.ends() == 0


async def test_a_mounted_gateway_says_so_where_the_lifespan_passes_it_on(folder: Path, port: int) -> None:
    (folder / "outer.py").write_text(
        "import contextlib\nfrom fastapi import FastAPI\nfrom gate import app as gateway\n"
        "@contextlib.asynccontextmanager\nasync def lifespan(app):\n"
        "    async with gateway.running() as state:\n"
        "        yield {'limen.readiness': state['limen.readiness']}\n"
        "app = FastAPI(lifespan=lifespan)\napp.mount('/api', gateway)\n"
    )
    async with running(folder, "serve", "outer:app", "--port", str(port), "--drain-wait", "3600") as command:
        await started(command, 0)
        command.send(signal.SIGTERM)
        await command.says("draining for 3600 s: not ready")
        assert (await get(port, "/api/readyz"))[0].startswith(b"http/1.1 503 ")
        command.send(signal.SIGTERM)
        assert await command.ends() == 0


async def test_a_wait_is_nothing_for_reload(folder: Path) -> None:
    async with running(folder, "serve", "gate:app", "--reload", "--drain-wait", "5") as command:
        assert await command.ends() == 2
    assert "Error: --drain-wait is for those who send requests elsewhere; leave it out with --reload" in command.text
