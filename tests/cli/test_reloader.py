"""The supervisor of ``--reload`` in the test's own process, with short timeouts: workers that hang."""

import asyncio
import os
import signal
import socket
from dataclasses import asdict
from pathlib import Path

import pytest

from limen.cli import reload
from limen.cli.serve import Options
from limen.cli.source_changes import SourceChanges
from reloading import FAILS, SERVES, gone, problem, save, says
from serving import until


@pytest.fixture
def spoken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is said in the terminal."""
    lines: list[str] = []

    def speak(text: str, colour: str) -> None:
        lines.append(f"reload: {text}")

    monkeypatch.setattr(reload, "_say", speak)
    return lines


async def test_a_worker_that_hangs_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoken: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    save(tmp_path, "deaf", "import os, signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(3600)\n")
    options = asdict(Options("app:app", "127.0.0.1", 0, None, "info", "asgi", 1))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        monkeypatch.setattr(reload, "START", 0.3)
        monkeypatch.setattr(reload, "END", 0.3)
        run = asyncio.create_task(reload.Reloader(listener, options, SourceChanges([tmp_path])).run())
        await until(lambda: any(line.startswith(FAILS) for line in spoken))
        assert (await problem(port))["detail"] == "the worker does not serve after 0.3 s: killed"
        monkeypatch.setattr(reload, "START", 60.0)
        save(tmp_path, "mended")
        await until(lambda: any(line.startswith(SERVES) for line in spoken))
        word, worker = await says(port)
        assert word == "mended"
        os.kill(os.getpid(), signal.SIGTERM)
        await run
        await gone({worker})


def test_what_this_process_has_imported_a_waiting_worker_may_have(tmp_path: Path) -> None:
    here = Path(reload.__file__)
    assert reload.imported({tmp_path, here})
    assert reload.imported({here.parent})
    assert not reload.imported({tmp_path, here.with_name("nothing.py")})
