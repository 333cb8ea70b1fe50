"""The memory of request bodies: counted to the byte, bounded, and the costliest holders are cut."""

from hypothesis import given
from hypothesis import strategies as st

from limen.fairness.body_memory import BodyMemory


class Holder:
    """Remembers whether it had to give way."""

    def __init__(self) -> None:
        self.was_cut = 0

    def cut(self) -> None:
        self.was_cut += 1


def test_what_is_held_is_counted() -> None:
    bodies = BodyMemory(100)
    one, two = Holder(), Holder()
    bodies.add(one, 10)
    bodies.add(two, 20)
    bodies.add(one, 30)
    assert (bodies.total, len(bodies)) == (60, 2)
    assert repr(bodies) == "<BodyMemory 60 of 100 bytes held by 2>"
    bodies.drop(one)
    bodies.drop(one)
    assert (bodies.total, len(bodies)) == (20, 1)
    bodies.drop(two)
    assert (bodies.total, len(bodies)) == (0, 0)


def test_who_holds_much_for_long_gives_way_and_who_has_just_come_does_not() -> None:
    clock = [0.0]
    bodies = BodyMemory(1000, lambda: clock[0])
    large, small, honest = Holder(), Holder(), Holder()
    bodies.add(large, 700)
    bodies.add(small, 200)
    clock[0] = 10.0
    bodies.add(honest, 300)
    assert (large.was_cut, small.was_cut, honest.was_cut) == (1, 0, 0)
    assert bodies.total == 500


def test_it_is_room_for_more_than_the_next_byte() -> None:
    clock = [0.0]
    bodies = BodyMemory(800, lambda: clock[0])
    slow = [Holder() for _ in range(80)]
    for holder in slow:
        bodies.add(holder, 10)
        clock[0] += 1.0
    honest = Holder()
    bodies.add(honest, 1)
    assert bodies.total <= 700
    assert [holder.was_cut for holder in slow] == [1] * 11 + [0] * 69  # the oldest, and no more than it takes
    assert not honest.was_cut


def test_who_went_with_another_is_not_cut_again() -> None:
    clock = [0.0]
    bodies = BodyMemory(100, lambda: clock[0])

    class Pair(Holder):
        other: Holder

        def cut(self) -> None:
            super().cut()
            bodies.drop(self.other)  # as a connection does, of which both are parts

    one, two = Pair(), Pair()
    one.other, two.other = two, one
    large, newest = Holder(), Holder()
    bodies.add(one, 4)
    bodies.add(two, 3)
    clock[0] = 99.0
    bodies.add(large, 92)
    clock[0] = 100.0
    bodies.add(newest, 50)
    assert (one.was_cut, two.was_cut, large.was_cut, newest.was_cut) == (1, 0, 1, 0)
    assert bodies.total == 50


def test_who_is_alone_and_too_large_gives_way_itself() -> None:
    bodies = BodyMemory(10)
    one = Holder()
    bodies.add(one, 11)
    assert (one.was_cut, bodies.total) == (1, 0)


@given(
    st.lists(st.tuples(st.integers(0, 7), st.one_of(st.none(), st.integers(1, 5000)), st.floats(0, 10)), max_size=80)
)
def test_never_more_than_the_bound_and_nobody_is_counted_who_gave_way(
    steps: list[tuple[int, int | None, float]],
) -> None:
    clock = [0.0]
    bodies = BodyMemory(8192, lambda: clock[0])
    held: dict[int, int] = {}
    holders = [Holder() for _ in range(8)]
    for number, size, seconds in steps:
        clock[0] += seconds
        before = [holder.was_cut for holder in holders]
        if size is None:
            bodies.drop(holders[number])
            held.pop(number, None)
        else:
            held[number] = held.get(number, 0) + size
            bodies.add(holders[number], size)
        for other, holder in enumerate(holders):
            if holder.was_cut > before[other]:
                held.pop(other)
        assert bodies.total == sum(held.values()) <= 8192
        assert len(bodies) == len(held)


def test_a_part_of_the_memory_is_for_what_holding_takes() -> None:
    assert BodyMemory.within(1000).most == 375
