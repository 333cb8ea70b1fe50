"""The scheduler of a loop: a job with many steps waits for others, and a round ends when its time is over."""

import asyncio
from collections.abc import Callable

from limen.fairness.scheduler import ROUND, SMALL_READS, TASK_COST, LoopScheduler, scheduler_of
from turning import Loop, turns_on


class Busy:
    """A job of so many steps; ``takes`` advances the clock in each, and ``order`` notes whose step it was."""

    def __init__(
        self,
        name: str,
        scheduler: LoopScheduler,
        steps: int,
        order: list[str],
        takes: Callable[[], None],
        *,
        light: bool = False,
    ) -> None:
        self.name, self.scheduler, self.left, self.order, self.takes, self.light = (
            name,
            scheduler,
            steps,
            order,
            takes,
            light,
        )
        self.queued = False
        scheduler.ask(self, light=light)

    def step(self) -> None:
        self.order.append(self.name)
        self.left -= 1
        self.takes()
        if self.left:
            self.scheduler.ask(self, light=self.light)


def make_scheduler() -> tuple[Loop, LoopScheduler, list[str], list[float]]:
    loop, clock = Loop(), [0.0]
    return loop, turns_on(loop, lambda: clock[0]), [], clock


def test_jobs_take_turns() -> None:
    loop, scheduler, order, _ = make_scheduler()
    for name in "abc":
        Busy(name, scheduler, 2, order, lambda: None)
    assert repr(scheduler) == "<LoopScheduler 3 queued>"
    assert loop.turn() == 1
    assert "".join(order) == "abcabc"
    assert loop.soon == []


def test_a_round_ends_with_its_time_and_the_next_is_in_another_turn_of_the_loop() -> None:
    loop, scheduler, order, clock = make_scheduler()

    def takes() -> None:
        clock[0] += ROUND / 4

    Busy("a", scheduler, 1000, order, takes)
    Busy("b", scheduler, 3, order, takes)
    for rounds in range(1, 4):
        assert loop.turn() == 1  # however much there is to do: one call of the loop
        assert scheduler.steps == 4
        assert len(order) == 4 * rounds
    assert "".join(order) == "abab" + "abaa" + "aaaa"


def test_what_a_step_charges_for_later_shortens_its_round() -> None:
    loop, scheduler, order, _ = make_scheduler()
    Busy("a", scheduler, 10, order, lambda: scheduler.charge(ROUND / 2))
    loop.turn()
    assert order == ["a", "a"]
    loop.turn()
    assert order == ["a"] * 4


def test_work_that_was_done_at_once_shortens_the_next_round() -> None:
    loop, scheduler, order, clock = make_scheduler()

    def takes() -> None:
        clock[0] += ROUND / 4

    Busy("a", scheduler, 100, order, takes)
    begun = scheduler.now()
    clock[0] += ROUND / 2
    assert scheduler.has_time()
    scheduler.charge_since(begun)
    assert scheduler.has_time()
    loop.turn()
    assert scheduler.steps == 2
    scheduler.charge_since(clock[0] - 10 * ROUND)
    assert not scheduler.has_time()  # other work of this turn waits
    loop.turn()
    assert scheduler.steps == 2  # half of a round is always left for the queues
    loop.turn()
    assert scheduler.steps == 4


def test_charges_end_with_the_turn_also_where_no_job_is_queued() -> None:
    loop, scheduler, _, clock = make_scheduler()
    begun = scheduler.now()
    clock[0] += ROUND
    scheduler.charge_since(begun)
    assert not scheduler.has_time()
    assert loop.turn() == 1
    assert scheduler.has_time()
    assert loop.soon == []


def test_many_small_reads_at_once_count_as_half_a_round_and_more_are_timed() -> None:
    loop, scheduler, order, clock = make_scheduler()

    def takes() -> None:
        clock[0] += ROUND / 4

    Busy("a", scheduler, 100, order, takes)
    assert [scheduler.admit_small_read() for _ in range(SMALL_READS + 2)] == [True] * SMALL_READS + [False] * 2
    assert scheduler.has_time()
    loop.turn()
    assert scheduler.steps == 2
    assert scheduler.admit_small_read()  # in the next turn anew
    loop.turn()
    assert scheduler.steps == 4


def test_few_small_reads_need_no_round() -> None:
    loop, scheduler, _, _ = make_scheduler()
    assert all(scheduler.admit_small_read() for _ in range(SMALL_READS - 1))
    assert loop.soon == []
    assert scheduler.admit_small_read()
    assert loop.turn() == 1
    assert loop.soon == []


