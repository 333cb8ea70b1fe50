"""The plan of ``bench.resilience.chaos``, and what it judges."""

import sys
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent.parent.parent.parent))

from bench.resilience.chaos import Chaos, Result, draw_methods  # bench is no package of ours: it is found from the root
from bench.resilience.chaos_plan import FAULTS, PlannedFault, plan_faults
from bench.resilience.fleet import NAMES
from bench.resilience.load import LOST, OK, WRONG, Sent
from bench.resilience.service import Received

_RATE = 200.0


def _well_since(faults: list[PlannedFault], target: str, at: int) -> float:
    """Return for how many requests before ``at`` the target has been well, -1 if it is bad then."""
    own = [fault for fault in faults if fault.target == target and fault.begin <= at]
    if any(at < fault.end for fault in own):
        return -1
    return at - max((fault.end for fault in own), default=-(1 << 30))


@given(st.integers(0, 2**32), st.sampled_from([0.5, 5.0, 12.0]))
def test_one_target_is_always_well_and_known_to_be(seed: int, settled: float) -> None:
    faults = plan_faults(Random(seed), 12_000, _RATE, settled)
    assert [fault.begin for fault in faults] == sorted(fault.begin for fault in faults)
    for at in {time for fault in faults for time in (fault.begin, fault.end - 1, fault.end)}:
        assert max(_well_since(faults, name, at) for name in NAMES) >= settled * _RATE
    for name in NAMES:
        own = [fault for fault in faults if fault.target == name]
        assert all(one.end < after.begin for one, after in pairwise(own))
    assert all(0 < fault.begin < fault.end < 12_000 for fault in faults)


def test_every_fault_occurs_and_a_seed_is_a_plan() -> None:
    faults = plan_faults(Random(7), 12_000, _RATE, 12.0)
    assert faults == plan_faults(Random(7), 12_000, _RATE, 12.0)
    assert {fault.fault for fault in faults[: len(FAULTS)]} == set(FAULTS)
    assert {fault.target for fault in faults} == set(NAMES)
    overlapping = [1 for one, after in pairwise(faults) if after.begin < one.end]
    assert 0 < len(overlapping) < len(faults) / 2


def test_so_many_idempotent_requests_are_drawn() -> None:
    methods = draw_methods(Random(1), 500)
    assert methods == draw_methods(Random(1), 500)
    assert sum(method != "POST" for method in methods) == 500
    assert {"GET", "PUT", "POST"} == set(methods)


def _result(*sent: Sent, most_failed: float = 0.0, received: int = 1) -> Result:
    """Return the result of these requests, each of which has reached a target ``received`` times."""
    result = Result(Chaos(len(sent), 1, most_failed=most_failed), [], list(sent))
    result.received = [Received(0.0, "a", one.method, one.number, "well") for one in sent for _ in range(received)]
    return result


def _sent(number: int, method: str = "GET", result: str = OK) -> Sent:
    return Sent(number, method, 0.0, 0.01, result)


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (_result(_sent(1), _sent(2, "POST")), []),
        (_result(_sent(1), received=2), []),
        (_result(_sent(1, "POST"), received=2), ["repeated: 1 POSTs have reached the targets more than once"]),
        (_result(_sent(1), received=0), ["1 requests wrong, such as GET 1: ok"]),
        (_result(_sent(1, "POST", "502"), received=0), []),
        (_result(_sent(3, "POST", WRONG)), ["1 requests wrong, such as POST 3: wrong"]),
        (_result(_sent(3, "POST", LOST)), ["1 requests lost, such as POST 3: lost"]),
        (
            _result(_sent(3, "PUT", "503"), _sent(4)),
            ["1 requests failed, of 2 idempotent ones (0 allowed), such as PUT 3: 503"],
        ),
        (_result(_sent(3, "PUT", "503"), _sent(4), most_failed=0.5), []),
    ],
)
def test_the_judgement(result: Result, said: list[str]) -> None:
    result.judge(len(result.sent))
    assert result.problems == said
    assert (said or ["nothing lost, wrong or repeated"])[0] in result.as_text()


def test_what_does_not_end() -> None:
    result = _result(_sent(1))
    result.exit_status, result.log = -9, "Traceback"
    result.judge(3)
    assert result.problems == [
        "ended: 2 of 3 requests have no end",
        "ended: the gateway has ended with status -9, and said: Traceback",
    ]
