"""Times: of one attempt, of all of them together, and what the service learns of that."""

import pytest

from fleets import fleet_gateway
from limen import Timeouts
from limen.testing import answer, delayed, hanging, saying, statuses
from limen.upstream.retry import Hedge, Retry

LATE = delayed(3, saying(answer("late")))


def told(values: list[bytes | None]) -> list[int]:
    """Return the milliseconds that services were told."""
    return [int(value) for value in values if value is not None]


async def test_a_time_for_one_attempt_that_may_be_made_again(engine: str) -> None:
    async with fleet_gateway(engine, retry=Retry(timeout=0.5), hedge=None) as scene:
        scene.fleet[0].behave(hanging)
        asked = scene.begin()
        await scene.clock.advance(0.45)
        assert not asked.done()
        assert (await scene.answered(asked, within=0.3)).status_code == 200
        assert scene.attempts_of() == ["1 answer_timeout", "2 200"]


async def test_it_is_not_for_the_last_attempt(engine: str) -> None:
    async with fleet_gateway(engine, 2, retry=Retry(timeout=0.5), hedge=None) as scene:
        for target in scene.fleet:
            target.behave(LATE)
        assert (await scene.answered(scene.begin())).json() == "late"
        assert len(scene.attempts_of()) == 2


async def test_it_is_not_for_what_may_not_be_repeated(engine: str) -> None:
    async with fleet_gateway(engine, retry=Retry(timeout=0.5)) as scene:
        for target in scene.fleet:
            target.behave(LATE)
        assert (await scene.ask("POST")).json() == "late"
        assert sum(scene.fleet.counts()) == 1


async def test_a_deadline_bounds_all_attempts(engine: str) -> None:
    timeouts = Timeouts(first_byte=30, deadline=2.0)
    async with fleet_gateway(engine, timeouts=timeouts, hedge=None, retry=Retry(timeout=0.9)) as scene:
        for target in scene.fleet:
            target.behave(hanging)
        asked = scene.begin()
        await scene.clock.advance(1.9)
        assert not asked.done()
        got = await scene.answered(asked, within=0.3)
        assert (got.status_code, got.json()["code"]) == (504, "answer_timeout")
        values = told([one.value(b"x-request-timeout-ms") for target in scene.fleet for one in target.received])
        assert len(values) == 3
        first, second, third = sorted(values, reverse=True)
        assert 1950 <= first <= 2000
        assert 950 <= second <= 1120
        assert 0 <= third <= 220


async def test_a_deadline_bounds_a_post_and_a_single_target_too(engine: str) -> None:
    for count in (1, 3):
        async with fleet_gateway(engine, count, timeouts=Timeouts(deadline=2.0)) as scene:
            for target in scene.fleet:
                target.behave(hanging)
            asked = scene.begin("POST", content=b"once")
            await scene.clock.advance(1.9)
            assert not asked.done()
            assert (await scene.answered(asked, within=0.3)).status_code == 504
            assert sum(scene.fleet.counts()) == 1


async def test_no_pause_goes_beyond_the_deadline(engine: str) -> None:
    timeouts = Timeouts(deadline=2.0)
    async with fleet_gateway(engine, timeouts=timeouts, hedge=None, retry=Retry(backoff=10)) as scene:
        for target in scene.fleet:
            target.behave(delayed(1.9, statuses(503)[0]))
        for _ in range(5):
            got = await scene.answered(scene.begin(), within=2.1)
            assert got.status_code in (503, 504)
            assert scene.upstream.retrying == 0
        await scene.clock.advance(2.0)  # a service that was asked shortly before the deadline is done by then


@pytest.mark.parametrize("header", [None, "x-time-left"])
async def test_the_header_has_another_name_or_none(engine: str, header: str | None) -> None:
    async with fleet_gateway(engine, timeouts=Timeouts(deadline=2.0), deadline_header=header) as scene:
        await scene.ask(headers={"x-request-timeout-ms": "999999", "x-time-left": "999999"})
        (received,) = [one for target in scene.fleet for one in target.received]
        if header is None:
            assert received.value(b"x-time-left") == b"999999"
        else:
            assert told([received.value(b"x-time-left")])[0] in range(1950, 2001)
            assert received.head.lower().count(b"x-time-left") == 1


async def test_without_a_deadline_there_is_no_header_and_a_bound_for_attempts_all_the_same(engine: str) -> None:
    timeouts = Timeouts(connect=1.0, first_byte=2.0)
    async with fleet_gateway(engine, timeouts=timeouts, hedge=None) as scene:
        for target in scene.fleet:
            target.behave(hanging)
        got = await scene.answered(scene.begin(), within=3.3)
        assert got.status_code == 504
        assert sum(scene.fleet.counts()) == 2
        assert all(one.value(b"x-request-timeout-ms") is None for target in scene.fleet for one in target.received)


async def test_targets_that_do_not_accept_leave_time_to_those_that_do(engine: str) -> None:
    async with fleet_gateway(engine, timeouts=Timeouts(connect=2.0), hedge=Hedge(initial=60.0)) as scene:
        scene.fleet[0].freeze("accepting")
        scene.fleet[1].freeze("accepting")
        assert (await scene.answered(scene.begin("POST"), within=2.2)).status_code == 200
        assert scene.fleet.counts() == [0, 0, 1]
