"""Which targets are left out, how many at most, and how they return."""

import pytest

from fleets import Scene, fleet_gateway
from limen.testing import Conversation, answer, hanging, refusing, resetting, saying, statuses
from limen.upstream.balance import LeastRequests
from limen.upstream.ejection import Ejection
from limen.upstream.retry import Retry


async def ask(scene: Scene, count: int, method: str = "GET") -> list[int]:
    return [(await scene.ask(method)).status_code for _ in range(count)]


@pytest.mark.parametrize(("targets", "most"), [(2, 1), (3, 2), (4, 2), (5, 3)])
@pytest.mark.parametrize("fault", ["refuses", "503", "resets"])
async def test_the_cap_follows_the_size_of_the_fleet(engine: str, targets: int, most: int, fault: str) -> None:
    script = {"refuses": refusing, "503": statuses(503)[0], "resets": resetting}[fault]
    async with fleet_gateway(engine, targets) as scene:
        for target in scene.fleet:
            target.behave(script)
        assert set(await ask(scene, 20)) <= {502, 503}
        states = scene.states().split()
        assert states.count("out") == most
        assert states.count("in") == targets - most
        kept = [target for target in scene.targets() if target.failing]
        assert kept
        assert all(target.reason.startswith("kept in, since too many others are out: ") for target in kept)


async def test_the_last_well_target_is_never_ejected(engine: str) -> None:
    async with fleet_gateway(engine, ejection=Ejection(most=1.0)) as scene:
        for target in scene.fleet:
            target.behave(statuses(503)[0])
        await ask(scene, 20)
        assert sorted(scene.states().split()) == ["in", "out", "out"]


async def test_when_too_few_are_left_all_are_used(engine: str, caplog: pytest.LogCaptureFixture) -> None:
    async with fleet_gateway(engine, 5, ejection=Ejection(most=1.0, panic=0.5, seconds=60, longest=60)) as scene:
        for target in list(scene.fleet)[:3]:
            target.behave(statuses(503)[0])
        await ask(scene, 25)
        assert scene.states().count("out") == 3
        assert "upstream svc: panic: 2 of 5 targets are well, so all are used" in caplog.messages
        scene.forget()
        for target in scene.fleet:
            target.behave(saying(answer()))
        await ask(scene, 10)
        assert scene.fleet.counts() == [2, 2, 2, 2, 2]


async def test_answers_of_5xx_in_a_row(engine: str) -> None:
    async with fleet_gateway(engine) as scene:
        scene.fleet[0].behave(statuses(500)[0])
        assert (await ask(scene, 12)).count(500) == 4
        assert scene.states() == "in in in"
        assert (await ask(scene, 12)).count(500) == 1
        assert scene.states() == "out in in"
        assert scene.targets()[0].reason == "5 answers of 5xx in a row, the last: an answer of 500"


@pytest.mark.parametrize("status", [400, 401, 404, 409, 429])
async def test_answers_about_the_request_say_nothing_of_the_target(engine: str, status: int) -> None:
    async with fleet_gateway(engine) as scene:
        scene.fleet[0].behave(statuses(status)[0])
        assert (await ask(scene, 30)).count(status) == 10
        assert scene.states() == "in in in"


async def test_every_second_answer_fails(engine: str) -> None:
    """Never three in a row, and too many all the same."""
    async with fleet_gateway(engine, retry=None) as scene:
        scene.fleet[0].behave(*statuses(*[200, 503] * 30))
        failed = (await ask(scene, 90)).count(503)
        assert failed <= 11
        assert scene.states() == "out in in"
        assert scene.targets()[0].reason == ("10 of 20 requests failed within 10 s, the last: an answer of 503")


