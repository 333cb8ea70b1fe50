"""The 99th percentile that a route at a target has: against a sorted list, and what is forgotten when."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen.upstream.learned_latency import LearnedLatency

BUCKET = 2 ** (1 / 4)  # the next upper edge
SHORTEST, LONGEST = 0.0001, 100.0
LATENCIES = st.floats(0, 200, allow_nan=False)


def learned(seconds: list[float], samples: int, now: float = 100.0) -> LearnedLatency:
    latency = LearnedLatency(samples)
    for one in seconds:
        latency.add(one, now)
    return latency


def percentile(seconds: list[float]) -> float:
    """Return the value that one in a hundred is above."""
    return sorted(seconds)[-1 - len(seconds) // 100]


@given(st.lists(LATENCIES, min_size=1, max_size=400), st.integers(1, 60))
def test_p99_is_at_most_one_bucket_above_that_of_a_sorted_list(seconds: list[float], samples: int) -> None:
    latency = learned(seconds, samples)
    assert latency.count == len(seconds)
    if len(seconds) < samples:
        assert latency.p99 == 0.0
        return
    # It is calculated when there are enough, and then with each 128th answer.
    exact = percentile(seconds[: samples + (len(seconds) - samples) // 128 * 128])
    exact = min(max(exact, SHORTEST), LONGEST)
    assert exact * 0.999 <= latency.p99 <= exact * BUCKET * 1.001


def test_there_is_no_figure_before_there_are_enough_answers() -> None:
    latency = learned([0.010] * 49, 50)
    assert (latency.p99, repr(latency)) == (0.0, "<LearnedLatency 0 ms of 49>")
    latency.add(0.010, 100.0)
    assert latency.p99 == pytest.approx(0.010, rel=0.19)
    assert repr(latency) == "<LearnedLatency 10.8 ms of 50>"


def test_one_slow_answer_in_a_hundred_does_not_count_and_two_do() -> None:
    latency = learned([0.010] * 159 + [5.0], 32)
    assert latency.p99 == pytest.approx(0.010, rel=0.19)
    latency = learned([0.010] * 158 + [5.0] * 2, 32)
    assert latency.p99 == pytest.approx(5.0, rel=0.19)


def test_an_answer_counts_for_30_to_60_seconds() -> None:
    latency = LearnedLatency(32)
    for _ in range(64):
        latency.add(1.0, 100.0)
    for _ in range(32):
        latency.add(0.010, 130.0)
    assert (latency.count, latency.p99) == (96, pytest.approx(1.0, rel=0.19))  # the same window still
    for _ in range(64):
        latency.add(0.010, 159.0)
    assert (latency.count, latency.p99) == (160, pytest.approx(1.0, rel=0.19))
    for _ in range(64):
        latency.add(0.010, 160.1)  # 60 s later the first are forgotten
    assert (latency.count, latency.p99) == (128, pytest.approx(0.010, rel=0.19))


def test_after_silence_what_was_learned_stays_until_there_is_enough_anew() -> None:
    latency = learned([1.0] * 64, 50)
    for count in range(1, 114):  # 14 have come since the last calculation, so the 114th is the next 128th
        latency.add(0.010, 1000.0)
        assert latency.count == count
        assert latency.p99 == pytest.approx(1.0, rel=0.19)
    latency.add(0.010, 1000.0)
    assert latency.p99 == pytest.approx(0.010, rel=0.19)


def test_a_calculation_with_too_few_answers_leaves_the_figure() -> None:
    latency = learned([1.0] * 200, 200)
    for _ in range(199):  # of which the 128th is due
        latency.add(0.010, 1000.0)
        assert latency.p99 == pytest.approx(1.0, rel=0.19)
    for _ in range(57):
        latency.add(0.010, 1000.0)
    assert latency.p99 == pytest.approx(0.010, rel=0.19)


def test_other_rules_say_anew_how_many_are_enough() -> None:
    latency = learned([0.010] * 10, 50)
    latency.samples = 11
    latency.add(0.010, 100.0)
    assert latency.p99 > 0