def test_small_reads_wait_where_the_turn_has_no_time_or_others_of_their_kind_wait() -> None:
    loop, scheduler, order, clock = make_scheduler()
    scheduler.charge_since(clock[0] - ROUND)
    assert not scheduler.admit_small_read()
    loop.turn()
    assert scheduler.admit_small_read()
    Busy("light", scheduler, 1, order, lambda: None, light=True)
    assert not scheduler.admit_small_read()  # first in, first out
    loop.turn()
    assert scheduler.admit_small_read()
    Busy("heavy", scheduler, 1, order, lambda: None)
    assert scheduler.admit_small_read()


def test_light_work_has_half_of_the_time_where_there_is_other() -> None:
    loop, scheduler, order, clock = make_scheduler()

    def taking(part: int) -> Callable[[], None]:
        def takes() -> None:
            clock[0] += ROUND / part

        return takes

    for number in range(10):
        Busy(f"heavy{number}", scheduler, 100, order, taking(1))
    for number in range(3):
        Busy(f"light{number}", scheduler, 100, order, taking(8), light=True)
    for _ in range(40):
        loop.turn()
    light = [name for name in order if name.startswith("light")]
    heavy = [name for name in order if name.startswith("heavy")]
    assert abs(len(light) - 8 * len(heavy)) <= 16
    assert light[:6] == ["light0", "light1", "light2"] * 2
    assert heavy[:10] == [f"heavy{number}" for number in range(10)]


def test_light_work_does_not_save_up_unused_time() -> None:
    loop, scheduler, order, clock = make_scheduler()

    def takes() -> None:
        clock[0] += ROUND / 4

    Busy("heavy", scheduler, 100, order, takes)
    for _ in range(10):
        loop.turn()
    order.clear()
    Busy("light", scheduler, 100, order, takes, light=True)
    for _ in range(4):
        loop.turn()
    assert abs(order.count("light") - order.count("heavy")) <= 2


def test_a_task_counts_as_what_those_before_it_have_cost() -> None:
    loop, scheduler, order, clock = make_scheduler()

    def task(seconds: float) -> Callable[[], None]:
        def begins() -> None:
            def runs() -> None:
                clock[0] += seconds

            scheduler.task_begins()
            loop.call_soon(runs)
            scheduler.task_made()

        return begins

    costly = task(ROUND / 2)
    costly()
    loop.run()
    assert scheduler.task_cost == (TASK_COST + ROUND / 2) / 2  # soon: what costs much must not be begun again and again
    for _ in range(100):
        task(ROUND / 20)()
        loop.run()
    assert ROUND / 20 < scheduler.task_cost < ROUND / 19  # by and by
    Busy("a", scheduler, 100, order, task(ROUND / 20))
    loop.turn()
    assert scheduler.steps in (19, 20)
    loop.run()
    for _ in range(10):
        task(100.0)()
        loop.run()
    assert 0.99 * ROUND < scheduler.task_cost <= ROUND  # whatever it was: one at least begins in each round


def test_networks_take_turns_in_both_queues() -> None:
    for light in (False, True):
        loop, scheduler, order, _ = make_scheduler()

        class Once:
            def __init__(self, name: str, order: list[str]) -> None:
                self.name, self.order, self.queued = name, order, False

            def step(self) -> None:
                self.order.append(self.name)

        for name in ("a1", "a2", "a3", "b1"):
            scheduler.ask(Once(name, order), name[:1].encode(), light=light)
        loop.turn()
        assert order == ["a1", "b1", "a2", "a3"]


def test_a_long_step_is_paid_back_in_part_only() -> None:
    loop, scheduler, order, clock = make_scheduler()

    def interrupted() -> None:
        clock[0] += 100 * ROUND

    def takes() -> None:
        clock[0] += ROUND / 4

    Busy("heavy", scheduler, 1000, order, takes)
    Busy("interrupted", scheduler, 1, order, interrupted, light=True)
    Busy("light", scheduler, 100, order, takes, light=True)
    for _ in range(4):
        loop.turn()
    assert order.count("light") >= 2


async def test_a_loop_has_one_scheduler() -> None:
    loop = asyncio.get_running_loop()
    assert scheduler_of(loop) is scheduler_of(loop)


def test_a_job_that_asks_twice_is_queued_once() -> None:
    loop, scheduler, order, _ = make_scheduler()
    busy = Busy("a", scheduler, 1, order, lambda: None)
    scheduler.ask(busy)
    loop.turn()
    assert order == ["a"]


async def test_on_a_loop_others_run_between_rounds() -> None:
    clock = [0.0]
    scheduler = LoopScheduler(asyncio.get_running_loop(), lambda: clock[0])
    order: list[str] = []

    def takes() -> None:
        clock[0] += ROUND

    Busy("a", scheduler, 5, order, takes)
    for _ in range(3):
        order.append("other")
        await asyncio.sleep(0)
    assert order == ["other", "a", "other", "a", "other", "a"]
