"""Policies hear of each attempt once, whatever becomes of it; one that fails there does not spoil more than its request."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from fleets import fleet_gateway
from limen.exchange.attempt import AttemptResult
from limen.exchange.policy import Environment
from limen.exchange.request import Request
from limen.http.headers import Headers
from limen.testing import answer, saying, statuses
from limen.upstream.balance import Hash


@dataclass(frozen=True)
class Hooks:
    """A policy of the hooks that it is given."""

    rank: ClassVar[int] = 700
    adds: ClassVar[bool] = True

    hooks: tuple[tuple[str, Callable[..., Any]], ...]
    name: str = "hooks"

    def live(self, environment: Environment) -> object:
        return type("Live", (), {name: staticmethod(hook) for name, hook in self.hooks})()


def raising_at(number: int) -> Callable[[Request, str], Headers]:
    """Return a hook ``attempt_head`` that raises for one target."""

    def attempt_head(request: Request, target: str) -> Headers:
        if f"svc-{number}" in target:
            raise RuntimeError("no head for this target")
        return [(b"x-attempt", target.encode())]

    return attempt_head


async def test_each_attempt_has_its_own_lines_and_one_end(engine: str) -> None:
    policy = Hooks((("attempt_head", raising_at(9)),))
    async with fleet_gateway(engine, policies=[policy]) as scene:
        scene.fleet[0].behave(statuses(503)[0])
        scene.fleet[1].freeze()
        got = await scene.answered(scene.begin("PUT", content=b"whole"), within=1.3)
        assert got.status_code == 200
        scene.fleet[1].thaw()
        for number, target in enumerate(scene.fleet, 1):
            (received,) = target.received
            assert received.head.count(b"x-attempt:") == 1
            assert received.value(b"x-attempt") == b"http://svc-%d:8000" % number
        assert scene.attempts_of() == ["1 503", "2 given up", "3 200"]
        assert scene.record.of(scene.record.settled[-1].request_id) == [
            *("attempt_head", "attempt_ended"),
            *("attempt_head", "attempt_head"),
            *("attempt_ended", "attempt_ended", "settle"),
        ]


async def test_an_attempt_that_fails_before_its_head_has_an_end(engine: str) -> None:
    async with fleet_gateway(engine) as scene:
        await scene.fleet[0].kill()
        assert (await scene.ask()).status_code == 200
        (first, second) = [result for _, result in scene.record.attempts]
        assert (first.target, first.sent, first.status) == ("http://svc-1:8000", False, 0)
        assert (second.target, second.sent, second.status) == ("http://svc-2:8000", True, 200)
        await scene.fleet[0].restart()


@pytest.mark.parametrize("kept", [False, True])
async def test_a_policy_that_fails_at_the_second_attempt(
    engine: str, kept: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """It is a bug, as at the first, and neither attempt is left behind."""
    policy = Hooks((("attempt_head", raising_at(2)),))
    async with fleet_gateway(engine, policies=[policy]) as scene:
        if kept:  # there is a connection to the second already: nothing is awaited then
            scene.fleet[1].behave(saying(answer()))
            pool = scene.upstream.targets[1].pool
            pool.release(await pool.acquire(1.0))
        scene.fleet[0].freeze()
        asked = scene.begin()
        got = await scene.answered(asked, within=1.3)
        assert (got.status_code, got.json()["code"]) == (500, "internal_error")
        assert [target.busy for target in scene.targets()] == [0, 0, 0]
        assert scene.fleet.counts() == [1, 0, 0]
        scene.fleet[0].thaw()
        scene.fleet[1].behave(saying(answer()))
        assert "no head for this target" in caplog.text
        assert (await scene.ask("GET")).status_code == 200


async def test_a_policy_that_fails_at_an_attempt_again(engine: str) -> None:
    policy = Hooks((("attempt_head", raising_at(2)),))
    async with fleet_gateway(engine, policies=[policy]) as scene:
        scene.fleet[0].behave(statuses(503)[0])
        got = await scene.ask()
        assert (got.status_code, got.json()["code"]) == (500, "internal_error")
        assert scene.states() == "in in in"


async def test_a_policy_that_fails_when_an_attempt_has_ended(engine: str) -> None:
    ended: list[str] = []

    def attempt_ended(request: Request, result: AttemptResult) -> None:
        ended.append(result.target)
        raise RuntimeError("no end")

    async with fleet_gateway(engine, policies=[Hooks((("attempt_ended", attempt_ended),))]) as scene:
        scene.fleet[0].freeze()
        scene.fleet[1].behave(statuses(503)[0])
        scene.fleet[2].behave(saying(answer(b"ok")))
        got = await scene.answered(scene.begin(), within=2.5)
        assert (got.status_code, got.content) == (200, b"ok")
        assert sorted(ended) == [f"http://svc-{number}:8000" for number in (1, 2, 3)]
        scene.fleet[0].thaw()


async def test_a_key_that_raises_is_a_bug_of_one_request(engine: str) -> None:
    def key(request: Request) -> str:
        if request.head.all(b"x-bad"):
            raise RuntimeError("no key")
        return "a"

    async with fleet_gateway(engine, balance=Hash(key)) as scene:
        assert (await scene.ask(headers={"x-bad": "1"})).status_code == 500
        assert (await scene.ask()).status_code == 200
        assert scene.record.settled[0].attempts == 0  # one was to begin, and none has
