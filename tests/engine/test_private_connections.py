"""A service that authenticates connections (NTLM): a client's identity is never given to another.

The direct engine keeps such a connection with the client's own, so that the handshake and what follows it are made on one
connection. The asgi engine knows no client's connection: it closes the service's behind each exchange.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from time import monotonic

import pytest

from limen import Gateway, Limits, RoundRobin, Upstream, anyone
from limen.auth import Jwt
from limen.runtime.system import CURRENT, SYSTEM
from limen.testing import Conversation, Fleet, Script, ScriptedUpstream, snapshot
from serving import Served, serving, until
from tokens import SECRET

TYPE_1 = b"Authorization: NTLM TYPE1"
LIMITS = Limits(connections=4, keepalive=60, lifetime=None)


def type_3(name: bytes) -> bytes:
    return b"Authorization: NTLM TYPE3 " + name


def answer(status: bytes, content: bytes = b"", *lines: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 " + status, *lines, b"content-length: %d" % len(content), b"", content])


def challenge(more: bytes = b"") -> bytes:
    return answer(b"401 Unauthorized", b"", b"WWW-Authenticate: NTLM" + more)


class Mailbox:
    """The state of one connection to the service: who has authenticated it."""

    def __init__(self) -> None:
        self.begun = False
        self.owner = b""

    def answer(self, head: bytes) -> bytes:
        given = next((line[15:] for line in head.split(b"\r\n") if line.lower().startswith(b"authorization: ")), b"")
        if given == b"NTLM TYPE1":
            self.begun = True
            return challenge(b" TYPE2")
        if self.begun and given.startswith(b"NTLM TYPE3 "):
            self.owner = given[11:]
        if b" /svc/open" in head:
            return answer(b"200 OK", b"open")
        return answer(b"200 OK", b"mail of " + self.owner) if self.owner else challenge()


async def mailbox(conversation: Conversation) -> None:
    one = Mailbox()
    while True:
        await conversation.say(one.answer(await conversation.request()))


class Client:
    """A client on a connection of its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def asks(self, *lines: bytes, path: bytes = b"/svc/inbox") -> bytes:
        """Ask, and return the status and the content of the answer."""
        self.begins(*lines, path=path)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return head[9:12] + b" " + await self._reader.readexactly(length)

    def begins(self, *lines: bytes, path: bytes = b"/svc/inbox") -> None:
        self._writer.write(b"\r\n".join([b"GET " + path + b" HTTP/1.1", b"Host: g", *lines, b"", b""]))

    async def signs_in(self, name: bytes) -> list[bytes]:
        """Go through the handshake, and ask once more without credentials."""
        return [await self.asks(), await self.asks(TYPE_1), await self.asks(type_3(name)), await self.asks()]

    def leaves(self) -> None:
        self._writer.close()


Connect = Callable[[Served], Awaitable[Client]]


@pytest.fixture
async def client() -> AsyncGenerator[Connect]:
    """Connects clients, which leave at the end of the test at the latest."""
    clients: list[Client] = []

    async def connect(gateway: Served) -> Client:
        clients.append(Client(*await asyncio.open_connection("127.0.0.1", gateway.port)))
        return clients[-1]

    yield connect
    for one in clients:
        one.leaves()


SIGNED_IN = [b"401 ", b"401 ", b"200 mail of alice", b"200 mail of alice"]
NEVER_IN = [b"401 "] * 4


def build(*urls: str, limits: Limits = LIMITS, auth: Jwt | None = None) -> Gateway:
    app = Gateway(auth=auth)
    service = Upstream("svc", urls, limits=limits, balance=RoundRobin())
    app.forward("/svc/{path:path}", upstream=service, allow=anyone)
    return app


class Stage:
    """A gateway, and the service behind it."""

    def __init__(self, app: Gateway, gateway: Served, upstream: ScriptedUpstream) -> None:
        self.app = app
        self.gateway = gateway
        self.upstream = upstream

    def counts(self) -> tuple[int, int]:
        """Return how many connections to the service are idle, and how many busy."""
        [one] = snapshot(self.app).upstreams
        return one.idle, one.busy


@contextlib.asynccontextmanager
async def staged(limits: Limits = LIMITS, auth: Jwt | None = None) -> AsyncGenerator[Stage]:
    async with ScriptedUpstream(mailbox) as upstream:
        app = build(upstream.url, limits=limits, auth=auth)
        async with serving(app) as gateway:
            yield Stage(app, gateway, upstream)


async def test_the_handshake(engine: str, client: Connect) -> None:
    async with staged() as stage:
        alice = await client(stage.gateway)
        assert await alice.signs_in(b"alice") == (SIGNED_IN if engine == "direct" else NEVER_IN)
        assert stage.upstream.connections == (1 if engine == "direct" else 4)
        assert stage.counts() == ((0, 1) if engine == "direct" else (0, 0))
        stranger = await client(stage.gateway)
        assert await stranger.asks() == b"401 "
        alice.leaves()
        stranger.leaves()


