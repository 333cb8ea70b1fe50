"""A service fails as a whole: attempts again do not multiply what it gets, and clients learn what it says."""

from collections import Counter

import pytest

from fleets import fleet_gateway
from limen.testing import Script, answer, refusing, resetting, saying, statuses
from limen.upstream.ejection import Ejection
from limen.upstream.retry import Retry

NO = statuses(503, content="down")[0]


@pytest.mark.parametrize("at_once", [1, 10, 100])
@pytest.mark.parametrize("fault", ["503", "resets"])
async def test_attempts_are_hardly_more_than_requests(engine: str, at_once: int, fault: str) -> None:
    async with fleet_gateway(engine) as scene:
        for target in scene.fleet:
            target.behave(NO if fault == "503" else resetting)
        for _ in range(100 // at_once):
            answers = await scene.all_answered([scene.begin() for _ in range(at_once)])
            assert {one.status_code for one in answers} == {503 if fault == "503" else 502}
            if fault == "503":
                assert {one.json() for one in answers} == {"down"}
        assert 100 <= sum(scene.fleet.counts()) <= 120


@pytest.mark.parametrize("at_once", [100, 200])
async def test_the_budget_holds_while_attempts_pause(engine: str, at_once: int) -> None:
    """All fail at the same moment, before any of them is made again."""
    retry = Retry(attempts=2, budget=0.1, backoff=1.0)
    async with fleet_gateway(engine, ejection=None, hedge=None, retry=retry) as scene:
        for target in scene.fleet:
            target.behave(NO)
            target.freeze()
        asked = [scene.begin() for _ in range(at_once)]
        await scene.clock.advance(0.1)
        assert sum(scene.fleet.counts()) == at_once
        for target in scene.fleet:
            target.thaw()
        await scene.clock.advance(0)
        assert scene.upstream.retrying <= at_once // 10
        assert {one.status_code for one in await scene.all_answered(asked)} == {503}
        assert sum(scene.fleet.counts()) <= at_once + at_once // 10 + 3


async def test_beyond_the_budget_the_answer_passes_through(engine: str) -> None:
    async with fleet_gateway(engine, retry=Retry(least=0, budget=0.0)) as scene:
        scene.fleet[0].behave(NO)
        found = [await scene.ask() for _ in range(3)]
        assert Counter(one.status_code for one in found) == {200: 2, 503: 1}
        assert scene.fleet.counts() == [1, 1, 1]


async def test_what_was_never_sent_needs_no_budget(engine: str) -> None:
    async with fleet_gateway(engine, retry=Retry(least=0, budget=0.0)) as scene:
        scene.fleet[0].behave(refusing)
        scene.fleet[1].behave(refusing)
        for method in ("GET", "POST"):
            assert (await scene.ask(method)).status_code == 200
        assert scene.fleet.counts() == [0, 0, 2]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_all_refuse(engine: str, method: str) -> None:
    async with fleet_gateway(engine) as scene:
        for target in scene.fleet:
            target.behave(refusing)
        got = await scene.ask(method)
        assert (got.status_code, got.json()["code"]) == (503, "upstream_refused")
        assert [target.refusals for target in scene.fleet] == [1, 1, 1]
        assert scene.record.settled[-1].attempts == 3
        for _ in range(97):
            assert (await scene.ask(method)).status_code == 503
        for target in scene.fleet:
            target.behave(saying(answer()))
        await scene.clock.advance(2.1)
        for _ in range(12):
            assert (await scene.ask()).status_code == 200
        assert scene.states() == "in in in"


@pytest.mark.parametrize("script", [NO, resetting])
async def test_a_service_that_comes_back_is_in_balance_within_ten_seconds(engine: str, script: Script) -> None:
    async with fleet_gateway(engine) as scene:
        for target in scene.fleet:
            target.behave(script)
        for _ in range(100):
            await scene.ask()
            await scene.clock.advance(0.2)
        for target in scene.fleet:
            target.behave(saying(answer()))
        for _ in range(50):
            await scene.ask()
            await scene.clock.advance(0.2)
        assert scene.states() == "in in in"
        scene.forget()
        for _ in range(30):
            assert (await scene.ask()).status_code == 200
        assert scene.fleet.counts() == [10, 10, 10]


async def test_most_attempts_of_a_request(engine: str) -> None:
    async with fleet_gateway(engine, 5, retry=Retry(attempts=4), ejection=None) as scene:
        for target in scene.fleet:
            target.behave(NO)
        assert (await scene.ask()).status_code == 503
        assert sorted(scene.fleet.counts()) == [0, 1, 1, 1, 1]


async def test_a_target_that_fails_and_is_kept_in_is_no_place_to_try_again(engine: str) -> None:
    async with fleet_gateway(engine, 2, ejection=Ejection(seconds=60, longest=60)) as scene:
        for target in scene.fleet:
            target.behave(NO)
        for _ in range(10):
            await scene.ask()
        scene.forget()
        for _ in range(10):
            assert (await scene.ask()).status_code == 503
        assert sum(scene.fleet.counts()) == 10
