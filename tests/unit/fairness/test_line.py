"""Networks take turns, and within one the first in is the first out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen.fairness.line import Line


def test_each_network_has_its_turn() -> None:
    line: Line[str] = Line()
    for one in ("a1", "a2", "a3", "b1", "b2"):
        line.add(one, one[:1].encode())
    assert repr(line) == "<Line 5 of 2 networks>"
    assert [line.take() for _ in range(3)] == ["a1", "b1", "a2"]
    line.add("c1", b"c")  # behind those whose turn comes
    assert [line.take() for _ in range(3)] == ["b2", "a3", "c1"]
    assert not line
    with pytest.raises(IndexError):
        line.take()


def test_one_that_leaves_the_line_is_not_met_in_it() -> None:
    line: Line[str] = Line()
    for one in ("a1", "a2", "b1"):
        line.add(one, one[:1])
    line.remove("a1", "a")
    line.remove("b1", "b")
    assert repr(line) == "<Line 1 of 1 networks>"
    assert line.take() == "a2"
    with pytest.raises(KeyError):
        line.remove("a2", "a")


@given(st.lists(st.one_of(st.none(), st.integers(0, 4)), max_size=200))
def test_nobody_waits_for_more_than_its_own_and_one_of_each_other_turn(steps: list[int | None]) -> None:
    line: Line[tuple[int, int]] = Line()
    waiting: dict[int, list[int]] = {network: [] for network in range(5)}
    passed: dict[int, set[int]] = {}  # of the first of each network: whose turn has come since
    for number, step in enumerate(steps):
        if step is not None:
            line.add((step, number), b"%d" % step)
            waiting[step].append(number)
        elif line:
            network, taken = line.take()
            assert taken == waiting[network].pop(0)
            passed.pop(network, None)
            for other in range(5):
                if waiting[other] and other != network:
                    assert network not in passed.setdefault(other, set())
                    passed[other].add(network)
        assert len(line) == sum(map(len, waiting.values()))
        assert bool(line) is any(waiting.values())
