"""The computations of ``bench.attacks``: percentiles that include failures, verdicts, the table, and the planned rows."""

import json
import sys
from dataclasses import replace
from math import inf
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent.parent.parent))

from bench.attacks.__main__ import parse_options, plan_rows  # bench is no package of ours: it is found from the root
from bench.attacks.report import (
    MIB,
    Round,
    Row,
    Waits,
    cells,
    failed_rows,
    markdown,
    nginx_row,
    round_of,
    write_results,
)

_GOOD = Round(
    alone=2.0,
    p50=1.0,
    p99=5.0,
    worst=7.0,
    requests=500,
    failed={},
    memory=3.0,
    cpu=0.9,
    done={"connected": 100, "sent": 2 * MIB},
)


def row(*rounds: Round, gateway: str = "limen", attack: str = "deep") -> Row:
    return Row(attack, f"title of {attack}", 100, gateway, gateway == "limen", list(rounds))


@pytest.mark.parametrize(
    ("share", "wait"),
    [(0.5, 50.0), (0.99, 99.0), (0.991, 100.0), (1.0, 100.0), (0.0, 1.0)],
)
def test_percentiles(share: float, wait: float) -> None:
    assert Waits(tuple(float(number) for number in range(1, 101))).percentile(share) == wait


def test_the_latency_of_a_failed_request_is_infinite() -> None:
    times = tuple(float(number) for number in range(1, 100))
    row_ = Waits(times, {"503": 1})
    assert row_.requests == 100
    assert row_.percentile(0.99) == 99.0
    assert row_.percentile(1.0) == inf
    assert Waits(times[:-1], {"503": 1, "TimeoutError": 1}).percentile(0.99) == inf
    assert Waits((), {"503": 3}).percentile(0.5) == inf


def test_a_round_summarizes_the_measurements() -> None:
    result = round_of(Waits((1.0, 2.0)), Waits((3.0, 4.0, 5.0), {"503": 1}), 6.0, 0.5, {"connected": 1})
    assert (result.alone, result.p50, result.p99, result.worst) == (2.0, 4.0, inf, inf)
    assert (result.requests, result.failed, result.memory, result.cpu) == (4, {"503": 1}, 6.0, 0.5)


@pytest.mark.parametrize(
    ("changed", "verdict"),
    [
        ({}, "must"),
        ({"p99": 50.0, "memory": 64.0}, "must"),
        ({"p99": 50.1}, "MISSED"),
        ({"p99": inf}, "MISSED"),
        ({"memory": 64.1}, "MISSED"),
        ({"p99": 60.0, "alone": 25.1}, "DISTURBED"),
        ({"p99": 60.0, "alone": 25.1, "memory": 64.1}, "MISSED"),
        ({"p99": 40.0, "alone": 25.1}, "must"),
        ({"done": {"connected": 99}}, "TOO FEW CONNECTED"),
        ({"done": {}}, "TOO FEW CONNECTED"),
    ],
)
def test_the_verdict(changed: dict[str, float], verdict: str) -> None:
    result = row(replace(_GOOD, **changed))
    assert result.verdict() == verdict
    assert failed_rows([result]) == ([] if verdict == "must" else [result])


def test_the_median_round_counts_for_latency_and_the_worst_for_memory() -> None:
    slow, large = replace(_GOOD, p99=90.0), replace(_GOOD, memory=90.0)
    assert row(_GOOD, slow, _GOOD).verdict() == "must"
    assert row(_GOOD, slow, slow).verdict() == "MISSED"
    assert row(_GOOD, large, _GOOD).verdict() == "MISSED"


def test_a_row_without_figures_fails() -> None:
    broken = row()
    broken.problem = "a traceback\nand | its end"
    assert broken.verdict() == "NOT MEASURED"
    assert failed_rows([row(), broken]) == [row(), broken]
    assert cells(broken, None)[-2:] == ("NOT MEASURED", "and / its end")


@pytest.mark.parametrize(("p99", "verdict"), [(5.0, "aim"), (6.0, "aim"), (6.1, "must"), (51.0, "MISSED")])
def test_the_aim_is_nginxs_figure_for_the_same_attack(p99: float, verdict: str) -> None:
    nginx, other = row(_GOOD, gateway="nginx"), row(replace(_GOOD, p99=1.0), gateway="nginx", attack="churn")
    limen_row = row(replace(_GOOD, p99=p99))
    assert nginx_row([limen_row, other, nginx], limen_row) is nginx
    assert limen_row.verdict(nginx) == verdict


def test_an_anchor_is_not_judged() -> None:
    slow = row(replace(_GOOD, p99=inf), gateway="nginx")
    assert failed_rows([slow]) == []
    assert cells(slow, slow)[-2] == ""


def test_the_page_and_the_file_have_the_same_results(tmp_path: Path) -> None:
    failing = replace(
        _GOOD, p99=inf, worst=inf, failed={"503": 7}, done={"connected": 100, "connections": 1234, "422": 9}
    )
    write_results({"command": "python -m bench.attacks"}, [row(_GOOD), row(failing, attack="churn")], tmp_path)
    page = (tmp_path / "results.md").read_text()
    assert page == markdown({"command": "python -m bench.attacks"}, [row(_GOOD), row(failing, attack="churn")])
    assert "| command | python -m bench.attacks |" in page
    assert "**1 of 2 reach the must.**" in page
    assert (
        "| title of deep | 100 | limen | 2.0 | 5.0 | 7.0 | 0 | 3 | 0.90 | must | 0 connections, 2.0 MiB sent |" in page
    )
    summary = "1,234 connections, 0.0 MiB sent, 9 x 422, others: 7 x 503"
    assert f"| title of churn | 100 | limen | 2.0 | never | never | 7 of 500 | 3 | 0.90 | MISSED | {summary} |" in page
    table = [text for text in page.splitlines() if text.count("|") > 5]
    assert len({text.count("|") for text in table}) == 1
    result = json.loads((tmp_path / "results.json").read_text())
    assert [row_["rounds"][0]["p99"] for row_ in result["rows"]] == [5.0, None]


def test_anchors_are_planned_only_for_attacks_that_list_them() -> None:
    argv = ["--only", "deep", "--only", "tokens", "--only", "churn", "--anchors"]
    rows = [
        (row_.attack, row_.count, row_.gateway) for row_, _ in plan_rows(parse_options([*argv, "--connections", "7"]))
    ]
    assert rows == [
        ("deep", 7, "limen"),
        ("tokens", 7, "limen"),
        ("tokens", 7, "Envoy"),
        ("churn", 7, "limen"),
        ("churn", 7, "nginx"),
        ("churn", 7, "Envoy"),
    ]
    assert [row_.count for row_, _ in plan_rows(parse_options(["--only", "deep"]))] == [1, 100]
