"""``limen serve --reload`` while the application does not start: its answers, and that the next good save recovers."""

import asyncio
import json
import ssl
from pathlib import Path

import pytest

from certificates import Authority
from commands import connected, request
from reloading import APP, FAILS, SERVES, WAITS, problem, reloading, save, says


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(tmp_path, "first")
    return tmp_path


LIFESPAN = """
import contextlib
from limen import Gateway
@contextlib.asynccontextmanager
async def life(app):
    raise RuntimeError("no database")
    yield
app = Gateway(lifespan=life)
"""

# What is saved, and what is told about it, each part once.
BROKEN: list[tuple[str, list[str]]] = [
    ("value = (1,\n", ["'(' was never closed (", "app.py, line 1)\n    value = (1,\n            ^\n"]),
    ("def f():\n\treturn  1 +* 2\n", ["invalid syntax (", "app.py, line 2)\n    return  1 +* 2\n               ^\n"]),
    ("x = 'häh' + str(1 / 0)\n", ["ZeroDivisionError: division by zero (", f"\n{' ' * 20}^^^^^\n"]),
    (
        "import json\njson.loads('{')\n",
        ["JSONDecodeError", "app.py, line 2)\n    json.loads('{')\n    ^^^^^^^^^^^^^^^\n"],
    ),
    ("import not_here\n", ["No module named 'not_here' (", "app.py, line 1)\n    import not_here\n    ^"]),
    ("import sys\nsys.exit('no')\n", ["SystemExit: no (", "app.py, line 2)\n    sys.exit('no')\n    ^^^^^^^^^^^^^^\n"]),
    ("app = 1\n", ["is of type int, not an application"]),
    ("\n", ["module 'app' has no 'app'"]),
    ("import os\nos._exit(9)\n", ["the worker ended with status 9 before it served"]),
    (
        "from limen import *\napp = Gateway()\n@app.get('/a', upstream=Upstream('u', ['http://u']))\ndef a(): ...\n",
        ["GET /a: says nothing about who may call"],
    ),
    (
        LIFESPAN,
        [
            "the startup of app:app failed: RuntimeError: no database (",
            'app.py, line 6)\n    raise RuntimeError("no database")\n    ^^^',
        ],
    ),
]


@pytest.mark.parametrize("third", range(3))
async def test_a_save_that_does_not_start_is_told_at_once_and_the_next_mends_it(
    folder: Path, port: int, third: int
) -> None:
    async with reloading(folder, port) as command:
        await command.says(SERVES)
        for number, (source, said) in enumerate(BROKEN[third::3], 1):
            (folder / "app.py").write_text(source)
            await command.says(FAILS, times=number)
            told = (await problem(port))["detail"] + "\n"
            for part in said:
                assert part in told
                assert command.text.count(part) == 1, part
            save(folder, f"mended{number}")
            await command.says(f"{SERVES} again", times=number)
            assert (await says(port))[0] == f"mended{number}"


@pytest.mark.processes_measured
async def test_a_first_start_that_fails_waits_for_a_save(folder: Path, port: int) -> None:
    (folder / "app.py").write_text("app = (\n")
    async with reloading(folder, port) as command:
        await command.says(FAILS)
        assert "app.py, line 1)" in (await problem(port))["detail"]
        (folder / "app.py").write_text("app = [\n")
        await command.says(FAILS, times=2)
        assert "'[' was never closed" in (await problem(port))["detail"]
        save(folder, "mended")
        await command.says(SERVES)
        assert (await says(port))[0] == "mended"


async def test_a_file_in_the_place_of_a_module_that_serves_is_told_and_the_next_save_mends_it(
    folder: Path, port: int
) -> None:
    """The supervisor imports it as a worker does, and must not end with it."""
    (folder / "fastapi.py").write_text("raise RuntimeError('not the one')\n")
    async with reloading(folder, port) as command:
        await command.says(FAILS)
        assert "the worker ended with status 1 before it served" in (await problem(port))["detail"]
        assert "the supervisor cannot import what serves: RuntimeError: not the one" in command.text
        (folder / "fastapi.py").unlink()
        await command.says(SERVES)
        assert (await says(port))[0] == "first"


@pytest.mark.processes_measured
async def test_a_request_that_waits_is_told_of_the_failure(folder: Path, port: int) -> None:
    async with reloading(folder, port) as command:
        await command.says(SERVES)
        save(folder, "second", WAITS + "1 / 0\n")
        await command.says("importing")
        async with connected(port) as streams:
            answer = asyncio.create_task(request(streams, "/"))
            await asyncio.sleep(0)
            (folder / "go").touch()
            head, _ = await answer
        assert head.startswith(b"http/1.1 503 ")


@pytest.mark.processes_measured
async def test_the_failure_is_told_over_tls(folder: Path, port: int) -> None:
    authority = Authority(folder)
    certificate, key = authority.pair("server")
    (folder / "app.py").write_text("app = (\n")
    async with reloading(folder, port, "--tls-certificate", str(certificate), "--tls-key", str(key)) as command:
        await command.says(FAILS)
        streams = await asyncio.open_connection("localhost", port, ssl=authority.client())
        head, content = await request(streams, "/")
        streams[1].close()
        assert head.startswith(b"http/1.1 503 ")
        assert "'(' was never closed" in json.loads(content)["detail"]
        with pytest.raises((OSError, ssl.SSLError)):
            async with connected(port) as plain:
                await request(plain, "/")
        (folder / "app.py").write_text(APP)
        await command.says(SERVES)
        streams = await asyncio.open_connection("localhost", port, ssl=authority.client())
        assert (await request(streams, "/", close=True))[1].startswith(b"first ")
        streams[1].close()
