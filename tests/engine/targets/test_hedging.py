"""A target that is late, or frozen: another one answers within the bound that was learned, and the loser is let go of."""

import asyncio
from typing import Any

import pytest

from fleets import Scene, fleet_gateway, logged
from limen.testing import Script, Stops, answer, delayed, garbage, hanging, refusing, resetting, saying, statuses
from limen.upstream.retry import Hedge, Retry

SECOND = delayed(1, saying(answer("late")))


def say_who(scene: Scene) -> None:
    """Let each target answer with its number."""
    for number, target in enumerate(scene.fleet, 1):
        target.behave(saying(answer(number)))


async def frozen_first(scene: Scene, stops: Stops = "answering") -> None:
    """Learn how long the route takes, and freeze the target that is asked next."""
    say_who(scene)
    await scene.learn()
    while (await scene.ask()).json() != len(scene.fleet):
        pass
    scene.forget()
    scene.fleet[0].freeze(stops)


@pytest.mark.parametrize("stops", ["answering", "reading"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
async def test_another_target_answers_within_the_learned_bound(engine: str, stops: Stops, method: str) -> None:
    async with fleet_gateway(engine) as scene:
        await frozen_first(scene, stops)
        content: dict[str, Any] = {"content": b"all of it"} if method == "PUT" else {}
        asked = scene.begin(method, **content)
        await scene.clock.advance(0.02)
        assert not asked.done()
        assert scene.upstream.in_flight == 1
        got = await scene.answered(asked, within=0.03)
        assert got.status_code == 200
        assert scene.attempts_of() == ["1 given up", "2 200"]
        assert scene.fleet[1].received[-1].body == content.get("content", b"")
        outcome = scene.record.settled[-1]
        assert (outcome.attempts, outcome.target) == (2, "http://svc-2:8000")
        assert scene.targets()[0].busy == 0  # the loser's connection is freed at once


async def test_a_frozen_target_is_ejected_as_overtaken(engine: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with fleet_gateway(engine) as scene:
        await frozen_first(scene)
        begun = scene.clock.monotonic()
        for _ in range(9):
            assert (await scene.ask()).status_code == 200
        assert scene.clock.monotonic() - begun < 0.5
        assert scene.states() == "out in in"
        bad = scene.targets()[0]
        assert bad.reason.startswith("3 times in a row: no answer within ")
        assert bad.reason.endswith(" ms, in which another target answered")
        assert f"upstream svc: target http://svc-1:8000 is out: {bad.reason}" in caplog.messages
        assert [line["attempts"] for line in logged(caplog)][-9:].count("2") == 3


async def test_by_default_fifty_answers_are_enough(engine: str) -> None:
    async with fleet_gateway(engine, 2, hedge=Hedge()) as scene:
        await scene.learn(48)  # 49 at each
        first, second = scene.fleet
        first.freeze()
        asked = scene.begin()
        await scene.clock.advance(0.5)
        assert not asked.done()
        first.thaw()
        await scene.answered(asked)
        for _ in range(2):
            await scene.ask()
        assert scene.fleet.counts() == [2, 1]
        second.freeze()
        await scene.answered(scene.begin(), within=0.05)
        assert scene.fleet.counts() == [3, 2]


async def test_before_anything_is_learned_the_bound_is_the_initial_one(engine: str) -> None:
    async with fleet_gateway(engine) as scene:
        scene.fleet[0].freeze()
        asked = scene.begin()
        await scene.clock.advance(0.95)
        assert not asked.done()
        assert (await scene.answered(asked, within=0.15)).status_code == 200


async def test_a_frozen_target_that_does_not_accept(engine: str) -> None:
    async with fleet_gateway(engine) as scene:
        scene.fleet[0].freeze("accepting")
        asked = scene.begin()
        assert (await scene.answered(asked, within=1.2)).status_code == 200
        # Half of the time to connect is as long as the bound before anything is known: the one or the other is over first.
        assert scene.attempts_of() in (["1 given up", "2 200"], ["1 connect_timeout", "2 200"])


async def test_a_post_is_not_hedged(engine: str) -> None:
    async with fleet_gateway(engine) as scene:
        await frozen_first(scene)
        asked = scene.begin("POST", content=b"once")
        await scene.clock.advance(5)
        assert not asked.done()
        assert scene.fleet.counts() == [1, 0, 0]
        scene.fleet[0].thaw()
        assert (await scene.answered(asked)).json() == 1


async def test_posts_at_a_frozen_target_eject_it_when_they_have_timed_out(engine: str) -> None:
    """On connections that have served before, as all have by then."""
    async with fleet_gateway(engine) as scene:
        await frozen_first(scene)
        for turn in range(3):
            asked = [scene.begin("POST", content=b"once") for _ in range(3)]
            await scene.clock.advance(31)
            assert sorted([(await one).status_code for one in asked]) == [200, 200, 504], turn
        assert scene.states() == "out in in"
        assert scene.targets()[0].reason == "3 failures in a row, the last: no answer"


async def test_the_first_may_still_win(engine: str) -> None:
    async with fleet_gateway(engine) as scene:
        await frozen_first(scene)
        scene.fleet[1].freeze()
        asked = scene.begin()
        await scene.clock.advance(0.1)
        assert scene.fleet.counts() == [1, 1, 0]
        scene.fleet[0].thaw()
        assert (await scene.answered(asked)).json() == 1
        assert sorted(scene.attempts_of()) == ["1 200", "2 given up"]
        assert scene.record.settled[-1].target == "http://svc-1:8000"
        assert scene.targets()[1].busy == 0


async def test_who_was_asked_later_and_loses_is_not_to_blame(engine: str) -> None:
    async with fleet_gateway(engine, 2) as scene:
        say_who(scene)
        await scene.learn()
        scene.fleet[0].behave(delayed(0.1, saying(answer(1))))
        scene.fleet[1].behave(delayed(0.1, saying(answer(2))))
        for _ in range(30):
            assert (await scene.ask()).status_code == 200
        assert sum(scene.fleet.counts()) > 30
        assert scene.states() == "in in"


LATE_FAULTS: dict[str, Script] = {
    "refuses": refusing,
    "resets": resetting,
    "garbage": garbage,
    "503": statuses(503)[0],
}


@pytest.mark.parametrize("fault", LATE_FAULTS)
async def test_the_second_fails_and_the_first_answers(engine: str, fault: str) -> None:
    async with fleet_gateway(engine, 2) as scene:
        await frozen_first(scene)
        scene.fleet[1].behave(LATE_FAULTS[fault])
        if fault == "refuses":
            await scene.fleet[1].kill()
        asked = scene.begin()
        await scene.clock.advance(0.5)
        assert not asked.done()
        scene.fleet[0].thaw()
        assert (await scene.answered(asked)).json() == 1
        assert scene.record.settled[-1].attempts == 2


@pytest.mark.parametrize("fault", ["resets", "garbage", "503"])
async def test_the_first_fails_while_the_second_is_asked(engine: str, fault: str) -> None:
    async with fleet_gateway(engine, 2) as scene:
        await frozen_first(scene)
        scene.fleet[0].behave(LATE_FAULTS[fault])
        scene.fleet[1].freeze()
        asked = scene.begin()
        await scene.clock.advance(0.1)
        assert scene.fleet.counts() == [1, 1]
        scene.fleet[0].thaw()
        await scene.clock.advance(0.1)
        assert not asked.done()
        assert scene.upstream.in_flight == 1
        scene.fleet[1].thaw()
        assert (await scene.answered(asked)).json() == 2
        assert scene.record.settled[-1].target == "http://svc-2:8000"


@pytest.mark.parametrize("fault", ["resets", "garbage", "503"])
async def test_both_fail_and_a_third_answers(engine: str, fault: str) -> None:
    async with fleet_gateway(engine) as scene:
        await frozen_first(scene)
        scene.fleet[0].behave(LATE_FAULTS[fault])
        scene.fleet[1].behave(LATE_FAULTS[fault])
        scene.fleet[1].freeze()
        asked = scene.begin()
        await scene.clock.advance(0.1)
        for number in (0, 1):
            scene.fleet[number].thaw()
            await scene.clock.advance(0.01)
        assert (await scene.answered(asked)).json() == 3
        assert scene.record.settled[-1].attempts == 3


@pytest.mark.parametrize("fault", LATE_FAULTS)
async def test_the_second_fails_while_the_first_is_late_and_a_third_answers(engine: str, fault: str) -> None:
    async with fleet_gateway(engine) as scene:
        await frozen_first(scene)
        scene.fleet[1].behave(LATE_FAULTS[fault])
        if fault == "refuses":
            await scene.fleet[1].kill()
        assert (await scene.answered(scene.begin(), within=0.2)).json() == 3
        assert scene.record.settled[-1].attempts == 3


async def test_the_first_fails_and_the_second_is_late_and_a_third_answers(engine: str) -> None:
    async with fleet_gateway(engine) as scene:
        await frozen_first(scene)
        scene.fleet[0].behave(garbage)
        scene.fleet[1].freeze()
        asked = scene.begin()
        await scene.clock.advance(0.04)
        scene.fleet[0].thaw()
        assert (await scene.answered(asked, within=0.2)).json() == 3


@pytest.mark.parametrize("at_once", [False, True])
async def test_both_fail_and_there_is_no_third(engine: str, at_once: bool) -> None:
    async with fleet_gateway(engine, 2) as scene:
        say_who(scene)
        await scene.learn()
        for target in scene.fleet:
            target.behave(garbage)
            target.freeze()
        asked = scene.begin()
        await scene.clock.advance(0.1)
        assert scene.fleet.counts() == [1, 1]
        for target in scene.fleet:
            target.thaw()
            if not at_once:
                await scene.clock.advance(0.01)
        got = await scene.answered(asked)
        assert (got.status_code, got.json()["code"]) == (502, "upstream_protocol")
        assert len(scene.attempts_of()) == 2


async def test_both_answer_at_once(engine: str) -> None:
    async with fleet_gateway(engine, 2) as scene:
        say_who(scene)
        await scene.learn()
        for _ in range(4):
            for target in scene.fleet:
                target.freeze()
            asked = scene.begin()
            await scene.clock.advance(0.1)
            for target in scene.fleet:
                target.thaw()
            assert (await scene.answered(asked)).status_code == 200
        assert scene.states() == "in in"


async def test_both_are_late_and_time_out(engine: str) -> None:
    async with fleet_gateway(engine) as scene:
        for target in scene.fleet:
            target.behave(hanging)
        got = await scene.answered(scene.begin(), within=70)
        assert (got.status_code, got.json()["code"]) == (504, "answer_timeout")
        assert scene.record.settled[-1].attempts <= 3


async def test_within_the_budget(engine: str) -> None:
    async with fleet_gateway(engine, retry=Retry(least=2, budget=0.2)) as scene:
        await scene.learn()
        for target in scene.fleet:
            target.freeze()
        asked = [scene.begin() for _ in range(20)]
        await scene.clock.advance(1)
        assert sum(scene.fleet.counts()) <= 20 + 6
        assert scene.upstream.retrying <= 6
        for target in scene.fleet:
            target.thaw()
        assert {one.status_code for one in await scene.all_answered(asked)} == {200}


async def test_without_hedging_the_first_is_waited_for(engine: str) -> None:
    async with fleet_gateway(engine, hedge=None) as scene:
        await frozen_first(scene)
        asked = scene.begin()
        await scene.clock.advance(20)
        assert not asked.done()
        assert scene.fleet.counts() == [1, 0, 0]
        got = await scene.answered(asked, within=15)  # its time is over: then it is made again elsewhere
        assert got.json() == 2
        assert scene.attempts_of() == ["1 answer_timeout", "2 200"]


async def test_a_route_that_is_slow_by_nature_is_not_hedged(engine: str) -> None:
    async with fleet_gateway(engine, hedge=Hedge(samples=10, ceiling=2.0)) as scene:
        for target in scene.fleet:
            target.behave(SECOND)
        for _ in range(12):
            asked = [scene.begin() for _ in range(3)]
            assert {one.status_code for one in await scene.all_answered(asked)} == {200}
        scene.forget()
        scene.fleet[0].freeze()
        asked = [scene.begin() for _ in range(3)]
        await scene.clock.advance(10)
        assert sum(scene.fleet.counts()) == 3
        scene.fleet[0].thaw()
        await scene.all_answered(asked)


async def test_a_client_that_leaves_while_two_attempts_run(engine: str) -> None:
    async with fleet_gateway(engine) as scene:
        await frozen_first(scene)
        for target in scene.fleet:
            target.freeze()
        for number in range(1, 7):
            asked = scene.begin()
            await scene.clock.advance(0.1)
            assert scene.upstream.in_flight == 2
            asked.cancel()
            await asyncio.wait((asked,))
            await scene.clock.advance(0.3)
            assert (scene.upstream.in_flight, scene.upstream.retrying) == (0, 0)
            assert [target.busy for target in scene.targets()] == [0, 0, 0]
            assert len(scene.record.settled) == number
            assert [one.split(" ", 1)[1] for one in scene.attempts_of()] == ["given up", "given up"]
        assert scene.states() == "in in in"
