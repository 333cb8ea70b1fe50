"""Several targets and what only a socket shows: clients that wait for 100 or leave, pipelines, upgrades, stops."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from limen import Gateway, Timeouts, Upstream, anyone
from limen.testing import Conversation, Fleet, answer, drained, garbage, resetting, saying, snapshot, statuses
from limen.upstream.balance import RoundRobin
from limen.upstream.retry import Hedge, Retry
from serving import Served, serving, until

OK = answer(b"ok")


class Stage:
    """A gateway on a socket, and its fleet."""

    def __init__(self, app: Gateway, served: Served, fleet: Fleet) -> None:
        self.app = app
        self.served = served
        self.fleet = fleet

    def in_flight(self) -> int:
        return sum(target.in_flight for one in snapshot(self.app).upstreams for target in one.targets)


@asynccontextmanager
async def stage(**declared: Any) -> AsyncGenerator[Stage]:
    async with Fleet(3) as fleet:
        app = Gateway()
        given: dict[str, Any] = {"balance": RoundRobin(), "hedge": Hedge(initial=0.05)} | declared
        app.forward("/svc/{path:path}", upstream=Upstream("svc", fleet.urls, **given), allow=anyone)
        async with serving(app) as served:
            made = Stage(app, served, fleet)
            yield made
            async with asyncio.timeout(10):
                await drained(app)
                await until(lambda: not made.in_flight())
            bodies = app.active_config().runtime.body_memory
            await until(lambda: not bodies.total)
        for target in fleet:
            target.thaw()


EXPECTS = b"PUT /svc/x HTTP/1.1\r\nhost: g\r\nconnection: close\r\nexpect: 100-continue\r\n"


@pytest.mark.parametrize("framing", [b"content-length: 4\r\n\r\n", b"transfer-encoding: chunked\r\n\r\n"])
async def test_a_client_that_waits_for_100_is_told_once(framing: bytes) -> None:
    async with stage() as one:
        one.fleet[0].behave(resetting)
        reader, writer = await asyncio.open_connection("127.0.0.1", one.served.port)
        writer.write(EXPECTS + framing)
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"body" if b"length" in framing else b"4\r\nbody\r\n0\r\n\r\n")
        got = await reader.read()
        writer.close()
        assert got.startswith(b"HTTP/1.1 200 "), got
        assert b"100 Continue" not in got
        assert one.fleet.counts() == [1, 1, 0]
        assert one.fleet[1].received[0].body == b"body"


async def test_a_service_that_answers_before_the_body_has_come(engine: str) -> None:
    """Nothing of the body is lost: the next one gets it from the begin."""

    async def early(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.say(answer(status=503))

    async with stage() as one:
        one.fleet[0].behave(early)
        reader, writer = await asyncio.open_connection("127.0.0.1", one.served.port)
        writer.write(EXPECTS.replace(b"expect: 100-continue\r\n", b"") + b"content-length: 8\r\n\r\nhalf")
        await until(lambda: one.fleet.counts() == [1, 1, 0])
        writer.write(b"half")
        got = await reader.read()
        writer.close()
        assert got.startswith(b"HTTP/1.1 200 "), (engine, got)
        assert one.fleet[1].received[0].body == b"halfhalf"


async def test_pipelined_requests_are_answered_in_their_order() -> None:
    async def own(conversation: Conversation) -> None:
        await conversation.say(answer((await conversation.request()).split(b" ")[1]))

    async with stage() as one:
        for target in one.fleet:
            target.behave(own)
        one.fleet[0].freeze()
        one.fleet[1].behave(*[garbage, own, statuses(503)[0], own, resetting] * 5, own)
        paths = [b"/svc/%d" % number for number in range(30)]
        head = b"GET %b HTTP/1.1\r\nhost: g\r\n%b\r\n"
        got = await one.served.raw(
            b"".join(head % (path, b"connection: close\r\n" if path is paths[-1] else b"") for path in paths)
        )
        contents = [part.split(b"\r\n\r\n", 1)[1] for part in got.split(b"HTTP/1.1 200 OK\r\n")[1:]]
        assert contents == paths
        one.fleet[0].thaw()


@pytest.mark.parametrize("method", [b"GET", b"PUT"])
async def test_clients_that_leave_while_attempts_pause_or_race(method: bytes) -> None:
    async with stage(retry=Retry(backoff=0.2, least=100)) as one:
        for target in one.fleet:
            target.behave(*[*statuses(503), saying(OK)] * 100)
        one.fleet[2].freeze()
        body = b"content-length: 4\r\n\r\nbody" if method == b"PUT" else b"\r\n"
        for wait in (0.0, 0.001, 0.01, 0.03, 0.06, 0.08):
            clients = [await asyncio.open_connection("127.0.0.1", one.served.port) for _ in range(8)]
            for _, writer in clients:
                writer.write(method + b" /svc/x HTTP/1.1\r\nhost: g\r\n" + body)
            await asyncio.sleep(wait)  # wherever they are by then
            for _, writer in clients:
                writer.transport.abort()
        one.fleet[2].thaw()


async def test_an_upgrade_is_not_passed_on_and_not_in_the_way() -> None:
    async with stage() as one:
        one.fleet[0].behave(resetting)
        got = await one.served.raw(
            b"GET /svc/x HTTP/1.1\r\nhost: g\r\nconnection: upgrade, close\r\nupgrade: other\r\n\r\n"
        )
        assert got.startswith(b"HTTP/1.1 200 "), got
        assert one.fleet.counts() == [1, 1, 0]
        assert b"upgrade" not in one.fleet[1].requests[0].lower()


async def test_a_graceful_stop_waits_for_attempts_that_pause_and_race() -> None:
    async with stage(retry=Retry(backoff=0.3)) as one:
        one.fleet[0].behave(*statuses(503))
        one.fleet[1].behave(saying(OK))
        one.fleet[2].freeze()
        clients = [await asyncio.open_connection("127.0.0.1", one.served.port) for _ in range(3)]
        for _, writer in clients:
            writer.write(b"GET /svc/x HTTP/1.1\r\nhost: g\r\n\r\n")
        await until(lambda: sum(one.fleet.counts()) >= 3)
        one.served.stop()
        for reader, writer in clients:
            got = await reader.read()
            assert got.startswith(b"HTTP/1.1 200 "), got
            writer.close()


async def test_a_client_that_does_not_read_is_served_by_one_target() -> None:
    content = b"x" * 2_000_000
    async with stage(timeouts=Timeouts(idle=5.0)) as one:
        for target in one.fleet:
            target.behave(saying(answer(content)))
        one.fleet[0].freeze()
        reader, writer = await asyncio.open_connection("127.0.0.1", one.served.port, limit=1000)
        writer.write(b"GET /svc/x HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        assert len(await reader.read()) == len(content)
        writer.close()
        assert one.fleet.counts() == [1, 1, 0]
