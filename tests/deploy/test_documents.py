"""That README and docs/ tell the truth, where a machine can see it: examples run, links followed. Tables: ``test_tables``."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any
from xml.etree import ElementTree

import pytest

from limen import Gateway, policies
from limen.exchange.hooks import PHASES
from limen.exchange.policy import Environment
from limen.policies import Edits, Headers, Redirect, Respond

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("*/README.md"), *ROOT.glob("shop/*/README.md")]
)
README = (ROOT / "README.md").read_text()
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
BOTH = Edits(remove=["x-a"])
SECRET = "a-key-for-this-test-only-0123456789abcdef"


def blocks(language: str) -> list[str]:
    """Return the README's code blocks in ``language``, in order, without their indentation."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", README, re.MULTILINE | re.DOTALL)
    return ["\n".join(line.removeprefix(indent) for line in code.splitlines()) for indent, code in found]


def anchors(text: str) -> set[str]:
    """Return what a heading of ``text`` is called in a link, as GitHub makes it."""
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(document: Path) -> None:
    for target in LINK.findall(document.read_text()):
        if not target.startswith(("http://", "https://")):
            path, _, anchor = target.partition("#")
            file = document.parent / path if path else document
            assert file.exists(), target
            assert not anchor or anchor in anchors(file.read_text()), target


def test_the_picture_is_well_formed_and_described() -> None:
    picture = ElementTree.parse(ROOT / "docs" / "topology.svg").getroot()
    names = {element.tag.rpartition("}")[2] for element in picture.iter()}
    assert {"title", "desc"} <= names
    assert not {"script", "image", "foreignObject"} & names


def test_the_command_that_prints_the_routes_needs_what_it_says() -> None:
    typed = next(code for code in blocks("console") if "limen routes" in code)
    typed = typed.replace(".venv/bin/limen", shlex.join([sys.executable, "-m", "limen"]))
    env = {"PATH": os.environ["PATH"]}
    done = subprocess.run(["sh", "-c", typed], env=env, capture_output=True, text=True, check=True, timeout=50)
    assert "/api/login" in done.stdout


def test_the_example_of_the_library_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", SECRET)
    example = next(code for code in blocks("python") if "Gateway(" in code)
    space: dict[str, object] = {"__name__": "shop"}
    exec(compile(example, "README.md", "exec"), space)
    app = space["app"]
    assert isinstance(app, Gateway)
    assert [(info.methods[0], info.path, info.allow) for info in app.describe()] == [
        ("GET", "/api/suppliers", "anyone"),
        ("POST", "/api/suppliers", "signed_in"),
        ("GET", "/reports/{path:path}", "role(admin)"),
    ]
    assert "/api/suppliers" in app.openapi()["paths"]


def test_the_examples_of_the_document_run() -> None:
    page = (ROOT / "docs" / "openapi.md").read_text()
    space: dict[str, Any] = {"__name__": "shop"}
    for code in re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        exec(compile(code, "openapi.md", "exec"), space)
    document = space["app"].openapi()
    assert document["info"]["x-logo"] == {"url": "https://example.com/logo.png"}
    operation = document["paths"]["/reports/{path}"]["get"]
    assert operation["x-limen-allow"] == "role(analyst)"
    assert operation["description"].endswith("callers with the role `analyst`, with a bearer token.")


def test_the_examples_of_policies_run_and_their_table_is_the_codes() -> None:
    page = (ROOT / "docs" / "policies.md").read_text()
    first, second = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    space: dict[str, Any] = {"__name__": "shop"}
    exec(compile(first, "policies.md", "exec"), space)
    table = space["app"].active_config().table
    for path, hooks in ((b"/api/prices", (0, 1, 3)), (b"/old/a", (1, 0, 1)), (b"/robots.txt", (1, 0, 1))):
        found = table.match(b"GET", path).plan.hooks
        assert (len(found.arrive), len(found.request_head), len(found.answer_head)) == hooks
    exec(compile(second, "policies.md", "exec"), space)
    closed = space["Closed"](range(2, 4)).live(Environment(lambda: 3 * 3600.0, lambda: 0.0, Random(0)))
    assert closed.arrive(None).kind.status == 503
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\| (\d+) \| (yes|no) \|$", page, re.MULTILINE)
    made = {"Redirect": Redirect("/"), "Respond": Respond(200), "Headers": Headers(request=BOTH, answer=BOTH)}
    told = {
        kind: (
            [name.strip(" `") for name in hooks.split(",")],
            int(rank),
            adds == "yes",
        )
        for kind, hooks, rank, adds in rows
    }
    assert told == {kind: (_hooks(one), one.rank, one.adds) for kind, one in made.items()}
    assert set(told) == {name for name in policies.__all__ if hasattr(getattr(policies, name), "rank")}
    assert len({rank for _, rank, _ in told.values()}) == len(told)
    phases = re.findall(r"^\| (\d+) [a-z ]+ \|([^|]*)\|", page, re.MULTILINE)
    assert [int(number) for number, _ in phases] == list(range(16))
    assert re.findall(r"`(\w+)`", "".join(hooks for _, hooks in phases)) == list(PHASES)


def _hooks(declared: Any) -> list[str]:
    live = declared.live(Environment(lambda: 0.0, lambda: 0.0, Random(0)))
    return [phase for phase in PHASES if getattr(live, phase, None) is not None]


def test_decisions_are_numbered_without_a_gap() -> None:
    notes = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(note.name.partition("-")[0]) for note in notes] == list(range(1, len(notes) + 1))
    for note in notes:
        assert note.read_text().startswith(f"# {int(note.name.partition('-')[0])}. "), note.name


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_make_targets_that_are_named_exist(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", document.read_text(), re.MULTILINE))
    assert named <= targets
