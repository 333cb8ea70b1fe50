"""``limen matrix``: what it prints, the file that it writes, and how a change of a rule looks in review."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from fastapi import APIRouter, FastAPI, WebSocket

from limen import Gateway, Principal, Upstream, anyone, owner, role, scope
from limen.auth import Jwt
from limen.auth.api_keys import ApiKeys
from limen.cli.matrix import FASTAPI, as_json, markdown, matrix_of, text, write
from tokens import SECRET

APP = """
from limen import Gateway, Upstream, role
from limen.auth import Jwt
app = Gateway(auth=Jwt("0123456789abcdef0123456789abcdef"))
app.forward("/svc/{path:path}", upstream=Upstream("svc", ["http://127.0.0.1:9"]), allow=role("admin"), methods=["GET"])
"""
LINE = "| GET | `/svc/{path:path}` | svc | `role(admin)` | Jwt | 401 | 403 | allowed |"

pytestmark = pytest.mark.processes_measured


def limen(folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "limen", "matrix", *argv]
    return subprocess.run(command, cwd=folder, env=os.environ.copy(), capture_output=True, text=True, timeout=50)


def of_tenant(principal: Principal) -> bool:
    return principal.claims.get("tenant") == "x"


def gateway() -> Gateway:
    """Return a gateway with every kind of row."""
    app = Gateway(auth=Jwt(SECRET), docs_url=None, redoc_url=None, openapi_url=None)
    service = Upstream("svc", ["http://127.0.0.1:9"])
    keys = ApiKeys(service)
    users = app.group("/users", upstream=service, allow=role("admin"))

    @users.get("/{user_id}", allow=owner("user_id") | role("admin"))
    def user(user_id: int) -> None: ...

    @users.post("")
    def create() -> None: ...

    app.forward("/a_b/{path:path}", upstream=service, allow=scope("r:w") | of_tenant, auth=keys, methods=["GET", "PUT"])
    app.forward("/open", upstream=service, allow=anyone, methods=["GET"])
    app.forward("/odd", upstream=service, allow=lambda principal: True, methods=["GET"])

    router = APIRouter(prefix="/inner")

    @router.get("/ping")
    def ping() -> str:
        return "pong"

    @router.websocket("/ws")
    async def ws(socket: WebSocket) -> None:
        await socket.accept()

    app.include_router(router)
    app.mount("/static", FastAPI())
    del user, create, ping, ws
    return app


def test_the_page() -> None:
    assert markdown(matrix_of(gateway())).splitlines()[4:-11] == [
        r"| METHOD | PATH | SERVICE | ALLOW | AUTH | anonymous | signed in | role admin | scope r:w | owner user\_id "
        "| API key | API key + scope r:w |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        r"| GET PUT | `/a_b/{path:path}` | svc | `scope(r:w) \| of_tenant` | ApiKeys "
        "| 401 | 401 | 401 | 401 | - | ? | allowed |",
        "| GET | `/healthz` | gateway |  |  |  |  |  |  |  |  |  |",
        "| GET | `/inner/ping` | FastAPI |  |  |  |  |  |  |  |  |  |",
        "| ANY | `/inner/ws` | FastAPI |  |  |  |  |  |  |  |  |  |",
        "| GET | `/odd` | svc | `<lambda>` | Jwt | 401 | allowed | allowed | allowed | - | 401 | 401 |",
        "| GET | `/open` | svc | `anyone` |  | allowed | allowed | allowed | allowed | allowed | allowed | allowed |",
        "| GET | `/readyz` | gateway |  |  |  |  |  |  |  |  |  |",
        "| ANY | `/static/{path:path}` | FastAPI |  |  |  |  |  |  |  |  |  |",
        "| POST | `/users` | svc | `role(admin)` | Jwt | 401 | 403 | allowed | 403 | - | 401 | 401 |",
        r"| GET | `/users/{user_id}` | svc | `owner(user_id) \| role(admin)` | Jwt "
        "| 401 | 403 | allowed | 403 | allowed | 401 | 401 |",
        "",
    ]


def test_the_page_lists_what_functions_read() -> None:
    assert markdown(matrix_of(gateway())).endswith(
        "- \\<lambda> is a function: roles and scopes that it looks for have no column.\n"
        "- of\\_tenant is a function: roles and scopes that it looks for have no column, and it reads claims.\n"
    )


def test_the_table_for_the_terminal() -> None:
    lines = text(matrix_of(gateway())).splitlines()
    head, first = lines[0], lines[1]
    assert head.split("  ")[0] == "METHOD"
    assert first.startswith("GET PUT  /a_b/{path:path}")
    assert first[head.index("scope r:w") :].startswith("401")
    assert not any(line.endswith(" ") for line in lines)


def test_json_for_programs() -> None:
    found = json.loads(as_json(matrix_of(gateway())))
    rows = {row["path"]: row for row in found["routes"]}
    assert rows["/users"]["verdicts"]["role admin"] == "allowed"
    assert rows["/a_b/{path:path}"]["verdicts"]["API key"] == "?"
    assert rows["/open"]["auth"] is None
    assert rows["/inner/ping"] == {
        "methods": ["GET"],
        "path": "/inner/ping",
        "service": FASTAPI,
        "allow": None,
        "auth": None,
        "verdicts": None,
    }
    assert found["functions"] == {"<lambda>": "", "of_tenant": "claims"}


def test_a_change_of_one_route_is_a_change_of_one_line() -> None:
    def page(path: str, *roles: str) -> list[str]:
        app = Gateway(auth=Jwt(SECRET))
        service = Upstream("svc", ["http://127.0.0.1:9"])
        app.forward("/other", upstream=service, allow=role("a", "b"), methods=["GET"])
        app.forward(path, upstream=service, allow=role(*roles), methods=["GET"])
        return markdown(matrix_of(app)).splitlines()

    before, after = page("/x", "a"), page("/x", "a", "b")
    assert len(set(before) ^ set(after)) == 2
    longer = page("/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "a")
    assert len(set(before) ^ set(longer)) == 2


def test_a_matrix_is_written_checked_and_a_change_is_refused(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(APP)
    missing = limen(tmp_path, "shop:app", "--check", "access.md")
    assert missing.returncode == 1
    renew = "write it with: limen matrix shop:app --format markdown --output access.md"
    assert missing.stderr == f"Error: access.md is not there; {renew}\n"

    assert limen(tmp_path, "shop:app", "--output", "access.md").returncode == 0
    page = (tmp_path / "access.md").read_text()
    assert LINE in page
    assert limen(tmp_path, "shop:app", "--format", "markdown").stdout == page
    same = limen(tmp_path, "shop:app", "--check", "access.md")
    assert (same.returncode, same.stdout, same.stderr) == (0, "access.md: it is as the rules are.\n", "")

    (tmp_path / "shop.py").write_text(APP.replace('role("admin")', 'role("admin", "staff")'))
    changed = limen(tmp_path, "shop:app", "--check", "access.md")
    assert changed.returncode == 1
    assert changed.stderr == f"Error: access.md is not as the rules are; if it should be, {renew}\n"
    lines = changed.stdout.splitlines()
    assert lines[:2] == ["--- access.md", "+++ limen matrix shop:app"]
    assert f"-{LINE}" in lines
    assert "+" + LINE.replace("(admin)", "(admin, staff)") + " allowed |" in lines
    assert (tmp_path / "access.md").read_text() == page


def test_a_command_that_fails_says_why(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(APP)
    both = limen(tmp_path, "shop:app", "--check", "a.md", "--output", "a.md")
    assert both.returncode == 2
    assert "give one of the two" in both.stderr
    nowhere = limen(tmp_path, "shop:app", "--output", "nowhere/a.md")
    assert (nowhere.returncode, nowhere.stderr) == (
        1,
        f"Error: {Path('nowhere/a.md')} cannot be written: No such file or directory\n",
    )
    (tmp_path / "a.json").write_bytes(b"\xff")
    unreadable = limen(tmp_path, "shop:app", "--check", "a.json")
    assert unreadable.returncode == 1
    assert "a.json cannot be read: UnicodeDecodeError; write it with: limen matrix shop:app --format json" in (
        unreadable.stderr
    )


def test_a_file_is_written_as_a_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "access.md"
    write(file, "old\n")

    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(click.ClickException, match=r"access\.md cannot be written: No space left on device"):
            write(file, "new\n")
    assert [(found.name, found.read_text()) for found in tmp_path.iterdir()] == [("access.md", "old\n")]
    write(file, "new\n")
    assert file.read_text() == "new\n"
