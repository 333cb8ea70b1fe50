"""Answers: one that has begun is never retried, one that is checked may be, and each is the answer to its request."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import cast

import httpx2
import pytest
from pydantic import BaseModel

from fleets import HOOKS, Engine, Scene, StillClock, code, fleet_gateway, logged, upstream_of
from limen import Gateway, anyone
from limen.testing import (
    Conversation,
    EveryHook,
    Fleet,
    Record,
    answer,
    garbage,
    resetting,
    resetting_at,
    saying,
    serving,
    statuses,
)


class Item(BaseModel):
    id: int


async def cut_in_chunks(conversation: Conversation) -> None:
    await conversation.request()
    await conversation.say_and_reset(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nbegun\r\n")


@pytest.mark.parametrize("script", [resetting_at("content"), cut_in_chunks])
async def test_an_answer_that_breaks_off_is_cut_and_not_retried(
    engine: str, script: object, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "limen.access")
    async with fleet_gateway(engine) as scene:
        for target in scene.fleet:
            target.behave(script)  # pyright: ignore[reportArgumentType]
        with pytest.raises(httpx2.RemoteProtocolError):
            await scene.ask()
        assert sum(scene.fleet.counts()) == 1
        await scene.settle()
        (line,) = logged(caplog)
        assert (line["attempts"], line["code"]) == ("1", "upstream_closed")
        for _ in range(8):
            with pytest.raises(httpx2.RemoteProtocolError):
                await scene.ask()
        assert scene.states().count("out") == 2  # it is a failure of the target all the same


async def test_an_answer_with_trailers_is_passed_on(engine: str) -> None:
    said = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\ngrpc-status: 14\r\n\r\n"
    async with fleet_gateway(engine) as scene:
        for target in scene.fleet:
            target.behave(saying(said))
        assert (await scene.ask()).status_code == 200
        assert sum(scene.fleet.counts()) == 1


@asynccontextmanager
async def checked_gateway(engine: str) -> AsyncGenerator[Scene]:
    """A gateway that reads and checks what services answer."""
    fleet, clock, record = Fleet(3, "svc"), StillClock(), Record()
    app = Gateway(policies=[EveryHook(record, phases=HOOKS)])
    upstream = upstream_of(fleet)

    def double(item: Item) -> Item:
        return Item(id=item.id * 2)

    app.forward("/svc/{path:path}", upstream=upstream, allow=anyone)
    svc = app.group("", upstream=upstream, allow=anyone)

    @svc.get("/checked", after=double)
    def one() -> Item: ...

    @svc.put("/checked", after=double)
    def put(item: Item) -> Item: ...

    del one, put
    async with serving(app, services=fleet.services, clock=clock, engine=cast("Engine", engine)) as client:
        scene = Scene(app, fleet, clock, client, record)
        yield scene
        await scene.check_end()


FAULTS = {
    "resets": resetting,
    "garbage": garbage,
    "503": statuses(503, content={"id": 7})[0],
    "resets in the head": resetting_at("answer_head"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_a_checked_answer_comes_from_the_target_that_answers(engine: str, method: str, fault: str) -> None:
    async with checked_gateway(engine) as scene:
        scene.fleet[0].behave(FAULTS[fault])
        for target in list(scene.fleet)[1:]:
            target.behave(saying(answer({"id": 21})))
        options = {"json": {"id": 4}} if method == "PUT" else {}
        got = await scene.ask(method, "/checked", **options)
        assert (got.status_code, got.json()) == (200, {"id": 42})
        assert scene.fleet.counts() == [1, 1, 0]
        if method == "PUT":
            assert [bytes(one.body) for target in scene.fleet for one in target.received] == [b'{"id":4}'] * 2


@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_a_checked_answer_of_a_late_target(engine: str, method: str) -> None:
    async with checked_gateway(engine) as scene:
        for target in scene.fleet:
            target.behave(saying(answer({"id": 21})))
        scene.fleet[0].freeze()
        options = {"json": {"id": 4}} if method == "PUT" else {}
        got = await scene.answered(scene.begin(method, "/checked", **options), within=1.2)
        assert (got.status_code, got.json()) == (200, {"id": 42})
        assert scene.attempts_of() == ["1 given up", "2 200"]


async def test_a_checked_answer_that_breaks_off_is_not_retried(engine: str) -> None:
    async with checked_gateway(engine) as scene:
        for target in scene.fleet:
            target.behave(resetting_at("content", answer({"id": 21})))
        got = await scene.ask(path="/checked")
        assert (got.status_code, code(got)) == (502, "upstream_closed")
        assert sum(scene.fleet.counts()) == 1


async def test_an_answer_that_does_not_fit_its_contract_says_nothing_of_the_target(engine: str) -> None:
    async with checked_gateway(engine) as scene:
        for target in scene.fleet:
            target.behave(saying(answer({"id": "none"})))
        for _ in range(12):
            assert code(await scene.ask(path="/checked")) == "upstream_contract"
        assert scene.states() == "in in in"
        assert sum(scene.fleet.counts()) == 12


async def test_interim_answers_of_two_attempts(engine: str) -> None:
    """They are not passed on, and do not end the race."""
    release = asyncio.Event()

    async def hints(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.say(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n")
        await release.wait()
        await conversation.say(answer("first"))

    async with fleet_gateway(engine) as scene:
        scene.fleet[0].behave(hints)
        scene.fleet[1].behave(saying(b"HTTP/1.1 103 Early Hints\r\nlink: </b>\r\n\r\n" + answer("second")))
        got = await scene.answered(scene.begin(), within=1.2)
        assert (got.status_code, got.json()) == (200, "second")
        release.set()


async def test_head_and_its_content_length(engine: str) -> None:
    async with fleet_gateway(engine) as scene:
        scene.fleet[0].behave(saying(b"HTTP/1.1 503 Down\r\ncontent-length: 4\r\n\r\n"))
        scene.fleet[1].behave(saying(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n"))
        for _ in range(2):
            got = await scene.ask("HEAD")
            assert (got.status_code, got.headers["content-length"], got.content) == (200, "4", b"") or (
                got.status_code == 200 and scene.fleet.counts()[2] == 1
            )


@pytest.mark.parametrize("size", [10, 100_000, 1_000_000])
async def test_the_content_of_an_answer_that_is_replaced_goes_nowhere(engine: str, size: int) -> None:
    async with fleet_gateway(engine) as scene:
        scene.fleet[0].behave(saying(answer(b"x" * size, 503)))
        scene.fleet[1].behave(saying(answer(b"y" * size, 200)))
        got = await scene.ask()
        assert (got.status_code, got.content) == (200, b"y" * size)
        assert scene.attempts_of() == ["1 503", "2 200"]
        assert scene.targets()[0].busy == 0


async def test_each_of_many_gets_its_own(engine: str) -> None:
    async def own(conversation: Conversation) -> None:
        head = await conversation.request()
        await conversation.say(answer(head.split(b" ")[1]))

    async with fleet_gateway(engine) as scene:
        for target in scene.fleet:
            target.behave(own)
        await scene.learn()
        scene.fleet[0].freeze()
        scene.fleet[1].behave(*[own, resetting, own, own, statuses(503)[0], own, garbage] * 10, own)
        asked = [scene.begin(path=f"/svc/{number}") for number in range(60)]
        for number, got in enumerate(await scene.all_answered(asked)):
            if got.status_code == 200:
                assert got.content == b"/svc/%d" % number
        scene.fleet[0].thaw()
        await scene.settle()
        for number in range(60):
            got = await scene.ask(path=f"/svc/again{number}")
            assert (got.status_code, got.content) == (200, b"/svc/again%d" % number)
