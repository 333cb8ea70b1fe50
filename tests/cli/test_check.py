"""``limen check``: what it prints, its status, and how a finding is acknowledged."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from limen.cli import main

GATE = """
from limen import Gateway, Upstream, anyone, role
from limen.auth import Jwt
up = Upstream("up", ["http://127.0.0.1:9"])
app = Gateway(auth=Jwt("0123456789abcdef0123456789abcdef"))
@app.get("/api/admin/report", upstream=up, allow=role("admin"))
def report(): ...
app.forward("/api/{path:path}", upstream=up, allow=anyone)
"""
WARNED = """
from limen import Gateway, Upstream, anyone
up = Upstream("up", ["http://127.0.0.1:9"])
app = Gateway()
app.forward("/app/{path:path}", upstream=up, allow=anyone, rewrite="/index.html", methods=["GET"])
"""
OUTPUT = """\
GET /api/admin/report
  error    overlapping-rules
           allow=role(admin) is not asked where the service 'up' is lenient. /api/{path:path}
           (allow=anyone) passes on requests that it may answer as those of this route:
             GET /api/admin/report/      if it ignores a final slash
             GET /api/Admin/report       if it ignores case
             GET /api/admin/report.json  if it takes a suffix for a format
             POST /api/admin/report      if it answers POST as GET
           Mend: give both the same rule, or change /api/{path:path} so that it leaves this path
           out; if the service tells them apart, acknowledge it.

What is meant so is acknowledged at its place: --ignore 'overlapping-rules@GET /api/admin/report'
gate:app: 1 error.
"""
pytestmark = pytest.mark.processes_measured


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run in a folder of this test, where modules are imported anew."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.delitem(sys.modules, "gate", raising=False)
    return folder


def check(folder: Path, source: str, *options: str) -> Result:
    (folder / "gate.py").write_text(source)
    sys.modules.pop("gate", None)
    return CliRunner().invoke(main, ["check", "gate:app", *options])


def test_a_process_prints_findings_by_route_and_fails(folder: Path) -> None:
    (folder / "gate.py").write_text(GATE)
    command = [sys.executable, "-m", "limen", "check", "gate:app"]
    done = subprocess.run(command, cwd=folder, env=os.environ.copy(), capture_output=True, text=True, timeout=50)
    assert (done.returncode, done.stdout, done.stderr) == (1, OUTPUT, "")


def test_the_page_shows_what_is_printed() -> None:
    page = (Path(__file__).parents[2] / "docs" / "check.md").read_text()
    shown = OUTPUT.replace("gate:app", "shop:app").replace("'up'", "'reports'")
    assert " ".join(shown.split()) in " ".join(page.split())


def test_a_finding_is_acknowledged_at_its_place(here: Path) -> None:
    done = check(here, GATE, "--ignore", "overlapping-rules@GET /api/admin/report")
    assert (done.exit_code, done.output) == (0, "gate:app: 2 gateway routes, no problem found, 1 ignored.\n")
    assert check(here, GATE, "--ignore", "overlapping-rules@up", "--strict").exit_code == 0


def test_an_ignore_that_matches_nothing_fails(here: Path) -> None:
    done = check(here, WARNED, "--ignore", "overlapping-rules@up", "--ignore", "rewrite-drops-parameter@up")
    assert done.exit_code == 1
    assert "overlapping-rules@up matches nothing." in done.output
    unknown = check(here, WARNED, "--ignore", "no-such-code@up")
    assert unknown.exit_code == 2
    assert "--ignore 'no-such-code' is no code of a finding" in unknown.output


def test_warnings_fail_where_they_are_to(here: Path) -> None:
    done = check(here, WARNED)
    assert done.exit_code == 0
    assert done.output.endswith("gate:app: 1 warning; with --strict, warnings fail too.\n")
    strict = check(here, WARNED, "--strict")
    assert strict.exit_code == 1
    assert strict.output.endswith("gate:app: 1 warning.\n")


def test_json_for_programs(here: Path) -> None:
    done = check(here, GATE + WARNED.splitlines()[-1], "--json", "--ignore", "rewrite-drops-parameter@up")
    assert done.exit_code == 1
    document = json.loads(done.output)
    first, second = document["findings"]
    assert (document["app"], document["ok"]) == ("gate:app", False)
    assert {name: first[name] for name in ("code", "severity", "place", "service", "ignored")} == {
        "code": "overlapping-rules",
        "severity": "error",
        "place": "GET /api/admin/report",
        "service": "up",
        "ignored": False,
    }
    assert first["examples"][0] == {"request": "GET /api/admin/report/", "condition": "if it ignores a final slash"}
    assert (second["code"], second["ignored"]) == ("rewrite-drops-parameter", True)


def test_what_does_not_compile_is_json_too(here: Path) -> None:
    source = GATE.replace(', allow=role("admin")', "")
    document = json.loads(check(here, source, "--json").output)
    assert [(one["code"], one["place"]) for one in document["findings"]] == [("declaration", "GET /api/admin/report")]
    text = check(here, source)
    assert text.exit_code == 1
    assert "  - GET /api/admin/report: says nothing about who may call" in text.output


def test_types_are_told_beside_what_does_not_compile(here: Path) -> None:
    source = GATE.replace(', allow=role("admin")', "") + '@app.get("/x", response_model="Gone")\ndef x(): ...\n'
    done = check(here, source)
    assert done.exit_code == 1
    assert "unresolved-model" in done.output
    assert "says nothing about who may call" in done.output


def test_code_of_the_users_own_that_raises_is_one_line(here: Path) -> None:
    source = (
        GATE
        + "import limen\nclass Odd(Gateway):\n  def compile(self): raise RuntimeError('out of luck')\napp = Odd()\n"
    )
    done = check(here, source)
    assert done.exit_code == 1
    assert "gate:app cannot be checked: RuntimeError: out of luck" in done.output