async def test_two_clients_take_turns(engine: str, client: Connect) -> None:
    async with staged() as stage:
        alice, bob, eve = [await client(stage.gateway) for _ in range(3)]
        got: list[bytes] = []
        for lines in ((), (TYPE_1,)):
            got += [await one.asks(*lines) for one in (alice, bob)]
        got += [await alice.asks(type_3(b"alice")), await eve.asks(), await bob.asks(type_3(b"bob"))]
        for _ in range(2):
            got += [await one.asks() for one in (alice, bob, eve)]
        assert got[:4] == [b"401 "] * 4
        if engine == "direct":
            mails = [b"200 mail of alice", b"200 mail of bob", b"401 "]
            assert got[4:] == [mails[0], mails[2], mails[1], *mails, *mails]
        else:
            assert got[4:] == [b"401 "] * 9


async def test_pipelined_requests_of_one_client_share_its_connection(engine: str, client: Connect) -> None:
    async with staged() as stage:
        alice = await client(stage.gateway)
        for lines in ((), (TYPE_1,), (type_3(b"alice"),)):
            alice.begins(*lines)
        expected = SIGNED_IN if engine == "direct" else NEVER_IN
        # The answer that is read is always the next one.
        assert [await alice.asks() for _ in range(4)] == expected


@pytest.mark.parametrize("when", ["between requests", "within the handshake", "before the answer"])
async def test_nothing_is_left_of_a_client_that_leaves(when: str, engine: str, client: Connect) -> None:
    asked = asyncio.Event()

    async def slow(conversation: Conversation) -> None:
        one = Mailbox()
        while True:
            head = await conversation.request()
            if b"TYPE3" in head and when == "before the answer":
                asked.set()
                await conversation.reader.read()
                return
            await conversation.say(one.answer(head))

    async with staged() as stage:
        stage.upstream.scripts[:] = [slow]
        alice = await client(stage.gateway)
        await alice.asks(TYPE_1)
        if when == "between requests":
            await alice.asks(type_3(b"alice"))
        elif when == "before the answer":
            alice.begins(type_3(b"alice"))
            await asked.wait()
        alice.leaves()
        await until(lambda: stage.counts() == (0, 0))
        assert await (await client(stage.gateway)).asks() == b"401 "


async def test_a_full_pool_serves_others_first(engine: str, client: Connect) -> None:
    async with staged(replace(LIMITS, connections=1)) as stage:
        alice, bob = await client(stage.gateway), await client(stage.gateway)
        assert await alice.signs_in(b"alice") == (SIGNED_IN if engine == "direct" else NEVER_IN)
        assert await bob.asks(path=b"/svc/open") == b"200 open"
        assert await alice.asks() == b"401 "  # and she begins anew
        expected = b"200 mail of alice" if engine == "direct" else b"401 "
        assert [await alice.asks(TYPE_1), await alice.asks(type_3(b"alice"))] == [b"401 ", expected]


async def test_it_ends_when_it_is_idle_for_too_long(engine: str, client: Connect) -> None:
    passed = 0.0
    CURRENT.set(replace(SYSTEM, monotonic=lambda: monotonic() + passed))
    async with staged() as stage:
        alice = await client(stage.gateway)
        await alice.signs_in(b"alice")
        passed = LIMITS.keepalive
        assert await alice.asks() == b"401 "
        expected = b"200 mail of alice" if engine == "direct" else b"401 "
        assert [await alice.asks(TYPE_1), await alice.asks(type_3(b"alice"))] == [b"401 ", expected]


async def test_it_ends_with_its_life(engine: str, client: Connect) -> None:
    passed = 0.0
    CURRENT.set(replace(SYSTEM, monotonic=lambda: monotonic() + passed))
    async with staged(replace(LIMITS, lifetime=600)) as stage:
        alice = await client(stage.gateway)
        await alice.asks(TYPE_1)
        passed = 50.0
        in_time = [await alice.asks(type_3(b"alice")), await alice.asks()]
        assert in_time == ([b"200 mail of alice"] * 2 if engine == "direct" else [b"401 "] * 2)
        passed = 100.0
        await alice.asks(TYPE_1)
        for _ in range(10):
            passed += 59.0
            await alice.asks(path=b"/svc/open")
        assert await alice.asks() == b"401 "


async def test_a_service_that_closes_it_is_asked_on_another(client: Connect) -> None:
    async def once(conversation: Conversation) -> None:
        one = Mailbox()
        for _ in range(2):
            await conversation.say(one.answer(await conversation.request()))

    async with staged() as stage:
        stage.upstream.scripts[:] = [once, mailbox]
        alice = await client(stage.gateway)
        await alice.asks(TYPE_1)
        await alice.asks(type_3(b"alice"))
        assert await alice.asks() == b"401 "


