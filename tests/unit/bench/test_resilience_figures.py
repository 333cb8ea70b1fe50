"""The computations of ``bench.resilience``: what an answer means, the figures of a run, the tables and the verdicts."""

import json
import sys
from dataclasses import replace
from math import inf
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent.parent.parent))

from bench.resilience import configs  # bench is no package of ours: it is found from the root
from bench.resilience.figures import Figures, Run, balance, figures
from bench.resilience.gateways import RESILIENCE_GATEWAYS
from bench.resilience.load import LOST, OK, WRONG, Sent, content, result_of, schedule
from bench.resilience.report import MEASURES, Cell, Results, verdict
from bench.resilience.scenarios import SCENARIOS
from bench.resilience.service import Condition, Journal, Received, body, read_journal

_LIMEN, _ENVOY = (next(one for one in RESILIENCE_GATEWAYS if one.name == name) for name in ("Limen", "Envoy"))
_POST = content(7, "POST")


def _answer(received: bytes, *, status: str = "200 OK", length: int | None = None) -> bytes:
    size = len(received) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Length: {size}\r\nconnection: close\r\n\r\n".encode() + received


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (_answer(body(7, "POST", "b", _POST)), OK),
        (_answer(body(8, "POST", "b", _POST)), WRONG),
        (_answer(body(7, "GET", "b", _POST)), WRONG),
        (_answer(body(7, "POST", "b", content(8, "POST"))), WRONG),
        (_answer(b""), WRONG),
        (_answer(b"no", status="503 Service Unavailable"), "503"),
        (_answer(body(7, "POST", "b", _POST), length=1000), LOST),
        (b"HTTP/1.1 200 OK\r\ncontent-le", LOST),
        (b"", LOST),
    ],
)
def test_what_an_answer_means(answer: bytes, result: str) -> None:
    assert result_of(answer, 7, "POST", _POST) == result


def test_requests_are_due_at_both_rates() -> None:
    due = list(schedule(2.0, 3.0, 1.0))
    assert [at for at, _ in due] == sorted(at for at, _ in due)
    assert [method for _, method in due].count("GET") == 6
    assert [at for at, method in due if method == "POST"] == [0.5, 1.5]


def test_a_journal_outlives_its_process(tmp_path: Path) -> None:
    conditions: tuple[Condition, ...] = ("well", "unavailable")
    for condition in conditions:
        Journal(tmp_path / "a").write("GET", 5, condition)
    found = read_journal(tmp_path / "a", "a")
    assert [(one.target, one.method, one.number, one.condition) for one in found] == [
        ("a", "GET", 5, "well"),
        ("a", "GET", 5, "unavailable"),
    ]


def _sent(number: int, method: str, due: float, seconds: float = 0.01, result: str = OK) -> Sent:
    return Sent(number, method, due, seconds, result)


def _run(sent: list[Sent], received: list[Received], **changed: object) -> Run:
    run = Run(sent, received, ("a", "b", "c"), ("a",), began=100.0, healed=120.0)
    return replace(run, **changed)


def test_the_figures_of_a_run() -> None:
    sent = [
        _sent(1, "GET", 99.0),
        _sent(2, "GET", 101.0, 0.2, "503"),
        _sent(3, "GET", 102.0, 1.5),
        _sent(4, "POST", 102.0, result="502"),
        _sent(5, "POST", 104.0, result="502"),
        _sent(6, "POST", 121.0, result=WRONG),
    ]
    received = [
        Received(101.0, "a", "GET", 2, "unavailable"),
        Received(102.0, "a", "POST", 4, "unavailable"),
        Received(102.1, "b", "POST", 4, "well"),
        Received(103.0, "b", "GET", 3, "well"),
        Received(103.1, "c", "GET", 3, "well"),
        Received(119.0, "b", "GET", 1, "unavailable"),
        Received(121.0, "a", "GET", 1, "unavailable"),
    ]
    found = figures(_run(sent, received), grace=3.0)
    assert (found.reads, found.reads_failed, found.over_100ms, found.over_250ms, found.over_1s) == (3, 1, 2, 1, 1)
    assert found.slowest_ms == 1500
    assert (found.writes, found.writes_failed, found.writes_failed_late, found.writes_repeated) == (3, 3, 1, 1)
    assert (found.wrong, found.wasted, found.attempts) == (1, 2, None)
    assert found.failures == {"503": 1, "502": 2, "wrong": 1}


def test_attempts_are_counted_while_all_targets_are_bad() -> None:
    sent = [_sent(1, "GET", 99.0), _sent(2, "GET", 101.0, result="503"), _sent(3, "POST", 102.0, result="503")]
    received = [Received(101.0, target, "GET", number, "unavailable") for target in "abc" for number in (1, 2)]
    outage = _run(sent, received, bad=("a", "b", "c"), healed=None)
    assert figures(outage, 3.0).attempts == 1.5
    assert figures(replace(outage, refused=7.0), 3.0).attempts == 3.5
    assert figures(outage, 3.0).balance is None


