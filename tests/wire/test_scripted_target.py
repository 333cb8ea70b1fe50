"""A scripted target, by the bytes that a client sends and gets: on a real socket, and in memory."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import pytest

from limen.testing import (
    Conversation,
    Script,
    ScriptedTarget,
    Stage,
    answer,
    delayed,
    dripping,
    flapping,
    garbage,
    hanging,
    refusing,
    resetting_at,
    saying,
    slowly,
    statuses,
    unreachable,
)
from limen.testing.recording import KEPT, KEPT_BODY
from scripted import Peer, Place, Wire, reached, turns
from serving import until

GET = b"GET /x?y=1 HTTP/1.1\r\nhost: t\r\n\r\n"
POST = b"POST /x HTTP/1.1\r\nhost: t\r\ncontent-length: 5\r\n\r\n"
CHUNKED = b"POST /x HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
BUSY = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"
HELLO = answer(b"hello")


@pytest.fixture(params=["memory", "socket"])
def place(request: pytest.FixtureRequest) -> Place:
    return request.param


@dataclass(frozen=True)
class Reset:
    """What a client has sent when it is reset at ``stage``, and has got by then; and what the target has read."""

    stage: Stage
    sent: bytes
    got: bytes = b""
    heads: int = 1
    body: bytes = b""
    complete: bool = False


RESETS = [
    Reset("connect", b"", heads=0),
    Reset("before_head", b"G", heads=0),
    Reset("after_head", POST),
    Reset("body", POST + b"h", body=b"h"),
    Reset("body", CHUNKED + b"5\r\nh", body=b"h"),
    Reset("before_answer", POST + b"hello", body=b"hello", complete=True),
    Reset("before_answer", CHUNKED + b"3;a=b\r\nhel\r\n2\r\nlo\r\n0\r\nx: y\r\n\r\n", body=b"hello", complete=True),
    Reset("answer_head", GET, got=b"HTTP/1.1 200 OK\r\n", complete=True),
    Reset("content", GET, got=HELLO[:-3], complete=True),
]


@pytest.mark.parametrize("case", RESETS, ids=lambda case: f"{case.stage} {len(case.sent)}")
async def test_resets_at_each_stage(place: Place, case: Reset) -> None:
    said = HELLO if case.got else None
    target = ScriptedTarget(resetting_at(case.stage, said), saying(OK))
    async with reached(target, place) as wire:
        peer = await wire.asks(case.sent)
        assert (await peer.end(), peer.got) == ("reset", case.got)
        assert (target.resets, target.connections, len(target.requests)) == (1, 1, case.heads)
        assert [(bytes(one.body), one.complete) for one in target.received] == [(case.body, case.complete)] * case.heads
        # The next request is served by the next script.
        other = await wire.asks(GET)
        await other.gets(OK)


@pytest.mark.parametrize(
    ("stage", "said", "problem"),
    [
        ("head", None, "use one of 'connect', 'before_head'"),
        ("content", OK, "two bytes of content or more"),
        ("before_answer", OK, "reset before an answer"),
    ],
)
def test_resets_that_cannot_be(stage: Any, said: bytes | None, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        resetting_at(stage, said)


async def test_a_reset_within_a_body_that_is_not_there_fails_the_test(place: Place) -> None:
    with pytest.raises(ValueError, match=r"'GET /x\?y=1 HTTP/1.1' has no body"):
        async with reached(ScriptedTarget(resetting_at("body")), place) as wire:
            await (await wire.asks(GET)).end()


async def test_garbage_instead_of_an_answer(place: Place) -> None:
    target = ScriptedTarget(garbage)
    async with reached(target, place) as wire:
        peer = await wire.asks(GET)
        await until(lambda: b"\r\n\r\n" in peer.got)
        assert not peer.got.startswith(b"HTTP/")
        assert not peer.ended


async def test_statuses_are_by_request_on_whatever_connection(place: Place) -> None:
    target = ScriptedTarget(statuses(200, 503, 503, 200), statuses(404))
    async with reached(target, place) as wire:
        one, other = await wire.connect(), await wire.connect()
        seen: list[bytes] = []
        for peer in (one, one, other, one, other, one):
            seen.append(await answered(peer))
        assert seen == [b"200", b"503", b"503", b"200", b"404", b"404"]
        assert (target.count(), target.connections, target.requests) == (6, 2, [GET] * 6)
        assert [one.connection for one in target.received] == [1, 1, 2, 1, 2, 1]
        assert (target.count("/x"), target.count("/y")) == (6, 0)
        assert (target.received[0].method, target.received[0].target, target.received[0].value(b"host")) == (
            b"GET",
            b"/x?y=1",
            b"t",
        )


async def answered(peer: Peer, request: bytes = GET) -> bytes:
    """Return the status of the answer to one more request; it has no content."""
    begin = len(peer.got)
    peer.send(request)
    await until(lambda: peer.got.endswith(b"\r\n\r\n") and len(peer.got) > begin)
    return peer.got[begin:].split(b" ")[1]


async def test_flapping(place: Place) -> None:
    target = ScriptedTarget(flapping(2, 1))
    async with reached(target, place) as wire:
        peer = await wire.connect()
        assert [await answered(peer) for _ in range(7)] == [b"200", b"200", b"503", b"200", b"200", b"503", b"200"]
        target.behave(flapping(1, 2, resetting_at("before_answer"), otherwise=saying(BUSY)))
        assert await answered(peer) == b"503"
        for _ in range(2):
            assert await (await wire.asks(GET)).end() == "reset"
        assert await answered(peer) == b"503"


def test_flapping_of_nothing_is_refused() -> None:
    for well, bad in ((0, 0), (-1, 3)):
        with pytest.raises(ValueError, match="requests are counted from 0"):
            flapping(well, bad)


async def test_connections_that_are_refused_take_the_place_of_requests(place: Place) -> None:
    target = ScriptedTarget(saying(OK), refusing, resetting_at("connect"), saying(BUSY))
    async with reached(target, place) as wire:
        kept = await wire.asks(GET)
        await kept.gets(OK)
        # A service that refuses connections has none: this one is reset, and it is not the one that is refused.
        kept.send(GET)
        assert await kept.end() == "reset"
        if place == "memory":
            with pytest.raises(ConnectionRefusedError):
                await wire.connect()
        else:
            assert await (await wire.connect()).end() == "reset"
        assert await (await wire.connect()).end() == "reset"
        await (await wire.asks(GET)).gets(BUSY)
        assert (target.connections, target.refusals) == (4, int(place == "memory"))
        assert target.resets == (2 if place == "memory" else 3)


async def test_nobody_gets_through(place: Place) -> None:
    target = ScriptedTarget(unreachable, saying(OK))
    async with reached(target, place) as wire:
        first = asyncio.create_task(wire.asks(GET))
        await (await until_connected(target, wire)).gets(OK)
        if place == "socket":
            assert (await first).got == b""
        assert first.done() == (place == "socket")
        first.cancel()


async def until_connected(target: ScriptedTarget, wire: Wire) -> Peer:
    """Return a connection that was made after another one has come to the target."""
    await until(lambda: target.connections == 1)
    return await wire.asks(GET)


async def test_delays_begin_with_the_head_and_end_before_the_script(place: Place) -> None:
    loop = asyncio.get_running_loop()
    target = ScriptedTarget(delayed(0.02, saying(HELLO)), delayed(0, resetting_at("after_head")))
    async with reached(target, place) as wire:
        began = loop.time()
        peer = await wire.asks(POST)
        await until(lambda: target.requests == [POST])
        assert target.in_progress == 1
        peer.send(b"hello")
        await peer.gets(HELLO)
        assert loop.time() - began >= 0.02 - 0.001  # the resolution of the loop's clock
        assert await (await wire.asks(POST)).end() == "reset"
        assert [bytes(one.body) for one in target.received] == [b"hello", b""]


async def test_answers_that_drip(place: Place) -> None:
    target = ScriptedTarget(dripping(HELLO, 0, size=7), dripping(HELLO, 0.001))
    async with reached(target, place) as wire:
        peer = await wire.asks(GET + GET)
        await peer.gets(HELLO * 2)
    with pytest.raises(ValueError, match="at least one byte"):
        dripping(OK, 1, size=0)


async def test_hanging_reads_and_records(place: Place) -> None:
    target = ScriptedTarget(hanging)
    async with reached(target, place) as wire:
        peer = await wire.asks(POST + b"hello")
        await until(lambda: bool(target.received) and target.received[0].complete)
        peer.send(b"whatever")
        await turns()
        assert (peer.got, peer.ended, bytes(target.received[0].body)) == (b"", "", b"hello")


async def test_a_script_is_left_where_it_asks_for_a_second_request(place: Place) -> None:
    ended: list[str] = []

    async def script(conversation: Conversation) -> None:
        try:
            while True:
                await conversation.request()
                await conversation.say(BUSY)
        finally:
            ended.append("script")

    target = ScriptedTarget(slowly(OK, 0))
    async with reached(target, place) as wire:
        peer = await wire.connect()
        assert await answered(peer) == b"200"
        target.behave(script)
        assert await answered(peer) == b"503"
        target.behave(saying(OK))
        assert await answered(peer) == b"200"
        assert (ended, target.connections) == (["script"], 1)


async def test_a_request_that_was_not_read_ends_its_connection(place: Place) -> None:
    async def early(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.say(OK)

    target = ScriptedTarget(early, saying(BUSY))
    async with reached(target, place) as wire:
        peer = await wire.asks(POST)
        await peer.end()
        assert peer.got == OK
        last = await wire.asks(GET.replace(b"host: t", b"connection: close"))
        assert (await last.end(), last.got) == ("end", BUSY)


async def test_a_body_after_its_head_and_half_a_body(place: Place) -> None:
    read: list[bytes] = []

    async def script(conversation: Conversation) -> None:
        head, body = await conversation.head(), await conversation.body()
        read.extend((head, body))
        await conversation.say(OK)

    target = ScriptedTarget(script)
    async with reached(target, place) as wire:
        peer = await wire.asks(CHUNKED + b"5\r\nhello\r\n0\r\n\r\n")
        await peer.gets(OK)
        assert read == [CHUNKED, b"hello"]
        peer.send(POST + b"hel")
        await until(lambda: target.count() == 2 and target.received[1].length == 3)
        peer.transport.close()
        await until(lambda: target.in_progress == 0)
        assert (bytes(target.received[1].body), target.received[1].complete, target.errors) == (b"hel", False, [])


async def test_a_path_of_its_own(place: Place) -> None:
    target = ScriptedTarget(statuses(200, 404))
    target.behave(statuses(503, 204), path="/x")
    target.behave(resetting_at("before_head"), path="/y")
    target.behave(refusing, path="/z")
    other = b"GET / HTTP/1.1\r\nhost: t\r\n\r\n"
    async with reached(target, place) as wire:
        peer = await wire.connect()
        seen = [await answered(peer, request) for request in (GET, other, GET, other, other, GET)]
        assert seen == [b"503", b"200", b"204", b"404", b"404", b"204"]
        for path in (b"/y", b"/z"):
            assert await (await wire.asks(other.replace(b"/", path, 1))).end() == "reset"
        assert (target.count("/x"), target.count("/"), target.count("/y")) == (3, 3, 1)


# --- freezing ---


async def test_frozen_it_reads_and_answers_once_it_is_thawed(place: Place) -> None:
    target = ScriptedTarget(saying(OK), resetting_at("after_head"), saying(OK))
    async with reached(target, place) as wire:
        kept = await wire.asks(GET)
        await kept.gets(OK)
        target.freeze()
        kept.send(POST + b"hello")
        fresh = await wire.asks(POST + b"there")
        await until(lambda: target.count() == 3)
        await turns()
        assert (kept.got, fresh.got, kept.ended, fresh.ended, target.in_progress) == (OK, b"", "", "", 2)
        assert {bytes(one.body) for one in target.received} >= {b"there"}
        target.thaw()
        assert await kept.end() == "reset"
        await fresh.gets(OK)
        assert target.most_in_progress == 2


@pytest.mark.parametrize("stops", ["reading", "accepting"])
async def test_frozen_it_reads_nothing(place: Place, stops: Any) -> None:
    target = ScriptedTarget()
    async with reached(target, place) as wire:
        kept = await wire.asks(GET)
        await kept.gets(OK)
        target.freeze(stops)
        kept.send(GET)
        connecting = asyncio.create_task(wire.asks(GET))
        await turns()
        connects = place == "socket" or stops == "reading"
        if connects:
            await connecting
        assert (connecting.done(), target.count(), kept.got) == (connects, 1, OK)
        target.thaw()
        await kept.gets(OK * 2)
        await (await connecting).gets(OK)
        assert (target.count(), target.connections) == (3, 2)


async def test_who_writes_to_a_service_that_does_not_read_is_held_back(place: Place) -> None:
    size = 16 << 20
    target = ScriptedTarget()
    async with reached(target, place) as wire:
        peer = await wire.connect()
        target.freeze("reading")
        peer.send(POST.replace(b"5", b"%d" % size, 1) + bytes(size))
        await turns()
        assert peer.held_back
        target.freeze()  # it reads, and does not answer
        await until(lambda: bool(target.received) and target.received[0].complete)
        assert (peer.held_back, peer.got, target.received[0].length) == (False, b"", size)
        assert len(target.received[0].body) == KEPT_BODY
        target.freeze()
        target.thaw()
        target.thaw()
        await peer.gets(OK)


async def test_who_has_left_a_frozen_service_gets_no_answer(place: Place) -> None:
    target = ScriptedTarget()
    async with reached(target, place) as wire:
        target.freeze()
        peer = await wire.asks(GET)
        await until(lambda: target.count() == 1)
        peer.transport.close()
        await peer.end()
        target.thaw()
        await (await wire.asks(GET)).gets(OK)
        assert (peer.got, target.count(), target.errors) == (b"", 2, [])


async def test_a_frozen_service_can_end(place: Place) -> None:
    target = ScriptedTarget()
    async with reached(target, place) as wire:
        target.freeze()
        await wire.asks(GET)
        await until(lambda: target.in_progress == 1)
    assert target.in_progress == 0


def test_it_freezes_in_three_ways() -> None:
    with pytest.raises(ValueError, match="use 'answering', 'reading', 'accepting'"):
        ScriptedTarget().freeze(cast("Any", "thinking"))


# --- killing ---


async def test_killed_and_restarted(place: Place) -> None:
    target = ScriptedTarget()
    async with reached(target, place) as wire:
        idle, busy = await wire.asks(GET), await wire.connect()
        await idle.gets(OK)
        target.freeze()
        busy.send(GET)
        await until(lambda: target.in_progress == 1)
        await target.kill()
        assert (await idle.end(), await busy.end(), target.in_progress) == ("reset", "reset", 0)
        with pytest.raises(ConnectionRefusedError):
            await wire.connect()
        await target.restart()
        await target.restart()  # it is there already
        await (await wire.asks(GET)).gets(OK)
        await target.kill()
        await target.kill()
        with pytest.raises(ConnectionRefusedError):
            await wire.connect()


# --- what is recorded ---


async def test_what_is_recorded_is_bounded_and_counts_are_exact(place: Place) -> None:
    target = ScriptedTarget()
    more = 5
    async with reached(target, place) as wire:
        peer = await wire.connect()
        for number in range(0, KEPT, 1000):
            peer.send(GET * 1000)
            await until(lambda number=number: target.count() == number + 1000)
        peer.send(GET.replace(b"/x", b"/z") * more)
        await until(lambda: target.count() == KEPT + more)
        assert (len(target.requests), len(target.received), target.count("/z")) == (KEPT, KEPT, more)
        await until(lambda: target.in_progress == 0)
        target.forget()
        assert (target.requests, list(target.received), target.count(), target.connections) == ([], [], 0, 0)
        assert "0 requests on 0 connections" in repr(target)


async def test_a_script_that_fails_fails_the_test(place: Place) -> None:
    async def broken(conversation: Conversation) -> None:
        await conversation.request()
        raise ZeroDivisionError

    target = ScriptedTarget(broken)
    with pytest.raises(ZeroDivisionError):
        async with reached(target, place) as wire:
            assert await (await wire.asks(GET)).end() == "end"
    assert target.in_progress == 0


async def test_a_body_without_its_head(place: Place) -> None:
    async def wrong(conversation: Conversation) -> None:
        await conversation.body()

    with pytest.raises(RuntimeError, match=r"call head\(\) before"):
        async with reached(ScriptedTarget(wrong), place) as wire:
            await (await wire.asks(GET)).end()


def test_what_is_no_script_is_refused() -> None:
    target = ScriptedTarget()
    for nothing in ((), ((),), (iter(()),)):
        with pytest.raises(ValueError, match="at least one script"):
            target.behave(*cast("Iterator[Script]", nothing))
    for wrong in (answer("hello"), 200, "hello"):
        with pytest.raises(TypeError, match=r"as in saying\(answer\('hello'\)\)"):
            target.behave(cast("Any", wrong))
    with pytest.raises(RuntimeError, match="enter it"):
        _ = target.url
