"""docs/targets.md, health.md and retries.md: their examples run and fit the types, and what they say is what the code does.

Numbers in their tables are written from the code (``test_tables``); those within sentences are compared here.
"""

import json
import os
import re
import subprocess
import sys
from dataclasses import fields
from math import ceil
from pathlib import Path
from random import Random

import pytest

from doc_tables.bounds import constant
from limen import Ejection, Health, Hedge, LeastRequests, Retry, Sticky, Upstream
from limen.cli.heartbeat import BEAT_INTERVAL
from limen.runtime.checked_targets import CheckedTargets
from limen.runtime.readiness import Readiness
from limen.upstream import balance
from limen.upstream.health_check import _HEADERS  # pyright: ignore[reportPrivateUsage]
from limen.upstream.live import LiveUpstream
from limen.upstream.live_target import LiveTarget
from limen.upstream.retry import IDEMPOTENT, MOST_ATTEMPTS
from limen.upstream.snapshot import TargetSnapshot, UpstreamSnapshot
from limen.upstream.target_health import STATES

ROOT = Path(__file__).parents[2]
TARGETS, HEALTH, RETRIES = ((ROOT / "docs" / f"{name}.md").read_text() for name in ("targets", "health", "retries"))
BLOCK = re.compile(r"^```python\n# (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FIXTURE = 'import pytest\n\n\n@pytest.fixture\ndef anyio_backend() -> str:\n    return "asyncio"\n'
TWO = ["http://orders-1:8000", "http://orders-2:8000"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the blocks of all three pages as files."""
    made = tmp_path_factory.mktemp("pages")
    (made / "conftest.py").write_text(FIXTURE)
    for page in (TARGETS, HEALTH, RETRIES):
        assert page.count("```python") == len(BLOCK.findall(page)), "a block without a name is not run"
        for name, code in BLOCK.findall(page):
            assert not (made / name).exists(), name
            (made / name).write_text(code)
    return made


def run(folder: Path, *command: str) -> str:
    """Run a module of this environment in ``folder``, where no setting of ours is, and return what it says."""
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stderr == ""
    return done.stdout


def test_the_examples_pass(folder: Path) -> None:
    said = run(folder, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "--timeout", "60")
    assert re.search(r"^1\d passed in", said, re.MULTILINE), said


@pytest.mark.parametrize("name", ["names.py"])
def test_a_declaration_is_accepted(folder: Path, name: str) -> None:
    assert run(folder, name) == ""


def test_the_examples_fit_the_types(folder: Path) -> None:
    setting = {"typeCheckingMode": "strict", "extraPaths": [str(ROOT / "src")]}
    (folder / "pyrightconfig.json").write_text(json.dumps(setting))
    said = run(folder, "-m", "basedpyright", "--pythonpath", sys.executable, "--outputjson")
    assert json.loads(said)["generalDiagnostics"] == []


# --- targets.md ---


def test_what_is_on_is_what_an_upstream_has() -> None:
    orders = Upstream("orders", TWO)
    shown = re.findall(r"\| `(\w+)=(\w+)\(\)` \|", TARGETS)
    assert {name for name, _ in shown} == {"balance", "ejection", "retry", "hedge"}
    for name, kind in shown:
        assert (
            getattr(orders, name)
            == {"LeastRequests": LeastRequests, "Ejection": Ejection, "Retry": Retry, "Hedge": Hedge}[kind]()
        ), name
    assert f"`{Sticky().cookie}` unless" in TARGETS
    assert f"resolve_every={orders.resolve_every:g})" in TARGETS


def test_every_balance_and_every_key_is_named() -> None:
    rows = re.findall(r"^\| `(\w+)\([^|]*\| ", TARGETS, re.MULTILINE)
    kinds = {kind.__name__ for kind in balance.Balance.__args__}
    assert kinds <= set(rows)
    for key in ("client_address", "caller", "header", "cookie"):
        assert callable(getattr(balance, key))
        assert re.search(rf"^\| `{key}\b", TARGETS, re.MULTILINE), key


# --- health.md ---


def failing() -> tuple[LiveUpstream, LiveTarget]:
    """Return an upstream of two targets, and the one that fails."""
    live = LiveUpstream(Upstream("orders", TWO), clock=lambda: 0.0, random=Random(0))
    return live, live.targets[0]


def test_reasons_are_those_of_the_machine() -> None:
    rules = Ejection()
    live, target = failing()
    for _ in range(rules.faults):
        live.answered(target, 503, 0.0)
        live.answered(live.targets[1], 503, 0.0)
    assert f"`{target.health.reason}`" in HEALTH, target.health.reason
    assert f"`upstream orders: target http://orders-3:8000 is out: {target.health.reason}`" in HEALTH
    kept = live.targets[1].health.reason
    assert f"`{kept.partition(': ')[0]}: ...`" in HEALTH, kept
    target.health.probe()
    assert f"`{target.health.reason.partition(',')[0]}, ...`" in HEALTH, target.health.reason

    live, target = failing()
    for _ in range(rules.errors):
        live.answered(target, 500, 0.0)
    assert f"`{target.health.reason}`" in HEALTH, target.health.reason

    live, target = failing()
    for number in range(rules.overtaken):
        live.overtaken(target, 0.104, number + 1.0)
    assert target.health.reason
    assert f"`{target.health.reason}`" in HEALTH, target.health.reason

    live, target = failing()
    for number in range(rules.volume + 2):
        live.answered(target, 200 if number % 2 else 503, 0.0)
    assert f"`{target.health.reason}`" in HEALTH, target.health.reason


def test_the_bound_follows_the_size_of_the_fleet() -> None:
    told = re.search(r"one of two or three, two of four, three of five", HEALTH)
    assert told is not None
    assert [ceil(Ejection().most * targets) for targets in (2, 3, 4, 5)] == [1, 2, 2, 3]


def test_states_and_what_is_shown_of_a_target() -> None:
    _, _, shown = HEALTH.partition("## What the gateway knows")
    rows = re.findall(r"^\| (`.*?`) \|", shown, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", " ".join(rows))) == {field.name for field in fields(TargetSnapshot)}
    assert "`panic`" in shown
    assert "panic" in {field.name for field in fields(UpstreamSnapshot)}
    assert all(f"`{state}`" in shown for state in STATES)
    assert "from a tenth to its own" in HEALTH
    assert constant("upstream.target_health._LEAST_SHARE") == 0.1


def test_numbers_and_words_of_checks_and_of_what_workers_share() -> None:
    _, _, checks = HEALTH.partition("## Active checks")
    assert f"`User-Agent: {dict(_HEADERS)[b'user-agent'].decode()}`" in checks
    silence = constant("cli.supervisor._SILENT_BEATS")
    assert isinstance(silence, int)
    assert f"not heard for {silence * BEAT_INTERVAL:g} seconds" in checks
    assert Ejection().seconds == 2  # "within about two seconds"
    live = LiveUpstream(Upstream("orders", [*TWO, "http://orders-3:8000"], health=Health("/readyz")))
    readiness = Readiness()
    CheckedTargets(readiness).require({"orders": live})
    for target in live.targets[1:]:
        live.checked(target, "")
    assert f"`{readiness.reasons()[0]}`" in checks


# --- retries.md ---


def test_methods_and_statuses_are_those_that_are_repeated() -> None:
    told = re.search(r"¹ ([A-Z, ]+) \(RFC 9110", RETRIES)
    assert told is not None
    assert {name.encode() for name in told[1].split(", ")} == IDEMPOTENT
    first, second, third = Retry().statuses
    assert f"an answer of {first}, {second} or {third} (`Retry(statuses=)`)" in RETRIES
    assert f"{first}, {second}, {third}" in HEALTH
    assert f" {MOST_ATTEMPTS} attempts are the most." in RETRIES
    assert f"`{Upstream('orders', TWO).deadline_header}`" in RETRIES


# --- others that speak of them ---


def test_numbers_in_the_threat_model_and_the_decision() -> None:
    threats = (ROOT / "docs" / "threat-model.md").read_text()
    decision = (ROOT / "docs" / "decisions" / "0014-a-request-picks-its-target-first.md").read_text()
    ejection, retry, hedge, orders = Ejection(), Retry(), Hedge(), Upstream("orders", TWO)
    assert (ejection.most, retry.budget, hedge.factor) == (0.5, 0.2, 3.0)  # "half", "a fifth", "three times"
    assert f"for {ejection.longest:g} seconds at most" in threats
    assert f"of {constant('upstream.live_target.MOST_ROUTES'):,} of them at each target" in threats
    assert f"{constant('upstream.name_watch.MOST_ADDRESSES'):,} addresses of a name" in threats
    assert f"({ejection.seconds:g} s, {ejection.longest:g} s at most)" in decision
    assert f"no new request after {orders.limits.lifetime:g} s" in decision
    assert f"The name is looked up every\n   {orders.resolve_every:g} s" in decision
    assert f"at least {['no', 'one', 'two', 'three'][retry.least]})" in decision
    upgrading = (ROOT / "docs" / "upgrading.md").read_text()
    assert f"it serves no new request after {orders.limits.lifetime:g} s" in upgrading