@pytest.mark.parametrize(("back_after", "found"), [(0.0, 0.0), (4.0, 3.5), (100.0, inf)])
def test_balance_is_when_the_target_has_its_share(back_after: float, found: float) -> None:
    received = [
        Received(120.0 + tick / 20, target, "GET", tick, "well")
        for tick in range(600)
        for target in ("a", "b", "c")
        if target != "a" or tick / 20 >= back_after
    ]
    assert balance(_run([_sent(1, "GET", 150.0)], received), 120.0) == found


def test_a_share_for_a_moment_is_no_balance() -> None:
    received = [
        Received(120.0 + tick / 20, target, "GET", tick, "well")
        for tick in range(600)
        for target in ("a", "b", "c")
        if target != "a" or 2 <= tick / 20 < 6
    ]
    assert balance(_run([_sent(1, "GET", 150.0)], received), 120.0) == inf


_GOOD = Figures(
    reads=100,
    reads_failed=0,
    over_100ms=0,
    over_250ms=0,
    over_1s=0,
    slowest_ms=12.5,
    writes=10,
    writes_failed=0,
    writes_failed_late=0,
    writes_repeated=0,
    wrong=0,
    wasted=4,
    attempts=1.15,
    balance=8.0,
    failures={},
)


def _results(limen: Figures, envoy: Figures | None = None) -> Results:
    cells = [Cell(scenario.name, "Limen", [limen]) for scenario in SCENARIOS]
    cells += [
        Cell(one.name, "Envoy", [envoy] if envoy else [], None if envoy else "not installed") for one in SCENARIOS
    ]
    return Results({"command": "python -m bench.resilience"}, [_LIMEN, _ENVOY], cells)


def test_what_is_missing_is_said_and_only_limen_is_judged() -> None:
    results = _results(_GOOD)
    assert results.missed() == []
    head, *rows = results.table()
    assert head == ["measure", "must", "aim", "Limen", "Envoy"]
    assert len(rows) == len(MEASURES)
    assert {row[-1] for row in rows} == {"not installed"}
    assert rows[0] == ["one of three frozen: reads failed", "0", "0", "0 (aim)", "not installed"]
    assert "Limen reaches every must." in results.markdown()
    assert "- `frozen`: one of three frozen (SIGSTOP), after 5 s for 20 s, and 5 s more\n" in results.markdown()
    assert "- `outage`: all three answer 503, after 5 s for 15 s, to the end\n" in results.markdown()
    bad = replace(_GOOD, reads_failed=9, attempts=3.0)
    assert _results(_GOOD, bad).missed() == []


@pytest.mark.parametrize(
    ("changed", "missed"),
    [
        ({"reads_failed": 1}, 3),
        ({"over_250ms": 1, "over_100ms": 1}, 1),
        ({"over_100ms": 1, "wasted": 11}, 0),
        ({"writes_repeated": 1}, 1),
        ({"writes_failed_late": 1}, 1),
        ({"attempts": 1.21}, 2),
        ({"attempts": None}, 2),
        ({"balance": inf}, 1),
        ({"wrong": 1}, 1),
    ],
)
def test_a_must_is_missed(changed: dict[str, object], missed: int) -> None:
    assert len(_results(replace(_GOOD, **changed)).missed()) == missed


def test_verdicts() -> None:
    frozen, over_100ms = MEASURES[0], MEASURES[2]
    assert [verdict(frozen, value) for value in (0, 1, "not installed")] == ["aim", "MISSED", "MISSED"]
    assert [verdict(over_100ms, value) for value in (0, 1)] == ["aim", "no aim"]
    assert verdict(MEASURES[3], 100) == ""


def test_the_worst_round_counts_and_the_file_has_all(tmp_path: Path) -> None:
    results = _results(_GOOD)
    results.cells[0].rounds.append(replace(_GOOD, reads_failed=2, failures={"504": 2}))
    results.write(tmp_path)
    page = (tmp_path / "results.md").read_text()
    assert page == results.markdown()
    assert "| one of three frozen: reads failed | 0 | 0 | 2 **MISSED** | not installed |" in page
    assert "| frozen | Limen | 100 | 2 | 0 | 0 | 0 | 12 | 10 | 0 | 0 | 0 | 4 | 2 x 504 |" in page
    cells = json.loads((tmp_path / "results.json").read_text())["cells"]
    assert [one["reads_failed"] for one in cells[0]["rounds"]] == [0, 2]
    assert replace(SCENARIOS[0], before=1.0).times(0.5).before == 0.5


def test_the_anchors_configurations() -> None:
    tuned = json.loads(configs.envoy_tuned(1, [2, 3, 4]))["static_resources"]
    assert tuned["clusters"][0]["outlier_detection"]["max_ejection_percent"] == 50
    manager = tuned["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    routes = manager["route_config"]["virtual_hosts"][0]["routes"]
    assert [("headers" in one["match"], "retry_policy" in one["route"]) for one in routes] == [
        (True, True),
        (False, False),
    ]
    assert json.loads(configs.envoy(1, [2]))["static_resources"]["clusters"][0]["outlier_detection"] == {}
    assert configs.haproxy(1, [2, 3, 4]).count(" check") == 3
