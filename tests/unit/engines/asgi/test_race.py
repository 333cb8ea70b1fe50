"""Two attempts at once under an ASGI server: whoever leaves meanwhile, each attempt tells its end."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from limen.engines.asgi import attempts as module
from limen.errors import Fault, Kind
from limen.upstream.error import UpstreamError


class ScriptedAttempt:
    """An attempt that answers, or fails, when it is told; ``stubborn`` takes a while to notice that it is cancelled."""

    status = 200

    def __init__(self, stubborn: asyncio.Event | None = None) -> None:
        self.trial = None
        self.told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.begun = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.gone = asyncio.Event()
        self.ended = 0
        self._stubborn = stubborn

    async def answer(self) -> object:
        self.begun.set()
        try:
            await self.told
        except UpstreamError:
            self.ended += 1
            raise
        except asyncio.CancelledError:
            self.cancelled.set()
            if self._stubborn is not None:
                await self._stubborn.wait()
            self.ended += 1
            self.gone.set()
            raise
        return self

    def answered(self) -> Any:
        return self

    async def aclose(self) -> None:
        self.ended += 1


class HedgingAttempts:
    """The decisions: a second attempt may always begin, and no status is a failure."""

    def may_hedge(self, *, replayable: bool) -> bool:
        return replayable

    def is_failure(self, status: int) -> bool:
        return False


Racing = Callable[..., "asyncio.Task[Any]"]


@pytest.fixture
def racing(monkeypatch: pytest.MonkeyPatch) -> Racing:
    """Begins a race of two attempts, the second one at once."""

    def begin(first: ScriptedAttempt, second: ScriptedAttempt) -> "asyncio.Task[Any]":
        monkeypatch.setattr(module, "Attempt", lambda *_: second)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType] - of any attempt
        race_class: Any = vars(module)["_Race"]
        race = race_class(None, None, None, HedgingAttempts())
        return asyncio.create_task(race.run(first, 1e-9))

    return begin


async def test_the_first_answer_wins_and_the_other_attempt_is_cancelled(racing: Racing) -> None:
    first, second = ScriptedAttempt(), ScriptedAttempt()
    race = racing(first, second)
    await second.begun.wait()
    second.told.set_result(None)
    assert await race == (second, None)
    assert (first.ended, second.ended) == (1, 0)


async def test_of_two_answers_at_the_same_time_one_is_given_up(racing: Racing) -> None:
    first, second = ScriptedAttempt(), ScriptedAttempt()
    race = racing(first, second)
    await second.begun.wait()
    first.told.set_result(None)
    second.told.set_result(None)
    winner, _ = await race
    assert {first.ended, second.ended} == {0, 1}
    assert cast("ScriptedAttempt", winner).ended == 0


async def test_a_client_that_leaves_while_the_loser_ends_leaves_no_answer_behind(racing: Racing) -> None:
    loser_ends = asyncio.Event()
    first, second = ScriptedAttempt(loser_ends), ScriptedAttempt()
    race = racing(first, second)
    await second.begun.wait()
    second.told.set_result(None)
    await first.cancelled.wait()
    race.cancel()
    with pytest.raises(asyncio.CancelledError):
        await race
    assert second.ended == 1
    loser_ends.set()
    async with asyncio.timeout(10):
        await first.gone.wait()


async def test_one_that_fails_leaves_the_other_in_the_race(racing: Racing) -> None:
    first, second = ScriptedAttempt(), ScriptedAttempt()
    race = racing(first, second)
    await second.begun.wait()
    fault = Fault(Kind.UPSTREAM_CLOSED)
    second.told.set_exception(UpstreamError(fault))
    first.told.set_result(None)
    winner, error = await race
    assert (winner, error) == (first, None)
    assert (first.ended, second.ended) == (0, 1)
