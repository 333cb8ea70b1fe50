"""A request body that is to go to another target as well: it comes there whole and byte for byte, or not at all."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fleets import Scene, fleet_gateway
from limen.client.limits import ClientLimits
from limen.exchange.granted import Transform
from limen.exchange.request import Request
from limen.testing import Conversation, Script, answer, garbage, resetting, resetting_at, saying, statuses
from limen.upstream.retry import Retry

KiB = 1024
PIECES = [b"%05d." % number * 100 for number in range(20)]  # 12 kB
WHOLE = b"".join(PIECES)

BEFORE: dict[str, Script] = {
    "resets": resetting,
    "garbage": garbage,
    "503": statuses(503)[0],
    "resets after the head": resetting_at("after_head"),
    "resets within the body": resetting_at("body"),
}

OK = answer(b"ok")


def echo(kept: list[bytes]) -> Script:
    """Return a script that keeps each body that came whole."""

    async def script(conversation: Conversation) -> None:
        await conversation.head()
        kept.append(await conversation.body())
        await conversation.say(OK)

    return script


async def pieces(parts: list[bytes], between: Callable[[int], Any] | None = None) -> AsyncGenerator[bytes]:
    """Send ``parts`` one by one; ``between`` is called with the number of each before it goes."""
    for number, part in enumerate(parts):
        if between is not None:
            await between(number)
        yield part


@asynccontextmanager
async def scene_with_echo(engine: str, bad: Script, **declared: Any) -> AsyncGenerator[tuple[Scene, list[bytes]]]:
    async with fleet_gateway(engine, **declared) as scene:
        kept: list[bytes] = []
        for target in scene.fleet:
            target.behave(echo(kept))
        scene.fleet[0].behave(bad)
        yield scene, kept


def framed(framing: str, parts: list[bytes]) -> dict[str, Any]:
    headers = {"content-length": str(sum(map(len, parts)))} if framing == "length" else {}
    return {"content": pieces(parts), "headers": headers}


@pytest.mark.parametrize("fault", BEFORE)
@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("method", ["PUT", "DELETE", "GET"])
async def test_a_body_that_is_at_hand_is_sent_again(engine: str, framing: str, method: str, fault: str) -> None:
    async with scene_with_echo(engine, BEFORE[fault]) as (scene, kept):
        got = await scene.ask(method, **framed(framing, PIECES))
        assert got.status_code == 200
        assert kept == [WHOLE]
        assert scene.record.settled[-1].attempts == 2


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_body_of_which_more_is_to_come_is_sent_again(engine: str, framing: str) -> None:
    """The service fails while the client has sent half of it, and the other half goes to the other target alone."""
    failed = asyncio.Event()
    resumed = asyncio.Event()

    async def bad(conversation: Conversation) -> None:
        await conversation.head()
        got = b""
        while len(got) < len(WHOLE) // 2:
            got += await conversation.body_part()
        conversation.reset()
        failed.set()

    async def between(number: int) -> None:
        if number == len(PIECES) // 2:
            await resumed.wait()

    async with scene_with_echo(engine, bad) as (scene, kept):
        options: dict[str, Any] = framed(framing, PIECES) | {"content": pieces(PIECES, between)}
        asked = scene.begin("PUT", **options)
        while not failed.is_set():
            await scene.clock.advance(0.01)
        await scene.clock.advance(0.1)
        assert scene.fleet.counts() == [1, 1, 0]
        assert kept == []
        resumed.set()
        assert (await scene.answered(asked)).status_code == 200
        assert kept == [WHOLE]


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_body_that_comes_on_while_an_attempt_pauses(engine: str, framing: str) -> None:
    """The pause before another attempt is long here, and the client goes on sending."""
    resumed, failed = asyncio.Event(), asyncio.Event()

    async def bad(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.body_part(1)
        await conversation.say(answer(status=503))
        conversation.reset()
        failed.set()

    async def between(number: int) -> None:
        if number == 3:
            await resumed.wait()

    async with scene_with_echo(engine, bad, retry=Retry(backoff=10)) as (scene, kept):
        options: dict[str, Any] = framed(framing, PIECES) | {"content": pieces(PIECES, between)}
        asked = scene.begin("PUT", **options)
        while not failed.is_set():
            await scene.clock.advance(0.0)
        resumed.set()
        assert (await scene.answered(asked, within=20)).status_code == 200
        assert kept == [WHOLE]


@pytest.mark.parametrize("fault", ["resets", "503"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("size", [4 * KiB - 1, 4 * KiB, 4 * KiB + 1, 300 * KiB])
async def test_a_body_that_is_too_large_to_be_kept(engine: str, framing: str, size: int, fault: str) -> None:
    async with scene_with_echo(engine, BEFORE[fault], retry=Retry(body=4 * KiB)) as (scene, kept):
        content = bytes(number % 251 for number in range(size))
        parts = [content[at : at + 1000] for at in range(0, size, 1000)]
        got = await scene.ask("PUT", **framed(framing, parts))
        attempts = scene.record.settled[-1].attempts
        if attempts == 2:
            assert (got.status_code, kept) == (200, [content])
        else:
            assert (got.status_code, kept, attempts) == (502 if fault == "resets" else 503, [], 1)
        assert attempts == 2 or size > 4 * KiB


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_bytes_that_are_kept_give_way_when_the_worker_holds_too_much(engine: str, framing: str) -> None:
    """A body that is on its way is kept for nothing but another attempt: without it, there is none, and no other harm."""
    resumed = asyncio.Event()

    async def slow(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.body_part(1)
        await resumed.wait()
        await conversation.body()
        conversation.reset()

    limits = ClientLimits(body_memory=64 * KiB)  # of which three eighths are content
    async with scene_with_echo(engine, slow, limits=limits, hedge=None) as (scene, kept):
        memory = scene.app.active_config().runtime.body_memory
        asked = scene.begin("PUT", **framed(framing, [b"a" * 6000] * 3))
        await scene.clock.advance(0.05)
        assert memory.total == 18_000
        await scene.clock.advance(2)
        scene.fleet[1].freeze("reading")
        other = scene.begin("PUT", **framed(framing, [b"b" * 6000] * 2))
        await scene.clock.advance(0.05)
        assert memory.total <= 12_000
        assert not asked.done()
        resumed.set()
        assert (await scene.answered(asked)).status_code == 502
        scene.fleet[1].thaw()
        assert (await scene.answered(other)).status_code == 200
        assert kept == [b"b" * 12_000]


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_bytes_that_give_way_while_an_attempt_pauses(engine: str, framing: str) -> None:
    """No target may get the rest of a body, or none of it, as if that were all."""
    async with scene_with_echo(
        engine, statuses(503)[0], limits=ClientLimits(body_memory=64 * KiB), hedge=None, retry=Retry(backoff=10)
    ) as (scene, kept):
        memory = scene.app.active_config().runtime.body_memory
        asked = scene.begin("PUT", **framed(framing, [b"a" * 6000] * 3))
        while scene.upstream.retrying == 0:
            await scene.clock.advance(0.0)
        assert (memory.total, scene.upstream.in_flight) == (18_000, 0)
        await scene.clock.advance(0.001)
        scene.fleet[1].freeze("reading")
        other = scene.begin("PUT", **framed(framing, [b"b" * 6000] * 2))
        await scene.clock.advance(0.001)
        got = await scene.answered(asked, within=20)
        assert (got.status_code, got.json()["code"]) == (503, "bodies_full")
        scene.fleet[1].thaw()
        assert (await scene.answered(other)).status_code == 200
        assert kept == [b"b" * 12_000]


async def test_a_frozen_target_and_a_body(engine: str) -> None:
    """A second attempt begins only once all of the body is at hand; the first goes on meanwhile."""
    resumed = asyncio.Event()

    async def between(number: int) -> None:
        if number == 5:
            await resumed.wait()

    async with scene_with_echo(engine, saying(answer())) as (scene, kept):
        scene.fleet[0].freeze()
        asked = scene.begin("PUT", content=pieces(PIECES, between))
        await scene.clock.advance(3)
        assert scene.fleet.counts() == [1, 0, 0]
        resumed.set()
        assert (await scene.answered(asked)).status_code == 200
        assert kept == [WHOLE]
        assert scene.fleet.counts() == [1, 1, 0]
        scene.fleet[0].thaw()
        await scene.settle()
        assert [bytes(one.body) for one in scene.fleet[0].received if one.complete] in ([], [WHOLE])


class Doubling(Transform):
    """Repeats each piece. It inherits, as policies may, whether or not the gateway is compiled."""

    def feed(self, data: bytes) -> bytes:
        return data * 2

    def flush(self) -> bytes:
        return b""

    def end(self) -> bytes:
        return b"end"


class Doubles:
    """A policy that changes bodies."""

    rank = 500
    adds = True
    name = "doubles"

    def live(self, environment: object) -> "Doubles":
        return self

    def request_body(self, request: Request) -> Transform:
        return Doubling()


@pytest.mark.parametrize("fault", BEFORE)
async def test_a_body_that_a_policy_changes_is_changed_once(engine: str, fault: str) -> None:
    async with scene_with_echo(engine, BEFORE[fault], policies=[Doubles()]) as (scene, kept):
        assert (await scene.ask("PUT", content=pieces([b"one"]))).status_code == 200
        assert kept == [b"oneoneend"]


@pytest.mark.parametrize("method", ["PUT", "POST"])
async def test_a_client_that_leaves_within_its_body(engine: str, method: str) -> None:
    async def never(number: int) -> None:
        if number == 2:
            await asyncio.Event().wait()

    async with scene_with_echo(engine, saying(answer())) as (scene, kept):
        asked = scene.begin(method, content=pieces(PIECES, never))
        await scene.clock.advance(0.1)
        asked.cancel()
        await asyncio.wait((asked,))
        await scene.clock.advance(0.5)
        assert scene.fleet.counts() == [1, 0, 0]
        assert kept == []
        assert scene.states() == "in in in"
