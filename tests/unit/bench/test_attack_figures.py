"""What ``bench.attacks`` computes: percentiles in which failures count, verdicts, the table, and what is to be measured."""

import json
import sys
from dataclasses import replace
from math import inf
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent.parent.parent))

from bench.attacks.__main__ import parsed, planned  # bench is no package of ours: it is found from the root
from bench.attacks.report import MIB, Round, Row, Waits, beside, judged, line, markdown, missed, write

_GOOD = Round(
    alone=2.0,
    p50=1.0,
    p99=5.0,
    worst=7.0,
    requests=500,
    failed={},
    memory=3.0,
    cpu=0.9,
    done={"came": 100, "sent": 2 * MIB},
)


def row(*rounds: Round, gateway: str = "limen", attack: str = "deep") -> Row:
    return Row(attack, f"title of {attack}", 100, gateway, gateway == "limen", list(rounds))


@pytest.mark.parametrize(
    ("share", "wait"),
    [(0.5, 50.0), (0.99, 99.0), (0.991, 100.0), (1.0, 100.0), (0.0, 1.0)],
)
def test_a_percentile_is_the_wait_that_so_many_did_not_exceed(share: float, wait: float) -> None:
    assert Waits(tuple(float(number) for number in range(1, 101))).percentile(share) == wait


def test_a_request_that_failed_has_waited_for_ever() -> None:
    times = tuple(float(number) for number in range(1, 100))
    one = Waits(times, {"503": 1})
    assert one.requests == 100
    assert one.percentile(0.99) == 99.0
    assert one.percentile(1.0) == inf
    assert Waits(times[:-1], {"503": 1, "TimeoutError": 1}).percentile(0.99) == inf
    assert Waits((), {"503": 3}).percentile(0.5) == inf


def test_a_round_is_made_of_what_was_measured() -> None:
    found = judged(Waits((1.0, 2.0)), Waits((3.0, 4.0, 5.0), {"503": 1}), 6.0, 0.5, {"came": 1})
    assert (found.alone, found.p50, found.p99, found.worst) == (2.0, 4.0, inf, inf)
    assert (found.requests, found.failed, found.memory, found.cpu) == (4, {"503": 1}, 6.0, 0.5)


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
        ({"done": {"came": 99}}, "TOO FEW CAME"),
        ({"done": {}}, "TOO FEW CAME"),
    ],
)
def test_the_verdict(changed: dict[str, float], verdict: str) -> None:
    found = row(replace(_GOOD, **changed))
    assert found.verdict() == verdict
    assert missed([found]) == ([] if verdict == "must" else [found])


def test_the_middle_round_counts_for_waits_and_the_worst_for_memory() -> None:
    slow, large = replace(_GOOD, p99=90.0), replace(_GOOD, memory=90.0)
    assert row(_GOOD, slow, _GOOD).verdict() == "must"
    assert row(_GOOD, slow, slow).verdict() == "MISSED"
    assert row(_GOOD, large, _GOOD).verdict() == "MISSED"


def test_what_was_not_measured_is_not_well() -> None:
    broken = row()
    broken.problem = "a traceback\nand | its end"
    assert broken.verdict() == "NOT MEASURED"
    assert missed([row(), broken]) == [row(), broken]
    assert line(broken, None)[-2:] == ("NOT MEASURED", "and / its end")


@pytest.mark.parametrize(("p99", "verdict"), [(5.0, "aim"), (6.0, "aim"), (6.1, "must"), (51.0, "MISSED")])
def test_the_aim_is_what_nginx_does_under_the_same_attack(p99: float, verdict: str) -> None:
    nginx, other = row(_GOOD, gateway="nginx"), row(replace(_GOOD, p99=1.0), gateway="nginx", attack="churn")
    mine = row(replace(_GOOD, p99=p99))
    assert beside([mine, other, nginx], mine) is nginx
    assert mine.verdict(nginx) == verdict


def test_an_anchor_is_not_judged() -> None:
    slow = row(replace(_GOOD, p99=inf), gateway="nginx")
    assert missed([slow]) == []
    assert line(slow, slow)[-2] == ""


def test_the_page_and_the_file_tell_the_same(tmp_path: Path) -> None:
    failing = replace(_GOOD, p99=inf, worst=inf, failed={"503": 7}, done={"came": 100, "connections": 1234, "422": 9})
    write({"command": "python -m bench.attacks"}, [row(_GOOD), row(failing, attack="churn")], tmp_path)
    page = (tmp_path / "results.md").read_text()
    assert page == markdown({"command": "python -m bench.attacks"}, [row(_GOOD), row(failing, attack="churn")])
    assert "| command | python -m bench.attacks |" in page
    assert "**1 of 2 reach the must.**" in page
    assert (
        "| title of deep | 100 | limen | 2.0 | 5.0 | 7.0 | 0 | 3 | 0.90 | must | 0 connections, 2.0 MiB sent |" in page
    )
    told = "1,234 connections, 0.0 MiB sent, 9 x 422, others: 7 x 503"
    assert f"| title of churn | 100 | limen | 2.0 | never | never | 7 of 500 | 3 | 0.90 | MISSED | {told} |" in page
    table = [text for text in page.splitlines() if text.count("|") > 5]
    assert len({text.count("|") for text in table}) == 1
    found = json.loads((tmp_path / "results.json").read_text())
    assert [one["rounds"][0]["p99"] for one in found["rows"]] == [5.0, None]


def test_anchors_take_part_where_the_attack_exists_for_them() -> None:
    wanted = ["--only", "deep", "--only", "tokens", "--only", "churn", "--anchors"]
    rows = [(one.attack, one.count, one.gateway) for one, _ in planned(parsed([*wanted, "--connections", "7"]))]
    assert rows == [
        ("deep", 7, "limen"),
        ("tokens", 7, "limen"),
        ("tokens", 7, "Envoy"),
        ("churn", 7, "limen"),
        ("churn", 7, "nginx"),
        ("churn", 7, "Envoy"),
    ]
    assert [one.count for one, _ in planned(parsed(["--only", "deep"]))] == [1, 100]
