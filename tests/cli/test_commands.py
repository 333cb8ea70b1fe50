"""``limen routes``, ``check``, ``serve`` and ``up`` as people meet them: real processes, exit statuses, messages."""

import asyncio
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from limen.cli.process import Process
from serving import until
from shop_processes import free_ports

pytestmark = pytest.mark.timeout(120)

APP = """
from limen import Gateway, Upstream, anyone
app = Gateway()
app.forward("/svc/{path:path}", upstream=Upstream("svc", ["http://127.0.0.1:9"]), allow=anyone)

@app.get("/healthz")
async def healthz() -> dict[str, str]:
    return {"status": "alive"}
"""

PLAIN = """
import os, sys
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        print("hello from", os.environ.get("NAME", "?"), os.environ.get("OTHER", ""), flush=True)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["path"] == "/die":
        os._exit(7)
    if scope["path"] == "/stubborn":
        import signal
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    status = 500 if os.environ.get("SICK") else 200
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})
"""


class Command:
    """A running ``limen`` and what it has said so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.text = ""

    async def says(self, pattern: str) -> re.Match[str]:
        """Read output until ``pattern`` has been said."""
        assert self.process.stdout is not None
        while (found := re.search(pattern, self.text)) is None:
            line = await self.process.stdout.readline()
            assert line, f"ended without saying {pattern!r}:\n{self.text}"
            self.text += line.decode()
        return found

    async def ends(self) -> int:
        """Return the exit status, with all output read."""
        assert self.process.stdout is not None
        self.text += (await self.process.stdout.read()).decode()
        return await self.process.wait()

    def send(self, number: int) -> None:
        """Signal the process."""
        self.process.send_signal(number)


_running: list[asyncio.subprocess.Process] = []


@pytest.fixture(autouse=True)
async def nothing_left_running() -> AsyncGenerator[None]:
    """Stop, in good order, what a failed test has left: what it started stops with it."""
    yield
    while _running:
        process = _running.pop()
        if process.returncode is None:
            process.terminate()
            await process.wait()


async def limen(folder: Path, *argv: str, **env: str) -> Command:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "limen", *argv),
        cwd=folder,
        env=os.environ | env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    _running.append(process)
    return Command(process)


async def get(port: int, path: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n".encode())
    try:
        return await reader.read()
    finally:
        writer.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "gate.py").write_text(APP)
    (tmp_path / "plain.py").write_text(PLAIN)
    return tmp_path


async def test_routes_and_check(folder: Path) -> None:
    routes = await limen(folder, "routes", "gate:app")
    assert await routes.ends() == 0
    assert "/svc/{path:path}  svc       anyone  direct" in routes.text
    as_json = await limen(folder, "routes", "gate:app", "--json")
    assert await as_json.ends() == 0
    assert '"path": "/svc/{path:path}"' in as_json.text
    check = await limen(folder, "check", "gate:app")
    assert await check.ends() == 0
    assert check.text == "gate:app: 1 gateway route, no problem found.\n"


@pytest.mark.parametrize(
    ("source", "spec", "said"),
    [
        ("", "nowhere:app", "there is no module 'nowhere'"),
        ("", "broken", "write module:attribute"),
        ("", "broken.py:app", "write module:attribute"),
        ("", "broken:app", "module 'broken' has no 'app'"),
        ("app = 1", "broken:app", "is of type int, not a limen.Gateway"),
        ("import not_installed_here", "broken:app", "No module named 'not_installed_here'"),
        ("1 / 0", "broken:app", "ZeroDivisionError: division by zero"),
        ("import os\nos.environ['NOT_SET']", "broken:app", "NOT_SET is not set in the environment ("),
        ("import os\nos.environ['NOT_SET']", "broken:app", "broken.py, line 2)"),
        ("from limen.auth import Jwt\nJwt('short')", "broken:app", "broken.py, line 2)"),
        ("{}['NOT_SET']", "broken:app", "KeyError: 'NOT_SET' ("),
        (
            "from limen import *\napp = Gateway()\nclass Odd: ...\n"
            "@app.get('/a', allow=anyone, upstream=Upstream('u', ['http://u']))\ndef a(it: Odd): ...",
            "broken:app",
            "broken.py, line 4)",
        ),
        ("def app(", "broken:app", "SyntaxError"),
        (
            "from pydantic import BaseModel\nclass S(BaseModel):\n  secret_key: str\nS(secret_key=5_000_111)",
            "broken:app",
            "SECRET_KEY: Input should be a valid string",
        ),
        (
            "from limen import *\napp = Gateway()\n@app.get('/a', upstream=Upstream('u', ['http://u']))\ndef a(): ...",
            "broken:app",
            "GET /a: says nothing about who may call",
        ),
        (
            "from limen import *\napp = Gateway()\n@app.get('/a', upstream=Upstream('u', ['http://u']))\n"
            "def a(): ...\napp.compile()",
            "broken:app",
            "GET /a: says nothing about who may call",
        ),
    ],
)
async def test_what_cannot_be_loaded_is_one_clear_message(folder: Path, source: str, spec: str, said: str) -> None:
    (folder / "broken.py").write_text(source)
    for verb in ("check", "serve") if "Gateway()" in source else ("check",):
        command = await limen(folder, verb, spec)
        assert await command.ends() in (1, 2)
        assert said in command.text
        assert "Traceback" not in command.text
        assert "5000111" not in command.text


async def test_what_is_no_application_is_not_served(folder: Path) -> None:
    (folder / "broken.py").write_text("app = 1")
    command = await limen(folder, "serve", "broken:app", "--port", "0")
    assert await command.ends() == 1
    assert command.text == "Error: broken:app is of type int, not an application; name one\n"


async def test_serve_serves_and_stops_on_sigint(folder: Path) -> None:
    [port] = free_ports(1)
    command = await limen(folder, "serve", "gate:app", "--port", str(port))
    await command.says("Application startup complete")
    answer = await get(port, "/healthz")
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"server:" not in answer.lower()
    assert b" 503 " in await get(port, "/svc/x")
    await command.says("limen.access .* 503 .*code=upstream_refused")
    command.send(signal.SIGINT)
    assert await command.ends() == 0


async def test_serve_listens_on_a_unix_socket(folder: Path) -> None:
    command = await limen(folder, "serve", "gate:app", "--uds", str(folder / "g.sock"))
    await command.says("running on unix socket")
    reader, writer = await asyncio.open_unix_connection(folder / "g.sock")
    writer.write(b"GET /healthz HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 200 OK")
    writer.close()
    command.send(signal.SIGTERM)
    assert await command.ends() in (0, -signal.SIGTERM)


async def test_serve_reloads_when_a_source_changes(folder: Path) -> None:
    [port] = free_ports(1)
    command = await limen(folder, "serve", "gate:app", "--port", str(port), "--reload", "--watch", str(folder))
    await command.says("Application startup complete")
    (folder / "gate.py").write_text(APP.replace("alive", "renewed"))
    await command.says("(?s)Application startup complete.*Application startup complete")
    assert b"renewed" in await get(port, "/healthz")
    command.send(signal.SIGINT)
    assert await command.ends() == 0


async def test_serve_says_when_the_port_is_taken(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = await limen(folder, "serve", "gate:app", "--port", str(port))
        assert await command.ends() == 1
    assert f"cannot listen on 127.0.0.1:{port}" in command.text
    assert "choose another port with --port" in command.text


async def test_serve_fails_when_the_application_does_not_start(folder: Path) -> None:
    (folder / "late.py").write_text(
        "import contextlib\nfrom limen import Gateway\n@contextlib.asynccontextmanager\nasync def life(app):\n"
        "    raise RuntimeError('no database')\n    yield\napp = Gateway(lifespan=life)\n"
    )
    [port] = free_ports(1)
    command = await limen(folder, "serve", "late:app", "--port", str(port))
    assert await command.ends() == 3
    assert "no database" in command.text


def topology(folder: Path, text: str) -> None:
    (folder / "limen.toml").write_text(text)


async def test_up_runs_everything_and_stops_cleanly(folder: Path) -> None:
    one, two = free_ports(2)
    topology(
        folder,
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
        """,
    )
    command = await limen(folder, "up", "--port", f"two={two}")
    await command.says(f"open at http://127.0.0.1:{two}")
    await command.says(f"two | hello from two http://127.0.0.1:{one}")
    assert "one | 42" in command.text
    assert (await get(one, "/")).startswith(b"HTTP/1.1 200")
    command.send(signal.SIGINT)
    assert await command.ends() == 0
    secret = (folder / ".limen" / "TOKEN_KEY").read_text().strip()
    assert len(secret) >= 32
    assert secret not in command.text
    assert (folder / ".limen" / "TOKEN_KEY").stat().st_mode & 0o777 == 0o600
    for port in (one, two):
        socket.create_server(("127.0.0.1", port)).close()
    again = await limen(folder, "up", "--port", f"two={two}")
    await again.says("open at")
    again.send(signal.SIGTERM)
    assert await again.ends() == 0
    assert (folder / ".limen" / "TOKEN_KEY").read_text().strip() == secret


