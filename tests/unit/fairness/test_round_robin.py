"""Networks take turns; within a network, first in is first out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen.fairness.round_robin import RoundRobinQueue


def test_each_network_has_its_turn() -> None:
    queue: RoundRobinQueue[str] = RoundRobinQueue()
    for item in ("a1", "a2", "a3", "b1", "b2"):
        queue.add(item, item[:1].encode())
    assert repr(queue) == "<RoundRobinQueue 5 of 2 networks>"
    assert [queue.take() for _ in range(3)] == ["a1", "b1", "a2"]
    queue.add("c1", b"c")  # behind those whose turn comes
    assert [queue.take() for _ in range(3)] == ["b2", "a3", "c1"]
    assert not queue
    with pytest.raises(IndexError):
        queue.take()


def test_a_removed_item_is_not_taken() -> None:
    queue: RoundRobinQueue[str] = RoundRobinQueue()
    for item in ("a1", "a2", "b1"):
        queue.add(item, item[:1])
    queue.remove("a1", "a")
    queue.remove("b1", "b")
    assert repr(queue) == "<RoundRobinQueue 1 of 1 networks>"
    assert queue.take() == "a2"
    with pytest.raises(KeyError):
        queue.remove("a2", "a")


@given(st.lists(st.one_of(st.none(), st.integers(0, 4)), max_size=200))
def test_an_item_waits_for_its_own_network_and_one_item_of_each_other(steps: list[int | None]) -> None:
    queue: RoundRobinQueue[tuple[int, int]] = RoundRobinQueue()
    waiting: dict[int, list[int]] = {network: [] for network in range(5)}
    passed: dict[int, set[int]] = {}  # of the first of each network: whose turn has come since
    for number, step in enumerate(steps):
        if step is not None:
            queue.add((step, number), b"%d" % step)
            waiting[step].append(number)
        elif queue:
            network, taken = queue.take()
            assert taken == waiting[network].pop(0)
            passed.pop(network, None)
            for other in range(5):
                if waiting[other] and other != network:
                    assert network not in passed.setdefault(other, set())
                    passed[other].add(network)
        assert len(queue) == sum(map(len, waiting.values()))
        assert bool(queue) is any(waiting.values())
