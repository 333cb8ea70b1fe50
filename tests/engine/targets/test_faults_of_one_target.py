"""One of three targets fails, each time in another way: who asks what may be repeated does not notice.

What may not be repeated fails at most, and no service ever sees it twice.
"""

from collections import Counter

import pytest

from fleets import IDEMPOTENT, Scene, fleet_gateway, logged
from limen.testing import Conversation, Script, answer, garbage, refusing, resetting, resetting_at, saying, statuses
from limen.upstream.retry import Retry


async def closing(conversation: Conversation) -> None:
    """Close the connection within the head of the answer."""
    await conversation.request()
    await conversation.say(b"HTTP/1.1 200 OK\r\ncontent-le")
    conversation.writer.close()


TWO_LENGTHS = saying(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok")

FAULTS: dict[str, tuple[Script, str]] = {
    "refuses": (refusing, "upstream_refused"),
    "resets at once": (resetting_at("connect"), "upstream_closed"),
    "resets before the head": (resetting_at("before_head"), "upstream_closed"),
    "resets after the head": (resetting_at("after_head"), "upstream_closed"),
    "resets before it answers": (resetting, "upstream_closed"),
    "resets in the head of its answer": (resetting_at("answer_head"), "upstream_closed"),
    "closes in the head of its answer": (closing, "upstream_closed"),
    "answers garbage": (garbage, "upstream_protocol"),
    "answers with two lengths": (TWO_LENGTHS, "upstream_protocol"),
    "answers 502": (statuses(502)[0], ""),
    "answers 503": (statuses(503)[0], ""),
    "answers 504": (statuses(504)[0], ""),
}


async def ask_all(scene: Scene, methods: tuple[str, ...], count: int) -> list[int]:
    """Ask one after the other, each with content of its own where the method may have some; return the statuses."""
    found: list[int] = []
    for number in range(count):
        method = methods[number % len(methods)]
        content = {"content": b"token-%d." % number} if method in ("PUT", "POST") else {}
        found.append((await scene.ask(method, f"/svc/{number}", **content)).status_code)
    return found


@pytest.mark.parametrize("fault", FAULTS)
async def test_what_may_be_repeated_succeeds(engine: str, fault: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    script, kind = FAULTS[fault]
    async with fleet_gateway(engine) as scene:
        scene.fleet[0].behave(script)
        assert set(await ask_all(scene, IDEMPOTENT, 35)) == {200}
        first = scene.fleet[0]
        assert first.count() + first.refusals <= 3
        assert scene.states() == "out in in"
        bad = scene.targets()[0]
        assert bad.reason.startswith("3 failures in a row, the last: "), bad
        assert abs(bad.since - scene.clock.now()) < 2
        assert f"upstream svc: target http://svc-1:8000 is out: {bad.reason}" in caplog.messages
        ended = Counter(result.fault.kind.code if result.fault else "" for _, result in scene.record.attempts)
        assert ended == Counter({"": 35, kind: 3}) if kind else ended == Counter({"": 38})
        lines = logged(caplog)
        assert Counter(line["attempts"] for line in lines) == {"1": 32, "2": 3}
        assert "http://svc-1:8000" not in {line["target"] for line in lines}
        for path, contents in bodies(scene, whole=True).items():
            assert set(contents) == {b"token-%s." % path.removeprefix(b"/svc/")}


def bodies(scene: Scene, *, whole: bool = False) -> dict[bytes, list[bytes]]:
    """Return the content of each PUT and POST by its path, of each time that a target saw it."""
    found: dict[bytes, list[bytes]] = {}
    for target in scene.fleet:
        for one in target.received:
            if one.method in (b"PUT", b"POST") and (one.complete or not whole):
                found.setdefault(one.path, []).append(bytes(one.body))
    return found


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_post_is_seen_once(engine: str, fault: str) -> None:
    script, kind = FAULTS[fault]
    async with fleet_gateway(engine) as scene:
        scene.fleet[0].behave(script)
        found = await ask_all(scene, ("POST",), 35)
        seen = bodies(scene)
        assert all(len(contents) == 1 for contents in seen.values())
        assert all(content in (b"", b"token-%s." % path.removeprefix(b"/svc/")) for path, (content,) in seen.items())
        if kind == "upstream_refused":
            assert set(found) == {200}
        else:
            assert found.count(200) == 32
            assert {one for one in found if one != 200} <= {502, 503, 504}
        assert scene.states() == "out in in"
        assert scene.record.settled[-1].attempts == 1


async def test_a_connection_that_was_closed_meanwhile_is_no_failure_of_its_target(engine: str) -> None:
    async with fleet_gateway(engine) as scene:
        scene.fleet[0].behave(saying(answer()), resetting, saying(answer()))
        for _ in range(3):
            assert (await scene.ask()).status_code == 200
        assert (await scene.ask()).status_code == 200
        assert scene.record.settled[-1].attempts == 2
        assert scene.states() == "in in in"
        assert scene.record.attempts[-2][1].reused


async def test_a_service_that_was_killed_and_comes_back(engine: str) -> None:
    async with fleet_gateway(engine) as scene:
        for number in range(60):
            if number == 10:
                await scene.fleet[1].kill()
            if number == 40:
                await scene.fleet[1].restart()
                await scene.clock.advance(2.1)
            assert (await scene.ask("PUT", content=b"whole")).status_code == 200
        assert scene.states() == "in in in"
        assert scene.fleet[1].count() > 4
        assert all(one.body == b"whole" for target in scene.fleet for one in target.received if one.complete)


async def test_without_ejection_retries_go_on(engine: str) -> None:
    async with fleet_gateway(engine, ejection=None) as scene:
        scene.fleet[0].behave(*statuses(503))
        for _ in range(30):
            assert (await scene.ask()).status_code == 200
        assert sum(scene.fleet.counts()) == 30 + scene.fleet[0].count() >= 40
        assert scene.states() == "in in in"


async def test_without_retries_what_fails_is_passed_on_until_the_target_is_out(engine: str) -> None:
    async with fleet_gateway(engine, retry=None) as scene:
        scene.fleet[0].behave(*statuses(503, content="no"))
        answers = [await scene.ask() for _ in range(30)]
        assert Counter(one.status_code for one in answers) == {200: 27, 503: 3}
        assert scene.states() == "out in in"
        scene.fleet[1].behave(refusing)  # it was never sent: that is no retry
        await scene.fleet[1].kill()
        assert (await scene.ask()).status_code == 200


async def test_statuses_that_are_retried_can_be_chosen(engine: str) -> None:
    async with fleet_gateway(engine, retry=Retry(statuses=[500])) as scene:
        scene.fleet[0].behave(*statuses(503, content="no"))
        scene.fleet[1].behave(*statuses(500))
        found = [(await scene.ask()).status_code for _ in range(3)]
        assert Counter(found)[200] >= 1
        assert 500 not in found
        assert 503 in found


async def test_one_target_is_as_it_was(engine: str) -> None:
    async with fleet_gateway(engine, 1) as scene:
        scene.fleet[0].behave(*statuses(*[503] * 10, 200))
        assert [(await scene.ask()).status_code for _ in range(11)] == [503] * 10 + [200]
        assert scene.fleet.counts() == [11]
        assert scene.app.active_config().runtime.snapshot().upstreams[0].targets == ()