async def test_up_ends_when_a_service_dies(folder: Path) -> None:
    one, two = free_ports(2)
    topology(folder, f'[services.a]\napp="plain:app"\nport={one}\n[services.b]\napp="plain:app"\nport={two}\n')
    command = await limen(folder, "up")
    await command.says("All services are up")
    assert await get(one, "/die") == b""
    assert await command.ends() == 1
    assert "Error: a ended with exit status 7; everything is stopped" in command.text
    socket.create_server(("127.0.0.1", two)).close()


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


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[services", "cannot be read"),
        ("", "services: Field required"),
        ('[services.a]\napp="plain:app"', "services.a.port: Field required"),
        ('[services.a]\napp="plain"\nport=1', "services.a.app: String should match pattern"),
        ('[services.a]\napp="plain:app"\nport=70000', "services.a.port: Input should be less than or equal to 65535"),
        ('[services.a]\napp="plain:app"\nport=1\nenvv={}', "services.a.envv: Extra inputs are not permitted"),
        (
            '[services.a]\napp="plain:app"\nport=1\n[services.b]\napp="plain:app"\nport=1',
            "services.b.port: 1 is also that of a",
        ),
        ('[services.a]\napp="plain:app"\nport=1\nenv={X="${c.url}"}', "services.a.env.X: nothing is called ${c.url}"),
        ('[up]\nbanner="${c.url}"\n[services.a]\napp="plain:app"\nport=1', "up.banner: nothing is called ${c.url}"),
    ],
)
async def test_up_tells_what_is_wrong_with_the_file(folder: Path, text: str, said: str) -> None:
    topology(folder, text)
    command = await limen(folder, "up")
    assert await command.ends() == 1
    assert said in command.text
    assert "limen.toml" in command.text
    assert "Traceback" not in command.text


