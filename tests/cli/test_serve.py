"""``limen serve`` with one process: it listens, reloads, logs and stops, and says why when it cannot listen or start."""

import asyncio
import re
import signal
import socket
from pathlib import Path

import pytest

from commands import get, request, running

pytestmark = pytest.mark.processes_measured

GATE = """
from limen import Gateway, Upstream, anyone
app = Gateway()
app.forward("/svc/{path:path}", upstream=Upstream("svc", ["http://127.0.0.1:9"]), allow=anyone)

@app.get("/healthz")
async def healthz() -> dict[str, str]:
    return {"status": "alive"}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "gate.py").write_text(GATE)
    return tmp_path


async def test_serve_serves_and_stops_on_sigint(folder: Path, port: int) -> None:
    async with running(folder, "serve", "gate:app", "--port", str(port)) as command:
        await command.says("Application startup complete")
        head, _ = await get(port, "/healthz")
        assert head.startswith(b"http/1.1 200 ok")
        assert b"server:" not in head
        assert b" 503 " in (await get(port, "/svc/x"))[0]
        await command.says("limen.access .* 503 .*code=upstream_refused")
        command.send(signal.SIGINT)
        assert await command.ends() == 0


async def test_serve_listens_on_a_unix_socket(folder: Path) -> None:
    async with running(folder, "serve", "gate:app", "--uds", "g.sock") as command:
        await command.says("Application startup complete")
        streams = await asyncio.open_unix_connection(folder / "g.sock")
        assert (await request(streams, "/healthz", close=True))[0].startswith(b"http/1.1 200 ok")
        streams[1].close()
        command.send(signal.SIGTERM)
        assert await command.ends() == 0
    assert " limen.serve listening on g.sock" in command.text
    assert not (folder / "g.sock").exists()


async def test_serve_leaves_the_unix_socket_of_its_successor(folder: Path) -> None:
    argv = ("serve", "gate:app", "--uds", "g.sock")
    async with running(folder, *argv) as first:
        await first.says("Application startup complete")
        async with running(folder, *argv) as second:
            await second.says("Application startup complete")
            first.send(signal.SIGTERM)
            assert await first.ends() == 0
            streams = await asyncio.open_unix_connection(folder / "g.sock")
            assert (await request(streams, "/healthz", close=True))[0].startswith(b"http/1.1 200 ok")
            streams[1].close()


async def test_serve_says_where_it_listens(folder: Path) -> None:
    async with running(folder, "serve", "gate:app", "--port", "0") as command:
        await command.says("Application startup complete")
        where = re.search(r" limen\.serve listening on http://127\.0\.0\.1:(\d+)\n", command.text)
        assert where is not None
        assert b"alive" in (await get(int(where[1]), "/healthz"))[1]


async def test_serve_says_when_the_host_is_not_here(folder: Path) -> None:
    async with running(folder, "serve", "gate:app", "--host", "192.0.2.1", "--port", "0") as command:
        assert await command.ends() == 1
    assert command.text.splitlines()[-1] == (
        "Error: cannot listen on 192.0.2.1:0: Cannot assign requested address; choose another address with --host"
    )


async def test_serve_reloads_when_a_source_changes(folder: Path, port: int) -> None:
    argv = ("serve", "gate:app", "--port", str(port), "--reload", "--watch", str(folder))
    async with running(folder, *argv) as command:
        await command.says("Application startup complete")
        (folder / "gate.py").write_text(GATE.replace("alive", "renewed"))
        await command.says("Application startup complete", times=2)
        assert b"renewed" in (await get(port, "/healthz"))[1]
        command.send(signal.SIGINT)
        assert await command.ends() == 0
    _shows_a_plain_name(command.text)


@pytest.mark.parametrize("more", [(), ("--workers", "1")])
async def test_no_line_of_the_log_looks_like_an_error(folder: Path, port: int, more: tuple[str, ...]) -> None:
    """uvicorn says all that it says through a logger called uvicorn.error."""
    async with running(folder, "serve", "gate:app", "--port", str(port), *more) as command:
        await command.says("serves" if more else "Application startup complete")
        command.send(signal.SIGTERM)
        assert await command.ends() == 0
    _shows_a_plain_name(command.text)


def _shows_a_plain_name(text: str) -> None:
    assert re.search(r" INFO (\[\d+\] )?uvicorn Application startup complete", text)
    assert "uvicorn.error" not in text


@pytest.mark.parametrize("more", [(), ("--workers", "2"), ("--reload",)])
async def test_serve_says_when_the_port_is_taken(folder: Path, more: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with running(folder, "serve", "gate:app", "--port", str(port), *more) as command:
            assert await command.ends() == 1
    assert command.text.splitlines()[-1] == (
        f"Error: cannot listen on 127.0.0.1:{port}: Address already in use; "
        "stop what listens there, or choose another port with --port"
    )


@pytest.mark.parametrize("more", [(), ("--workers", "2"), ("--reload",)])
async def test_serve_says_when_the_path_is_taken(folder: Path, more: tuple[str, ...]) -> None:
    async with running(folder, "serve", "gate:app", "--uds", "gate.py", *more) as command:
        assert await command.ends() == 1
    assert command.text.splitlines()[-1] == (
        "Error: cannot listen on gate.py: Address already in use; choose another path with --uds"
    )
    assert "Traceback" not in command.text
    assert (folder / "gate.py").read_text() == GATE


async def test_serve_fails_when_the_application_does_not_start(folder: Path, port: int) -> None:
    (folder / "late.py").write_text(
        "import contextlib\nfrom limen import Gateway\n@contextlib.asynccontextmanager\nasync def life(app):\n"
        "    raise RuntimeError('no database')\n    yield\napp = Gateway(lifespan=life)\n"
    )
    async with running(folder, "serve", "late:app", "--port", str(port)) as command:
        assert await command.ends() == 3
    assert "no database" in command.text
