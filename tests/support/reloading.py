"""``limen serve --reload`` on an application that a test edits, and what a test asks about it."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from commands import Command, get, running

# Answers with its process and a word; what stands for the rest is where a test writes.
APP = """
import asyncio, os
WORD = "first"
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    content = f"{WORD} {os.getpid()}".encode()
    if scope["path"] == "/die":
        os._exit(7)
    if scope["path"] == "/stuck":
        await asyncio.Event().wait()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(content))]})
    await send({"type": "http.response.body", "body": content})
"""

# Stands before an application that is imported once there is a file called ``go``.
WAITS = """
import pathlib, time
print("importing", flush=True)
while not pathlib.Path("go").exists():
    time.sleep(0.01)
"""

SERVES = r"reload: serves"
RESTARTS = r"reload: (.*) changed; restarting"
FAILS = r"reload: every request is answered with 503"


def save(folder: Path, word: str, more: str = "") -> None:
    """Write the application as one that answers with ``word``; ``more`` stands before it."""
    (folder / "app.py").write_text(more + APP.replace("first", word))


@contextlib.asynccontextmanager
async def reloading(folder: Path, port: int, *more: str, **env: str) -> AsyncGenerator[Command]:
    """Serve ``app:app`` of ``folder``, with ``env`` besides."""
    async with running(folder, "serve", "app:app", "--port", str(port), "--reload", *more, **env) as command:
        yield command


async def says(port: int) -> tuple[str, int]:
    """Return the word that is answered, and the process that answers."""
    head, content = await get(port, "/")
    assert head.startswith(b"http/1.1 200 "), content
    word, process = content.decode().split()
    return word, int(process)


async def problem(port: int) -> dict[str, Any]:
    """Return the problem document that is answered, with status 503."""
    head, content = await get(port, "/")
    assert head.startswith(b"http/1.1 503 "), content
    assert b"\r\ncontent-type: application/problem+json\r\n" in head
    assert b"\r\nconnection: close\r\n" in head
    found: dict[str, Any] = json.loads(content)
    assert (found["status"], found["code"]) == (503, "startup_failed")
    return found


def children(process: int) -> set[int]:
    """Return the processes that ``process`` has started and that are not gone."""
    text = Path(f"/proc/{process}/task/{process}/children").read_text()
    return {int(each) for each in text.split()}


async def gone(processes: set[int]) -> None:
    """Wait until none of ``processes`` runs any more."""
    while any(_runs(process) for process in processes):  # noqa: ASYNC110  # no child of ours: nothing tells of its end
        await asyncio.sleep(0.01)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


@contextlib.contextmanager
def halted(process: int) -> Any:
    """Keep ``process`` from running within the block."""
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)
