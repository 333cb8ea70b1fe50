"""The supervisor in the test's own process, with short timeouts: workers that hang, and starts that fail."""

import asyncio
import contextlib
import os
import re
import signal
import socket
from collections.abc import AsyncGenerator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from commands import connected, get
from limen.cli import heartbeat, worker_process
from limen.cli import supervisor as supervision
from limen.cli.serve import Options
from serving import until
from slow import PLAIN

SERVES = r"worker (\d+) serves"


@pytest.mark.parametrize(
    ("setting", "source", "ask", "status", "said"),
    [
        ("START", "import time; time.sleep(60)", "", 3, "does not serve after"),
        (
            "MARGIN",
            PLAIN.replace("await asyncio.Event().wait()", "__import__('time').sleep(60)"),
            "/half",
            0,
            "has not ended",
        ),
    ],
)
async def test_a_worker_that_hangs_is_killed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    setting: str,
    source: str,
    ask: str,
    status: int,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(supervision, setting, 0.3)
    (tmp_path / "hangs.py").write_text(source)
    options = asdict(Options("hangs:app", "127.0.0.1", 0, None, "info", "asgi", 1))
    listener = socket.create_server(("127.0.0.1", 0))
    port: int = listener.getsockname()[1]
    caplog.set_level("INFO")
    run = asyncio.create_task(supervision.Supervisor(listener, options, count=1, grace=0.3).run())
    if ask:
        await until(lambda: " serves" in caplog.text)
        async with connected(port) as streams:
            streams[1].write(f"GET {ask} HTTP/1.1\r\nhost: g\r\n\r\n".encode())
            await streams[0].readuntil(b"half")
            os.kill(os.getpid(), signal.SIGTERM)
            assert await run == status
    assert await run == status
    assert said in caplog.text
    assert ": killed" in caplog.text


class RunningSupervisor:
    """A supervisor that runs, and what it has said."""

    def __init__(self, port: int, log: pytest.LogCaptureFixture) -> None:
        self.port = port
        self._log = log
        self.status: int | None = None

    async def says(self, pattern: str, times: int = 1) -> list[str]:
        """Wait until ``pattern`` was said so often; return what its group was, each time."""
        await until(lambda: len(re.findall(pattern, self._log.text)) >= times)
        return re.findall(pattern, self._log.text)


@contextlib.asynccontextmanager
async def supervised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, *, count: int
) -> AsyncGenerator[RunningSupervisor]:
    """Run a supervisor of the plain application; it is asked to stop at the end, and must do so with status 0."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plain.py").write_text(PLAIN)
    caplog.set_level("INFO")
    listener = socket.create_server(("127.0.0.1", 0))
    options = asdict(Options("plain:app", "127.0.0.1", 0, None, "info", "asgi", 1))
    run = asyncio.create_task(supervision.Supervisor(listener, options, count=count, grace=1).run())
    try:
        yield RunningSupervisor(listener.getsockname()[1], caplog)
        assert not run.done()
        os.kill(os.getpid(), signal.SIGTERM)
        assert await run == 0
    finally:
        if not run.done():
            os.kill(os.getpid(), signal.SIGTERM)
            await run


@pytest.mark.processes_measured
async def test_a_silent_worker_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """SIGSTOP stands for whatever keeps a loop from turning: only SIGKILL ends it."""
    monkeypatch.setattr(heartbeat, "MISSED_BEATS", 5)
    async with supervised(tmp_path, monkeypatch, caplog, count=2) as crew:
        first, second = await crew.says(SERVES, times=2)
        os.kill(int(first), signal.SIGSTOP)
        await crew.says(f"worker {first} has not been heard for 5 s and more: it hangs: killed")
        await crew.says(f"worker {first} was killed by signal 9; another takes its place")
        third = (await crew.says(SERVES, times=3))[2]
        assert third not in (first, second)
        assert (await get(crew.port, "/jobs/1"))[1].decode() in (second, third)
    assert caplog.text.count("has not been heard") == 1


@pytest.mark.parametrize("how", ["is refused by the system", "ends before it serves"])
async def test_a_silent_worker_is_killed_also_while_no_other_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    monkeypatch.setattr(heartbeat, "MISSED_BEATS", 3)
    monkeypatch.setattr(supervision, "_PAUSE", 0.05)
    monkeypatch.setattr(supervision, "_LONGEST_PAUSE", 0.1)
    start = worker_process.start_worker
    mended = asyncio.Event()
    failures = 0

    async def start_worker(listener: socket.socket, options: Any, **more: socket.socket) -> Any:
        nonlocal failures
        if len(re.findall(SERVES, caplog.text)) < 2 or mended.is_set():
            return await start(listener, options, **more)
        failures += 1
        if how == "is refused by the system":
            raise OSError(12, "Cannot allocate memory")
        return await start(listener, {**options, "spec": "nowhere:app"}, **more)

    monkeypatch.setattr(supervision, "start_worker", start_worker)
    async with supervised(tmp_path, monkeypatch, caplog, count=2) as crew:
        first, second = await crew.says(SERVES, times=2)
        os.kill(int(first), signal.SIGKILL)
        await until(lambda: failures > 1)
        os.kill(int(second), signal.SIGSTOP)
        await crew.says(f"worker {second} has not been heard for 3 s and more: it hangs: killed")
        await crew.says(f"worker {second} was killed by signal 9; another takes its place")
        before = failures
        await until(lambda: failures > before)  # nobody is left, and it is tried again
        mended.set()
        third, fourth = (await crew.says(SERVES, times=4))[2:]
        assert (await get(crew.port, "/jobs/1"))[1].decode() in (third, fourth)


async def test_a_start_that_fails_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever goes wrong, a bug of ours included: the worker that is well stays, and the other comes later."""
    failures: list[Exception] = [
        OSError(11, "Resource temporarily unavailable"),
        OSError(12, "Cannot allocate memory"),
        RuntimeError("can't start new thread"),
    ]
    start = worker_process.start_worker

    async def start_worker(*given: Any, **more: socket.socket) -> Any:
        if failures and "serves" in caplog.text:
            raise failures.pop(0)
        return await start(*given, **more)

    monkeypatch.setattr(supervision, "start_worker", start_worker)
    monkeypatch.setattr(supervision, "_PAUSE", 0.05)
    async with supervised(tmp_path, monkeypatch, caplog, count=2) as crew:
        first, second = await crew.says(SERVES, times=2)
        assert {(await get(crew.port, f"/jobs/{number}"))[1].decode() for number in range(3)} <= {first, second}
    said = re.findall(r"a worker cannot be started: (.*); tried again in ([\d.]+) s", caplog.text)
    assert said == [
        ("[Errno 11] Resource temporarily unavailable", "0.05"),
        ("[Errno 12] Cannot allocate memory", "0.1"),
        ("can't start new thread", "0.2"),
    ]
    assert caplog.text.count("Traceback") == 1  # of what nobody has thought of


async def test_a_first_start_that_fails_ends_the_supervisor(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_pair() -> Any:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(socket, "socketpair", no_pair)
    listener = socket.create_server(("127.0.0.1", 0))
    assert await supervision.Supervisor(listener, {}, count=2, grace=1).run() == 3
    assert "the first worker cannot be started: [Errno 24] Too many open files" in caplog.text