async def test_up_without_a_file_says_what_to_do(folder: Path) -> None:
    command = await limen(folder, "up")
    assert await command.ends() == 1
    assert "there is no limen.toml; write one, or name it with --file" in command.text


@pytest.mark.parametrize("port", ["a", "b=1", "a=x", "a=0", "a=70000"])
async def test_up_refuses_a_bad_port(folder: Path, port: str) -> None:
    topology(folder, '[services.a]\napp="plain:app"\nport=1\n')
    command = await limen(folder, "up", "--port", port)
    assert await command.ends() == 2
    assert "write NAME=PORT, with a port of 1-65535 and one of: a" in command.text


async def test_up_says_when_a_port_is_taken(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        topology(folder, f'[services.a]\napp="plain:app"\nport={port}\n')
        command = await limen(folder, "up")
        assert await command.ends() == 1
    assert f"port {port}, for a, cannot be used" in command.text
    assert "--port a=PORT" in command.text


@pytest.mark.parametrize(
    ("before", "said"),
    [
        (
            "python -c 'print(\"why\"); raise SystemExit(3)'",
            "failed with exit status 3; everything is stopped. Its last line: why",
        ),
        ("no-such-program-here", "a: 'no-such-program-here' cannot run"),
    ],
)
async def test_up_ends_when_a_first_command_fails(folder: Path, before: str, said: str) -> None:
    [port] = free_ports(1)
    topology(folder, f'[services.a]\napp="plain:app"\nport={port}\nbefore=["""{before}"""]\n')
    command = await limen(folder, "up")
    assert await command.ends() == 1
    assert said in command.text


async def test_up_ends_when_a_setting_is_bad(folder: Path) -> None:
    (folder / "strict.py").write_text("raise ValueError('SECRET is too short')")
    [port] = free_ports(1)
    topology(folder, f'[services.a]\napp="strict:app"\nport={port}\n')
    command = await limen(folder, "up")
    assert await command.ends() == 1
    assert "Error: a ended with exit status 1; everything is stopped. Its last line: " in command.text
    assert command.text.rstrip().splitlines()[-1].count("SECRET is too short") == 1


async def test_up_can_be_stopped_before_all_is_healthy(folder: Path) -> None:
    [port] = free_ports(1)
    topology(folder, f'[services.a]\napp="plain:app"\nport={port}\nenv={{SICK="1"}}\n')
    command = await limen(folder, "up")
    await command.says("hello from")
    command.send(signal.SIGTERM)
    assert await command.ends() == 0
    assert "are up" not in command.text


async def test_up_reloads_a_service(folder: Path) -> None:
    [port] = free_ports(1)
    topology(folder, f'[services.a]\napp="plain:app"\nport={port}\n')
    command = await limen(folder, "up", "--reload", NAME="first")
    await command.says("All services are up")
    saving = asyncio.create_task(_keep_saving(folder / "plain.py", PLAIN.replace("hello", "good day")))
    await command.says("good day from first")
    saving.cancel()
    command.send(signal.SIGINT)
    assert await command.ends() == 0
    socket.create_server(("127.0.0.1", port)).close()


async def _keep_saving(path: Path, text: str) -> None:
    """Save again and again: the reloader looks at the times of files, and misses a change before its first look."""
    while True:
        path.write_text(text)
        await asyncio.sleep(0.5)
