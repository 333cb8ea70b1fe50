"""What a policy does wrong, or a client meanwhile: the request has one end, and nobody else feels it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from limen import Gateway, Upstream, anyone
from limen.client.limits import ClientLimits
from limen.engines.asgi import body
from limen.exchange.answer import Answer
from limen.exchange.granted import Tap, Transform
from limen.exchange.policy import Environment
from limen.exchange.request import Request
from limen.http.headers import Headers
from limen.http.replies import Reply
from limen.testing import Conversation, EveryHook, Record, ScriptedUpstream, saying
from limen.upstream.declared import Timeouts
from serving import serving, until

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
GET = b"GET /svc/x HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n"
KEPT = b"GET /svc/x HTTP/1.1\r\nhost: g\r\n\r\n"
CHUNKED = b"POST /svc/x HTTP/1.1\r\nhost: g\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"


@dataclass(frozen=True)
class Only:
    """A policy of the hooks that it is given."""

    rank: ClassVar[int] = 700
    adds: ClassVar[bool] = True

    hooks: tuple[tuple[str, Any], ...]
    name: str = "only"

    def live(self, world: Environment) -> object:
        return type("Live", (), {name: staticmethod(hook) for name, hook in self.hooks})()


def only(**hooks: Callable[..., Any]) -> Only:
    return Only(tuple(hooks.items()))


def answering(phase: str, reply: Reply) -> Only:
    def answer(request: Request) -> Reply:
        return reply

    return Only(((phase, answer),), name="answering")


class Doubles:
    """Repeats what passes; raises where it is told to."""

    def __init__(self, raises: str = "") -> None:
        self.raises = raises

    def _look(self, where: str) -> None:
        if where == self.raises:
            raise RuntimeError(where)

    def feed(self, data: bytes) -> bytes:
        self._look("feed")
        return data * 2

    def flush(self) -> bytes:
        self._look("flush")
        return b""

    def end(self) -> bytes:
        self._look("end")
        return b""


async def silent(conversation: Conversation) -> None:
    """Read, and say nothing."""
    await conversation.head()
    await conversation.reader.read()


def gateway(url: str, *policies: Any, timeouts: Timeouts | None = None) -> Gateway:
    app = Gateway(policies=policies)
    svc = Upstream("svc", [url])

    @app.post("/local")
    async def local(item: dict[str, int]) -> dict[str, int]:
        return item

    del local
    app.forward("/svc/{path:path}", upstream=svc, allow=anyone, timeouts=timeouts or svc.timeouts, max_body=100)
    return app


async def test_a_body_waits_with_its_request_whatever_that_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """For longer than it takes until a client is watched that may leave."""
    monkeypatch.setattr(body, "_WATCH_AFTER", 0.0)
    came: list[bytes] = []

    async def whole(conversation: Conversation) -> None:
        await conversation.head()
        came.append(await conversation.reader.readuntil(b"0\r\n\r\n"))
        await conversation.say(OK)

    gate = asyncio.Event()
    record = Record()
    policy = EveryHook(record, phases=frozenset(("limit", "enter", "settle")), waits={"limit": lambda _: gate.wait()})  # pyright: ignore[reportArgumentType]
    async with ScriptedUpstream(whole) as upstream, serving(gateway(upstream.url, policy)) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(CHUNKED + b"3\r\nabc\r\n")
        await until(lambda: "limit" in [phase for phase, _, _ in record.calls])
        writer.write(b"3\r\ndef\r\n0\r\n\r\n")
        asyncio.get_running_loop().call_later(0.05, gate.set)
        got = await reader.read()
        writer.close()
    assert got.startswith(b"HTTP/1.1 200 ")
    assert came[0].replace(b"\r\n", b"").replace(b"3", b"").replace(b"6", b"") == b"abcdef0"
    assert record.broken() == []


@pytest.mark.parametrize("path", [b"/svc/x", b"/local"])
@pytest.mark.parametrize("rest", [b"", b"no chunk\r\n"], ids=["leaves", "nonsense"])
async def test_a_body_that_breaks_off_gives_back_what_was_granted(path: bytes, rest: bytes) -> None:
    record = Record()
    async with ScriptedUpstream(silent) as upstream, serving(gateway(upstream.url, EveryHook(record))) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        head = b"POST %b HTTP/1.1\r\nhost: g\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
        writer.write(head % path + b"3\r\n{}\n\r\n")
        await until(lambda: bool(record.calls))
        if rest:
            writer.write(rest)
            assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
        writer.close()
        await until(lambda: bool(record.settled))
        await until(lambda: not served.connections)
    assert record.broken() == []


@pytest.mark.parametrize("case", ["answer in time", "body in time", "answer too large", "body too large"])
async def test_an_answer_that_a_policy_cannot_change_is_a_500(case: str) -> None:
    def raises(request: Request, answer: Answer) -> None:
        if answer.status != 500:
            raise RuntimeError("a policy")

    record = Record()
    timeouts = Timeouts(first_byte=0.2, idle=0.2)
    async with ScriptedUpstream(silent) as upstream:
        app = gateway(upstream.url, EveryHook(record), only(answer_head=raises), timeouts=timeouts)
        async with serving(app) as served:
            request = {
                "answer in time": GET,
                "body in time": CHUNKED + b"1\r\na\r\n",
                "answer too large": GET,
                "body too large": CHUNKED + b"c8\r\n" + b"x" * 200 + b"\r\n0\r\n\r\n",
            }[case]
            if case == "answer too large":
                upstream.scripts[:] = [saying(b"HTTP/1.1 200 OK\r\n\r\n")]
            got = await served.raw(request)
            await until(lambda: not served.connections)
    assert got.startswith((b"HTTP/1.1 500 ", b"HTTP/1.1 200 ") if case == "answer too large" else b"HTTP/1.1 500 "), got
    assert record.broken() == []


@pytest.mark.parametrize("cancels", [True, False], ids=["cancelled", "shared"])
async def test_what_is_waited_for_may_be_somebody_elses(cancels: bool) -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    asked: list[Request] = []

    def lookup(request: Request) -> "asyncio.Future[None]":
        asked.append(request)
        return future

    record = Record()
    async with ScriptedUpstream(saying(OK)) as upstream:
        app = gateway(upstream.url, EveryHook(record), only(lookup=lookup))
        async with serving(app) as served:
            first = asyncio.ensure_future(served.raw(GET))
            await until(lambda: len(asked) == 1)
            if cancels:
                future.cancel()
                assert (await first).startswith(b"HTTP/1.1 500 ")
            else:
                _, writer = await asyncio.open_connection("127.0.0.1", served.port)
                writer.write(GET)
                await until(lambda: len(asked) == 2)
                writer.transport.abort()
                await until(lambda: len(record.settled) == 1)
                future.set_result(None)
                assert (await first).startswith(b"HTTP/1.1 200 ")
    assert record.broken() == []


async def test_answers_of_policies_are_framed() -> None:
    reply = Reply(429, [], b"wait")
    async with ScriptedUpstream() as upstream, serving(gateway(upstream.url, answering("limit", reply))) as served:
        got = await served.raw(KEPT + GET)
    assert got.count(b"\r\ncontent-length: 4\r\n") == 2
    assert got.count(b"wait") == 2


@pytest.mark.parametrize("target", [b"/svc/x", b"/nowhere"])
async def test_an_answer_that_becomes_one_without_content_has_none(target: bytes) -> None:
    def to204(request: Request, answer: Answer) -> None:
        answer.status = 204

    async with ScriptedUpstream(saying(OK, OK)) as upstream:
        app = gateway(upstream.url, only(answer_head=to204))
        app.forward("/nowhere", upstream=Upstream("none", ["http://127.0.0.1:1"]), allow=anyone)
        async with serving(app) as served:
            got = await served.raw(KEPT.replace(b"/svc/x", target) + GET.replace(b"/svc/x", target))
    assert got.count(b"HTTP/1.1 204 ") == 2
    assert b"hello" not in got
    assert b"content-length" not in got
    assert got.endswith(b"\r\n\r\n")


async def test_a_line_that_breaks_out_is_never_written() -> None:
    def splits(request: Request, answer: Answer) -> None:
        if answer.status != 500:
            answer.lines.append((b"x-a", b"a\r\nset-cookie: evil=1"))

    async with (
        ScriptedUpstream(saying(OK)) as upstream,
        serving(gateway(upstream.url, only(answer_head=splits))) as served,
    ):
        got = await served.raw(GET)
    assert got.startswith(b"HTTP/1.1 500 ")
    assert b"evil" not in got


async def test_the_head_of_what_is_encoded_is_that_of_get() -> None:
    def encode(request: Request, answer: Answer) -> Transform:
        return Doubles()

    reply = Reply(200, [], b"wait")
    hooks = answering("arrive", reply), only(encode=encode)
    async with ScriptedUpstream() as upstream, serving(gateway(upstream.url, *hooks)) as served:
        got = await served.raw(GET)
        head = await served.raw(GET.replace(b"GET", b"HEAD"))
    assert b"\r\ncontent-length: 8\r\n" in got
    assert got.endswith(b"\r\n\r\nwaitwait")
    assert b"\r\ncontent-length: 8\r\n" in head
    assert head.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(("raises", "begins"), [("feed", b"HTTP/1.1 500 "), ("end", b"HTTP/1.1 200 ")])
async def test_what_cannot_be_encoded_never_looks_whole(raises: str, begins: bytes) -> None:
    def encode(request: Request, answer: Answer) -> Transform | None:
        return Doubles(raises) if answer.source == "upstream" else None

    record = Record()
    async with (
        ScriptedUpstream(saying(OK)) as upstream,
        serving(
            gateway(upstream.url, EveryHook(record, phases=frozenset(("store", "settle"))), only(encode=encode))
        ) as served,
    ):
        got = await served.raw(GET)
    assert got.startswith(begins)
    assert not got.endswith(b"0\r\n\r\n")
    assert record.broken() == []
    assert [tap.aborted for tap in record.taps] == [1] if raises == "feed" else [0]


async def test_a_tap_that_fails_costs_the_client_nothing() -> None:
    ends: list[str] = []

    class Fails:
        def feed(self, data: bytes) -> None:
            raise RuntimeError("full")

        def end(self) -> None:
            ends.append("end")

        def abort(self) -> None:
            ends.append("abort")

    def store(request: Request, answer: Answer) -> Tap:
        return Fails()

    async with ScriptedUpstream(saying(OK)) as upstream, serving(gateway(upstream.url, only(store=store))) as served:
        got = await served.raw(GET)
    assert got.endswith(b"\r\n\r\nhello")
    assert ends == ["abort"]


@pytest.mark.parametrize("raises", ["feed", "flush", "end"])
async def test_a_body_that_cannot_be_changed_is_a_500(raises: str) -> None:
    def request_body(request: Request) -> Transform:
        return Doubles(raises)

    record = Record()
    async with (
        ScriptedUpstream(silent) as upstream,
        serving(gateway(upstream.url, EveryHook(record), only(request_body=request_body))) as served,
    ):
        got = await served.raw(CHUNKED + b"3\r\nabc\r\n0\r\n\r\n")
        await until(lambda: bool(record.settled))
    assert got.startswith(b"HTTP/1.1 500 ")
    assert record.broken() == []


async def test_what_a_body_becomes_goes_on_as_it_comes() -> None:
    seen: list[bytes] = []

    async def early(conversation: Conversation) -> None:
        await conversation.head()
        seen.append(await conversation.reader.readuntil(b"abcabc\r\n"))
        await conversation.say(OK)
        await conversation.reader.read()

    def request_body(request: Request) -> Transform:
        return Doubles()

    def keeps(request: Request, lines: Headers) -> Headers:
        return lines

    async with (
        ScriptedUpstream(early) as upstream,
        serving(gateway(upstream.url, only(request_body=request_body, request_head=keeps))) as served,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(CHUNKED + b"3\r\nabc\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        writer.close()
    assert seen


async def test_a_body_that_gives_way_is_its_own_requests_matter(engine: str) -> None:
    """On asgi a body that waits for a policy is not read, and so holds nothing: there both are served."""
    gate = asyncio.Event()

    def raises(request: Request, answer: Answer) -> None:
        if request.path == b"/svc/first" and answer.status != 500:
            raise RuntimeError("a policy")

    async def waits() -> None:
        await gate.wait()

    def lookup(request: Request) -> Any:
        return waits() if request.path == b"/svc/first" else None

    async def answers(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.say(OK)

    async with ScriptedUpstream(answers) as upstream:
        policies: list[Any] = [only(answer_head=raises, lookup=lookup)]
        app = Gateway(policies=policies, limits=ClientLimits(body_memory=100_000))
        svc = Upstream("svc", [upstream.url])

        @app.post("/declared", upstream=svc, allow=anyone)
        def declared(item: list[str]) -> None: ...

        del declared
        app.forward("/svc/{path:path}", upstream=svc, allow=anyone)
        async with serving(app) as served:
            memory = app.active_config().runtime.body_memory
            first, first_writer = await asyncio.open_connection("127.0.0.1", served.port)
            first_writer.write(b"POST /svc/first HTTP/1.1\r\nhost: g\r\ncontent-length: 40000\r\n\r\n" + b"x" * 30_000)
            if engine == "direct":
                await until(lambda: memory.total == 30_000)
            second = await served.raw(
                b"POST /declared HTTP/1.1\r\nhost: g\r\ncontent-type: application/json\r\ncontent-length: 20004\r\n"
                b'connection: close\r\n\r\n["' + b"x" * 20_000 + b'"]'
            )
            gate.set()
            if engine == "direct":
                assert (await first.read(13)) == b"HTTP/1.1 500 "
            assert second.startswith(b"HTTP/1.1 200 ")
            first_writer.close()
            await until(lambda: not served.connections)
            assert (memory.total, len(memory)) == (0, 0)
