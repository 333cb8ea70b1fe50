"""From ``module:attribute`` to a gateway, or to one clear message about what is wrong with it."""

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from commands import running
from limen.cli import main

GATE = """
from limen import Gateway, Upstream, anyone
app = Gateway()
app.forward("/svc/{path:path}", upstream=Upstream("svc", ["http://127.0.0.1:9"]), allow=anyone)
"""


async def test_routes_and_check(folder: Path) -> None:
    (folder / "gate.py").write_text(GATE)
    async with running(folder, "routes", "gate:app") as routes:
        assert await routes.ends() == 0
    assert "/svc/{path:path}  svc       anyone  direct" in routes.text
    async with running(folder, "routes", "gate:app", "--json") as as_json:
        assert await as_json.ends() == 0
    assert '"path": "/svc/{path:path}"' in as_json.text
    async with running(folder, "check", "gate:app") as check:
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
            "- GET /a: Invalid args for response field!",
        ),
        ("def app(", "broken:app", "SyntaxError: '(' was never closed ("),
        ("x = 1\ndef app(", "broken:app", "broken.py, line 2)\n    def app(\n           ^\n"),
        ("y = 'ü' + f(1)", "broken:app", "broken.py, line 1)\n    y = 'ü' + f(1)\n              ^\n"),
        ("x = '" + "a" * 999 + "' + y", "broken:app", "a' + y\n" + " " * 163 + "^\n"),
        ("if 1:\n\t1 / 0 # \x1b[1m", "broken:app", "\n    1 / 0 #  [1m\n    ^^^^^\n"),
        ("raise SystemExit(7)", "broken:app", "SystemExit: 7 ("),
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
def test_an_application_that_cannot_be_loaded_is_one_clear_message(
    folder: Path, monkeypatch: pytest.MonkeyPatch, source: str, spec: str, said: str
) -> None:
    """In this process: to start one for each would take a hundred times as long. Others here see what a process ends with."""
    monkeypatch.chdir(folder)
    (folder / "broken.py").write_text(source)
    for verb in ("check", "serve") if "Gateway()" in source else ("check",):
        monkeypatch.setattr(sys, "path", sys.path[:])
        monkeypatch.delitem(sys.modules, "broken", raising=False)
        done = CliRunner().invoke(main, [verb, spec])
        assert done.exit_code in (1, 2)
        assert isinstance(done.exception, SystemExit)
        assert said in done.output
        assert "5000111" not in done.output


async def test_a_process_says_no_more_than_that_message(folder: Path) -> None:
    (folder / "broken.py").write_text("1 / 0")
    async with running(folder, "check", "broken:app") as command:
        assert await command.ends() == 1
    assert command.text == (
        f"Error: broken:app cannot be imported: ZeroDivisionError: division by zero ({folder}/broken.py, line 1)\n"
        "    1 / 0\n    ^^^^^\n"
    )


async def test_an_object_that_is_no_application_is_not_served(folder: Path) -> None:
    (folder / "broken.py").write_text("app = 1")
    async with running(folder, "serve", "broken:app", "--port", "0") as command:
        assert await command.ends() == 1
    assert command.text == "Error: broken:app is of type int, not an application; name one\n"
