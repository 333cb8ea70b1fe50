"""``limen up`` from start to end: all services start, stop, die or reload together."""

import os
import re
import signal
import socket
import sys
from pathlib import Path

import pytest

from commands import Command, get, running
from limen.cli.process import Process
from serving import until
from shop_processes import free_ports

pytestmark = pytest.mark.processes_measured

PLAIN = """
import os, sys
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        # In one piece: under PYTHONUNBUFFERED each argument is a write of its own, and lines of the log come between.
        print(f"hello from {os.environ.get('NAME', 'unknown')} {os.getpid()} {os.environ.get('OTHER', '')}", flush=True)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["path"] == "/die":
        os._exit(7)
    status = 500 if os.environ.get("SICK") else 200
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "plain.py").write_text(PLAIN)
    return tmp_path


async def test_up_runs_everything_and_stops_cleanly(folder: Path) -> None:
    one, two = free_ports(2)
    (folder / "limen.toml").write_text(
        f"""
        [up]
        secrets = ["TOKEN_KEY"]
        banner = "open at ${{two.url}}"
        [services.one]
        app = "plain:app"
        port = {one}
        env = {{ NAME = "one" }}
        before = ["python -c 'print(6 * 7)'"]
        [services.two]
        app = "plain:app"
        port = 1
        env = {{ NAME = "two", OTHER = "${{one.url}}", TOKEN_KEY = "${{secrets.TOKEN_KEY}}" }}
        """
    )
    async with running(folder, "up", "--port", f"two={two}") as command:
        await command.says(f"open at http://127.0.0.1:{two}")
        await command.says(rf"two \| hello from two \d+ http://127.0.0.1:{one}")
        assert "one | 42" in command.text
        assert (await get(one, "/"))[0].startswith(b"http/1.1 200")
        command.send(signal.SIGINT)
        assert await command.ends() == 0
    secret = (folder / ".limen" / "TOKEN_KEY").read_text().strip()
    assert len(secret) >= 32
    assert secret not in command.text
    assert (folder / ".limen" / "TOKEN_KEY").stat().st_mode & 0o777 == 0o600
    for port in (one, two):
        socket.create_server(("127.0.0.1", port)).close()
    async with running(folder, "up", "--port", f"two={two}") as again:
        await again.says("open at")
        again.send(signal.SIGTERM)
        assert await again.ends() == 0
    assert (folder / ".limen" / "TOKEN_KEY").read_text().strip() == secret


async def test_up_ends_when_a_service_dies(folder: Path) -> None:
    one, two = free_ports(2)
    (folder / "limen.toml").write_text(
        f'[services.a]\napp="plain:app"\nport={one}\n[services.b]\napp="plain:app"\nport={two}\n'
    )
    async with running(folder, "up") as command:
        await command.says("All services are up")
        with pytest.raises(ConnectionError):
            await get(one, "/die")
        assert await command.ends() == 1
    assert "Error: a ended with exit status 7; everything is stopped" in command.text
    socket.create_server(("127.0.0.1", two)).close()


def pid(command: Command, name: str) -> int:
    """Return the process id of the last process called ``name``."""
    return int(re.findall(rf"{name} *\| hello from \w+ (\d+)", command.text)[-1])


async def test_up_runs_several_targets_and_starts_one_again(folder: Path) -> None:
    one, two, other = free_ports(3)
    (folder / "limen.toml").write_text(
        f"""
        [up]
        banner = "open at ${{a.urls}} and ${{a-2.port}}"
        [services.a]
        app = "plain:app"
        port = {one}
        targets = 2
        env = {{ NAME = "a", OTHER = "${{b.url}}" }}
        before = ["python -c 'print(6 * 7)'"]
        [services.b]
        app = "plain:app"
        port = {other}
        env = {{ NAME = "b", OTHER = "${{a.urls}}" }}
        """
    )
    async with running(folder, "up", "--port", f"a-2={two}") as command:
        both = f"http://127.0.0.1:{one},http://127.0.0.1:{two}"
        await command.says(f"open at {both} and {two}")
        assert re.findall(r"(?m)^(\S+) *\| 42$", command.text) == ["a"]
        assert re.search(rf"b +\| hello from b \d+ {both}", command.text)
        for name, port in (("a-1", one), ("a-2", two)):
            assert (await get(port, "/"))[0].startswith(b"http/1.1 200"), name
        with pytest.raises(ConnectionError):
            await get(one, "/die")
        await command.says(r"a-1 +\| ended with exit status 7; it starts again in 0\.5 s\. Of a still run: a-2")
        assert (await get(two, "/"))[0].startswith(b"http/1.1 200")
        await command.says(r"a-1 +\| serves again")
        assert (await get(one, "/"))[0].startswith(b"http/1.1 200")
        first, second = pid(command, "a-1"), pid(command, "a-2")
        os.kill(first, signal.SIGSTOP)  # who is frozen does not live longer than the others
        os.kill(second, signal.SIGKILL)
        await command.says(r"a-2 +\| was killed by signal 9; it starts again")
        command.send(signal.SIGINT)
        assert await command.ends() == 0
    assert "killed\n" not in command.text
    for port in (one, two, other):
        socket.create_server(("127.0.0.1", port)).close()


async def test_up_ends_when_all_targets_of_a_service_die(folder: Path) -> None:
    one, two = free_ports(2)
    (folder / "limen.toml").write_text(f'[services.a]\napp="plain:app"\nport={one}\ntargets=2\n')
    async with running(folder, "up", "--port", f"a-2={two}") as command:
        await command.says("All services are up")
        for name in ("a-1", "a-2"):
            os.kill(pid(command, name), signal.SIGKILL)
        assert await command.ends() == 1
    assert re.search(r"Error: a-[12] was killed by signal 9; everything is stopped", command.text)
    for port in (one, two):
        socket.create_server(("127.0.0.1", port)).close()


async def test_up_kills_what_does_not_stop(folder: Path) -> None:
    shown: list[str] = []
    program = (
        "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(99)"
    )
    process = await Process.start(
        "x", [sys.executable, "-c", program], env=os.environ, cwd=folder, show=lambda name, line: shown.append(line)
    )
    await until(lambda: "deaf" in shown)
    assert re.fullmatch(r"<Process x \d+ runs>", repr(process))
    await process.stop(grace=0.1)
    assert shown[-1] == "did not stop within 0.1 s: killed"
    assert "ended -9" in repr(process)
    await process.stop()


async def test_up_can_be_stopped_before_all_is_healthy(folder: Path, port: int) -> None:
    (folder / "limen.toml").write_text(f'[services.a]\napp="plain:app"\nport={port}\nenv={{SICK="1"}}\n')
    async with running(folder, "up") as command:
        await command.says("hello from")
        command.send(signal.SIGTERM)
        assert await command.ends() == 0
    assert "are up" not in command.text


async def test_up_reloads_a_service(folder: Path, port: int) -> None:
    (folder / "limen.toml").write_text(f'[services.a]\napp="plain:app"\nport={port}\n')
    async with running(folder, "up", "--reload", NAME="first") as command:
        await command.says("All services are up")
        (folder / "plain.py").write_text(PLAIN.replace("hello", "good day"))
        await command.says(r"a \| reload: plain.py changed; restarting")
        await command.says("good day from first")
        await command.says(r"a \| reload: serves again after")
        command.send(signal.SIGINT)
        assert await command.ends() == 0
    assert "everything is stopped" not in command.text
    socket.create_server(("127.0.0.1", port)).close()


async def test_up_waits_for_the_save_that_mends_a_service(folder: Path, port: int) -> None:
    (folder / "limen.toml").write_text(f'[services.a]\napp="plain:app"\nport={port}\n')
    (folder / "plain.py").write_text("app = (")
    async with running(folder, "up", "--reload") as command:
        await command.says(r"a \| reload: every request is answered with 503")
        (folder / "plain.py").write_text(PLAIN)
        await command.says("All services are up")
        command.send(signal.SIGINT)
        assert await command.ends() == 0
