"""That README and docs/ tell the truth, where a machine can see it: tables against code, examples run, links followed."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import pytest

from limen import Gateway
from limen.cli.topology import Topology
from limen.errors import Kind
from shop_gateway.settings import Settings as GatewaySettings
from shop_orders.settings import Settings as OrdersSettings
from shop_suppliers.settings import Settings as SuppliersSettings
from shop_users.settings import Settings as UsersSettings

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
README = (ROOT / "README.md").read_text()
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
SECRET = "a-key-for-this-test-only-0123456789abcdef"


def rows(text: str, heading: str) -> list[list[str]]:
    """Return the cells of the first table below ``heading``, without its head; back-quotes are left out."""
    after = text.split(f"\n{heading}\n", 1)[1]
    lines = re.split(r"\n(?!\|)", after[after.index("\n|") + 1 :], maxsplit=1)[0].splitlines()
    return [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in lines[2:]]


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


def test_the_table_of_routes_is_that_of_the_gateway() -> None:
    env = os.environ | {"SECRET_KEY": SECRET}
    env |= {f"{name}_SERVICE_URL": f"http://{name.lower()}:8000" for name in ("USERS", "ORDERS", "SUPPLIERS")}
    argv = [sys.executable, "-m", "limen", "routes", "--json", "shop_gateway.app:app"]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=True, timeout=50)
    said = [tuple(row) for row in rows(README, "## The public routes")]
    real = {(method, info["path"]): info for info in json.loads(done.stdout) for method in info["methods"]}
    assert [(method, path) for method, path, *_ in said] == list(real)
    words = {
        "anyone": "anyone",
        "signed_in": "whoever is known",
        "role(admin)": "admin",
        "role(default, admin)": "any user",
        "role(default, admin) | scope(orders:read)": "any user, or orders:read",
        "role(default, admin) | scope(orders:write)": "any user, or orders:write",
        "role(default, admin) | scope(suppliers:write)": "any user, or suppliers:write",
        "owner(user_id) | role(admin)": "the user, or an admin",
    }
    for method, path, service, who in said:
        info = real[method, path]
        assert service == info["upstream"], path
        assert who.partition(";")[0] == words[info["allow"]], path


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


def test_a_fourth_service_fits_the_topology() -> None:
    (entry,) = blocks("toml")
    document = tomllib.loads((ROOT / "limen.toml").read_text())
    topology = Topology.model_validate(document | {"services": document["services"] | tomllib.loads(entry)["services"]})
    assert "reviews" in topology.services
    ports = [service.port for service in topology.services.values()]
    assert len(set(ports)) == len(ports)


def names(fields: Mapping[str, object]) -> set[str]:
    """Return the environment names of a settings model's fields."""
    return {name.upper() for name in fields}


@pytest.mark.parametrize("document", ["README.md", "docs/settings.md"])
def test_every_setting_is_documented_and_no_other(document: str) -> None:
    text = (ROOT / document).read_text()
    if document == "README.md":
        found = [(row[0], row[1]) for row in rows(text, "## Settings")]
    else:
        found = [("gateway", row[0]) for row in rows(text, "## Gateway")]
        found += [("services" if row[1] == "all" else row[1], row[0]) for row in rows(text, "## Services")]
    said: dict[str, set[str]] = {}
    for who, cell in found:
        said.setdefault(who, set()).update(cell.split(", "))
    common = names(OrdersSettings.model_fields)
    assert said == {
        "gateway": names(GatewaySettings.model_fields),
        "services": common,
        "users": names(UsersSettings.model_fields) - common,
    }
    assert names(SuppliersSettings.model_fields) == common


def test_defaults_of_the_gateway_are_those_documented() -> None:
    for row in rows((ROOT / "docs" / "settings.md").read_text(), "## Gateway"):
        field = GatewaySettings.model_fields[row[0].lower()]
        default = "none" if field.default is None else str(field.default)
        assert row[1] == ("none: required" if field.is_required() else default), row[0]


def test_every_fault_is_documented() -> None:
    said = rows((ROOT / "docs" / "architecture.md").read_text(), "## What can go wrong")
    real = [[kind.code, str(kind.status), kind.source, kind.stage, kind.value.detail] for kind in Kind]
    assert said == real


def test_decisions_are_numbered_without_a_gap() -> None:
    notes = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(note.name.partition("-")[0]) for note in notes] == list(range(1, len(notes) + 1))
    for note in notes:
        assert note.read_text().startswith(f"# {int(note.name.partition('-')[0])}. "), note.name


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_make_targets_that_are_named_exist(document: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", document.read_text(), re.MULTILINE))
    assert named <= targets
