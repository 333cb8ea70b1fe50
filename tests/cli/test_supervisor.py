"""The supervisor in the test's own process, its bounds made short: workers that hang."""

import asyncio
import os
import signal
import socket
from dataclasses import asdict
from pathlib import Path

import pytest

from commands import connected
from limen.cli import workers as supervision
from limen.cli.serve import Options
from serving import until
from slow import PLAIN

pytestmark = pytest.mark.timeout(120)


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