@pytest.mark.parametrize("line", [b"Via: 1.1 front", b"X-Forwarded-For: 192.0.2.1", b"Forwarded: for=192.0.2.1"])
async def test_a_connection_from_a_proxy_may_bring_the_requests_of_many(line: bytes, client: Connect) -> None:
    async with staged() as stage:
        front = await client(stage.gateway)
        got = [await front.asks(line, *more) for more in ((), (TYPE_1,), (type_3(b"alice"),), ())]
        assert got == NEVER_IN
        assert (stage.upstream.connections, stage.counts()) == (4, (0, 0))


async def test_what_authenticates_a_request_leaves_the_connection_to_all(client: Connect) -> None:
    async with staged() as stage:
        one = await client(stage.gateway)
        for line in (b"Authorization: Basic bnRsbTo=", b"Authorization: Bearer ntlm.x", b"Authorization: XNTLM x"):
            assert await one.asks(line, path=b"/svc/open") == b"200 open"
            assert stage.counts() == (1, 0)
        assert stage.upstream.connections == 1


async def test_credentials_that_do_not_reach_the_service_do_not_count(client: Connect) -> None:
    async with staged(auth=Jwt(SECRET)) as stage:
        one = await client(stage.gateway)
        assert await one.asks(TYPE_1, path=b"/svc/open") == b"200 open"
        assert stage.counts() == (1, 0)
        assert b"TYPE1" not in stage.upstream.requests[0]


async def test_it_outlives_a_change_of_what_is_declared(engine: str, client: Connect) -> None:
    async with staged() as stage:
        alice = await client(stage.gateway)
        await alice.asks(TYPE_1)
        service = Upstream("svc", [stage.upstream.url], limits=LIMITS, balance=RoundRobin())
        stage.app.forward("/more", upstream=service, allow=anyone)
        assert await alice.asks(type_3(b"alice")) == (b"200 mail of alice" if engine == "direct" else b"401 ")


async def test_a_shutdown_closes_it(client: Connect) -> None:
    ended = asyncio.Event()

    async def watched(conversation: Conversation) -> None:
        try:
            await mailbox(conversation)
        finally:
            ended.set()

    async with ScriptedUpstream(watched) as upstream:
        async with serving(build(upstream.url)) as gateway:
            alice = await client(gateway)
            await alice.asks(TYPE_1)
            await alice.asks(type_3(b"alice"))
        await ended.wait()


# --- several targets ---


@contextlib.asynccontextmanager
async def fleet_of(count: int) -> AsyncGenerator[tuple[Fleet, Gateway, Served]]:
    """Yield targets that answer 401, with a challenge that says which one they are."""
    async with Fleet(count) as fleet:
        for number, target in enumerate(fleet):
            target.behave(told(challenge(b" %d" % number)))
        app = build(*fleet.urls)
        async with serving(app) as gateway:
            yield fleet, app, gateway


def told(data: bytes) -> Script:
    async def script(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.say(data)

    return script


async def test_a_client_stays_at_the_target_that_knows_it(engine: str, client: Connect) -> None:
    async with fleet_of(3) as (fleet, _, gateway):
        alice = await client(gateway)
        for _ in range(6):
            await alice.asks(TYPE_1)
        assert sorted(fleet.counts()) == ([0, 0, 6] if engine == "direct" else [2, 2, 2])


async def test_a_drained_target_finishes_a_handshake_and_no_more(engine: str, client: Connect) -> None:
    async with fleet_of(2) as (fleet, app, gateway):
        alice = await client(gateway)
        await alice.asks(TYPE_1)
        first = fleet.counts().index(1)
        app.active_config().runtime.drain_target("svc", fleet.urls[first])
        fleet[first].behave(told(answer(b"200 OK", b"in")))
        got = await alice.asks(type_3(b"alice"))
        assert got == (b"200 in" if engine == "direct" else b"401 ")
        assert await alice.asks() == b"401 "
        assert fleet.counts()[first] == (2 if engine == "direct" else 1)


@pytest.mark.parametrize("line", [TYPE_1, b"Authorization: Negotiate YII="])
async def test_no_other_target_is_asked_in_place_of_one_that_may_have_got_it(line: bytes, client: Connect) -> None:
    async with fleet_of(3) as (fleet, _, gateway):
        one = await client(gateway)
        for target in fleet:
            target.behave(told(answer(b"503 Service Unavailable", b"busy")))
        assert await one.asks(line) == b"503 busy"
        assert sum(fleet.counts()) == 1
        assert await (await client(gateway)).asks(b"Authorization: Basic eA==") == b"503 busy"
        assert sum(fleet.counts()) > 2  # what authenticates a request alone is retried as ever


async def test_what_no_target_has_got_is_tried_at_another(client: Connect) -> None:
    async with fleet_of(2) as (fleet, _, gateway):
        await fleet[0].kill()
        assert [await (await client(gateway)).asks(TYPE_1) for _ in range(2)] == [b"401 "] * 2
        await fleet[0].restart()