async def test_it_returns_by_probes_one_at_a_time(engine: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with fleet_gateway(engine) as scene:
        scene.fleet[0].behave(resetting)
        await ask(scene, 9)
        assert scene.states() == "out in in"
        scene.forget()
        scene.fleet[0].behave(saying(answer()))
        await ask(scene, 9)
        assert scene.fleet.counts()[0] == 0
        await scene.clock.advance(2.0)
        assert scene.states() == "out in in"  # nothing happens without a request
        for target in scene.fleet:
            target.freeze()
        asked = [scene.begin() for _ in range(9)]
        await scene.clock.advance(0.01)
        assert scene.states() == "probing in in"
        assert scene.targets()[0].reason.startswith("probing after: 3 failures in a row")
        assert (scene.fleet.counts()[0], scene.targets()[0].in_flight) == (1, 1)
        for target in scene.fleet:
            target.thaw()
        await scene.all_answered(asked)
        assert await ask(scene, 1) == [200]
        assert scene.states() == "probing in in"
        assert await ask(scene, 1) == [200]
        assert scene.states() == "in in in"
        assert scene.fleet.counts()[0] == 3
        assert "upstream svc: target http://svc-1:8000 is well again" in caplog.messages


async def test_its_share_grows(engine: str) -> None:
    async with fleet_gateway(engine, balance=LeastRequests(), ejection=Ejection(slow_start=20.0)) as scene:
        scene.fleet[0].behave(resetting)
        while scene.states() != "out in in":
            await ask(scene, 1)
        scene.fleet[0].behave(saying(answer()))
        await scene.clock.advance(2.0)
        await ask(scene, 3)
        assert scene.states() == "in in in"
        shares: list[int] = []
        for _ in range(3):
            scene.forget()
            await ask(scene, 150)
            shares.append(scene.fleet.counts()[0])
            await scene.clock.advance(9.0)
        assert shares[0] <= 25
        assert shares[0] < shares[2]
        assert 30 <= shares[2] <= 70


async def test_who_fails_again_is_out_for_longer(engine: str) -> None:
    async with fleet_gateway(engine) as scene:
        scene.fleet[0].behave(resetting)
        await ask(scene, 9)
        for seconds in (2.0, 4.0, 8.0, 10.0, 10.0):
            assert scene.states() == "out in in"
            scene.forget()
            await scene.clock.advance(seconds * 0.74 - 0.2)
            await ask(scene, 2)
            assert scene.fleet.counts()[0] == 0
            await scene.clock.advance(seconds * 0.26 + 0.2)
            assert await ask(scene, 2) == [200, 200]
            assert scene.fleet.counts()[0] == 1
            assert scene.targets()[0].reason.startswith("a probe failed: ")


async def test_a_probe_that_is_late_fails(engine: str) -> None:
    async with fleet_gateway(engine) as scene:
        await scene.learn()
        scene.fleet[0].behave(statuses(503)[0])
        await ask(scene, 9)
        scene.fleet[0].behave(hanging)
        await scene.clock.advance(2.0)
        assert await ask(scene, 3) == [200, 200, 200]
        assert scene.states() == "out in in"
        assert scene.targets()[0].reason.startswith("a probe failed: no answer within ")


async def test_an_answer_that_never_ends_is_no_probe_for_ever(engine: str) -> None:
    async def endless(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.say(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n")
        await conversation.reader.read()

    async with fleet_gateway(engine, ejection=Ejection(probes=1)) as scene:
        scene.fleet[0].behave(resetting)
        await ask(scene, 9)
        scene.fleet[0].behave(endless)
        await scene.clock.advance(2.0)
        request = scene.client.build_request("GET", "/svc/x")
        got = await scene.client.send(request, stream=True)
        assert got.status_code == 200
        assert scene.states() == "in in in"
        await got.aclose()


async def test_posts_bring_it_back_only_where_nothing_else_has_come_for_long(engine: str) -> None:
    async with fleet_gateway(engine) as scene:
        scene.fleet[0].behave(refusing)
        assert await ask(scene, 9, "POST") == [200] * 9
        scene.fleet[0].behave(saying(answer()))
        scene.forget()
        await scene.clock.advance(9.0)
        assert await ask(scene, 9, "POST") == [200] * 9
        assert scene.fleet.counts()[0] == 0
        await scene.clock.advance(3.0)
        assert await ask(scene, 9, "POST") == [200] * 9
        assert scene.states() == "in in in"


async def test_a_client_that_leaves_a_probe_leaves_it_to_others(engine: str) -> None:
    async with fleet_gateway(engine, hedge=None) as scene:
        scene.fleet[0].behave(resetting)
        await ask(scene, 9)
        scene.fleet[0].behave(saying(answer()))
        scene.fleet[0].freeze()
        await scene.clock.advance(2.0)
        asked = scene.begin()
        await scene.clock.advance(0.5)
        assert (scene.states(), scene.targets()[0].in_flight) == ("probing in in", 1)
        asked.cancel()
        await scene.clock.advance(0.5)
        scene.fleet[0].thaw()
        await ask(scene, 3)
        assert scene.states() == "in in in"


async def test_without_ejection_nobody_is_left_out(engine: str) -> None:
    async with fleet_gateway(engine, ejection=None, retry=Retry(attempts=1), hedge=None) as scene:
        scene.fleet[0].behave(statuses(503)[0])
        assert (await ask(scene, 60)).count(503) == 20
        assert scene.states() == "in in in"
