"""What policies may rely on, on both engines: each hook in order, and one end, whatever happens."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from limen import Gateway, Upstream, anyone, signed_in
from limen.auth import Jwt, issue
from limen.errors import Fault, Kind
from limen.exchange.request import Request
from limen.http.replies import Reply
from limen.policies import Edits, Headers, Redirect, Respond
from limen.testing import Conversation, EveryHook, Record, ScriptedUpstream, saying
from serving import serving
from tokens import SECRET

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-powered-by: php\r\n\r\nhello"
POST = b"POST /svc/x HTTP/1.1\r\nhost: g\r\ncontent-length: 6\r\nconnection: close\r\n\r\nabcdef"
GET = b"GET /svc/x HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n"

PHASES = [
    *("enter", "arrive", "limit", "lookup", "request_head", "request_body", "attempt_head", "attempt_ended"),
    *("store", "answer_head", "encode", "settle"),
]


def build(url: str, policy: EveryHook) -> Gateway:
    app = Gateway(policies=[policy], auth=Jwt(SECRET))
    upstream = Upstream("svc", [url])

    @app.post("/declared", upstream=upstream, allow=anyone)
    def declared(item: dict[str, int]) -> dict[str, int]: ...

    @app.get("/local")
    async def local() -> str:
        return "here"

    del declared, local
    app.forward("/mine", upstream=upstream, allow=signed_in)
    app.forward("/svc/{path:path}", upstream=upstream, allow=anyone)
    return app


async def test_each_hook_is_called_once_and_in_order() -> None:
    record = Record()
    came: list[bytes] = []

    async def whole(conversation: Conversation) -> None:
        await conversation.head()
        came.append(await conversation.reader.readuntil(b"0\r\n\r\n"))
        await conversation.say(OK)

    async with ScriptedUpstream(whole) as upstream, serving(build(upstream.url, EveryHook(record))) as gateway:
        got = await gateway.raw(POST)
        (request,) = upstream.requests
    assert got.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nx-every-answer: every\r\n" in got
    assert b"hello" in got
    assert b"\r\nx-every-request: every\r\n" in request
    assert b"\r\nx-every-attempt: " in request
    # What changes a body that streams leaves its length open.
    assert b"\r\ntransfer-encoding: chunked\r\n" in request
    assert came == [b"6\r\nabcdef\r\n0\r\n\r\n"]
    (outcome,) = record.settled
    calls = record.of(outcome.request_id)
    # An attempt is over when its answer is, which is behind the head of the answer.
    assert [one for one in calls if one != "attempt_ended"] == [one for one in PHASES if one != "attempt_ended"]
    assert calls.count("attempt_ended") == 1
    (tap,) = record.taps
    assert (tap.content, tap.ended, tap.aborted) == (b"hello", 1, 0)
    assert record.broken() == []


@pytest.mark.parametrize(
    ("phase", "late"),
    [("arrive", False), *((phase, late) for phase in ("enter", "limit", "lookup") for late in (False, True))],
)
async def test_an_answer_of_a_policy_reaches_the_client(phase: str, late: bool) -> None:
    record = Record()
    reply = Reply(429, [(b"content-length", b"4"), (b"x-why", b"because")], b"wait")
    waits: dict[str, Callable[[Request], Awaitable[None]]] = {phase: lambda _: asyncio.sleep(0)} if late else {}
    policy = EveryHook(record, waits=waits, answers={phase: lambda _: reply})
    async with ScriptedUpstream() as upstream, serving(build(upstream.url, policy)) as gateway:
        got = await gateway.raw(POST)
        assert not upstream.requests
    head, _, content = got.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 429 ")
    assert b"\r\nx-why: because" in head
    assert b"\r\nx-every-answer: every" in head
    assert b"\r\nx-request-id: " in head
    assert b"\r\ncontent-length: 4" in head
    assert content == b"wait"
    (outcome,) = record.settled
    assert outcome.status == 429
    assert record.taps == []
    assert record.broken() == []


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /mine HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n", 401),
        (b"GET /svc HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n", 307),
        (b"PUT /declared HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n", 405),
        (b"OPTIONS /declared HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n", 204),
        (b"GET /svc//x HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n", 400),
        (b"GET /nowhere HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n", 404),
        (b"GET /local HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n", 200),
        (
            b"POST /declared HTTP/1.1\r\nhost: g\r\ncontent-type: application/json\r\ncontent-length: 1\r\n"
            b"connection: close\r\n\r\n1",
            422,
        ),
    ],
)
async def test_policies_see_the_head_of_local_replies(request_: bytes, status: int) -> None:
    record = Record()
    async with ScriptedUpstream() as upstream, serving(build(upstream.url, EveryHook(record))) as gateway:
        got = await gateway.raw(request_)
    assert got.startswith(b"HTTP/1.1 %d " % status)
    assert got.count(b"\r\nx-every-answer: every\r\n") == 1
    (outcome,) = record.settled
    assert outcome.status == status
    calls = record.of(outcome.request_id)
    assert (calls[0], calls[-1], calls.count("answer_head")) == ("enter", "settle", 1)
    assert record.broken() == []


@pytest.mark.parametrize("phase", ["enter", "local"])
async def test_enter_may_refuse_any_request(phase: str) -> None:
    record = Record()
    closed = EveryHook(record, answers={"enter": lambda _: Fault(Kind.OVERLOADED, "The gateway is closed.")})
    path = b"/svc/x" if phase == "enter" else b"/local"
    async with ScriptedUpstream() as upstream, serving(build(upstream.url, closed)) as gateway:
        got = await gateway.raw(b"GET %b HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n" % path)
    assert got.startswith(b"HTTP/1.1 503 ")
    assert b"The gateway is closed." in got
    assert record.settled[0].code == "overloaded"
    assert record.broken() == []


async def test_the_limit_hook_sees_the_caller() -> None:
    seen: list[object] = []

    def look(request: Request) -> None:
        seen.append((request.principal and request.principal.id, request.client, request.route, request.params))

    record = Record()
    policy = EveryHook(record, answers={"limit": look})
    async with ScriptedUpstream(saying(OK)) as upstream, serving(build(upstream.url, policy)) as gateway:
        token = issue(Jwt(SECRET), "7", "user").encode()
        await gateway.raw(
            b"GET /mine HTTP/1.1\r\nhost: g\r\nauthorization: Bearer %b\r\nconnection: close\r\n\r\n" % token
        )
    assert seen == [("7", b"127.0.0.1", "/mine", {})]


async def test_a_checked_answer_is_stored_as_the_client_gets_it() -> None:
    record = Record()
    answer = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 8\r\n\r\n{"a": 1}'
    body = b'{"b":2}'
    came: list[bytes] = []

    async def whole(conversation: Conversation) -> None:
        came.append(await conversation.request())
        await conversation.say(answer)

    async with ScriptedUpstream(whole) as upstream, serving(build(upstream.url, EveryHook(record))) as gateway:
        got = await gateway.raw(
            b"POST /declared HTTP/1.1\r\nhost: g\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
            b"connection: close\r\n\r\n%b" % (len(body), body)
        )
    assert got.endswith((b'\r\n\r\n{"a":1}', b'\r\n\r\n{"a": 1}'))
    (request,) = came
    assert request.endswith(b"\r\ncontent-length: 7\r\n\r\n" + body)
    (tap,) = record.taps
    assert got.endswith(tap.content)
    assert record.broken() == []


async def test_a_policy_that_fails_is_a_500_and_ends_like_any_other(caplog: pytest.LogCaptureFixture) -> None:
    record = Record()

    def fails(_: Request) -> None:
        raise RuntimeError(" ".join(("secret", "text")))

    policy = EveryHook(record, answers={"lookup": fails})
    async with ScriptedUpstream() as upstream, serving(build(upstream.url, policy)) as gateway:
        got = await gateway.raw(POST)
    assert got.startswith(b"HTTP/1.1 500 ")
    assert b"\r\nx-every-answer: every\r\n" in got
    assert record.settled[0].code == "internal_error"
    assert record.broken() == []
    assert "secret text" not in caplog.text


async def test_each_attempt_has_its_own_head_and_end_hooks() -> None:
    async def closes(conversation: Conversation) -> None:
        await conversation.head()

    record = Record()
    async with (
        ScriptedUpstream(saying(OK, OK), closes) as upstream,
        serving(build(upstream.url, EveryHook(record))) as gateway,
    ):
        await gateway.raw(GET)
        upstream.scripts[:] = [closes, saying(OK)]
        await gateway.raw(GET)
    for outcome in record.settled:
        calls = record.of(outcome.request_id)
        assert calls.count("attempt_head") == calls.count("attempt_ended")
        assert calls.count("request_head") == 1
    assert record.broken() == []


async def test_header_edits_redirects_and_fixed_answers() -> None:
    edits = Headers(
        request=Edits(set={"x-tenant": "shop"}, remove=["x-debug"]),
        answer=Edits(set={"x-frame-options": "DENY"}, remove=["x-powered-by"]),
    )
    app = Gateway(policies=[edits])
    async with ScriptedUpstream(saying(OK)) as upstream:
        svc = Upstream("svc", [upstream.url])
        app.forward("/svc/{path:path}", upstream=svc, allow=anyone)
        app.forward("/old/{path:path}", upstream=svc, allow=anyone, policies=[Redirect("/svc/{path}", status=308)])
        app.forward("/robots.txt", upstream=svc, allow=anyone, policies=[Respond(200, "nothing here\n")])
        async with serving(app) as gateway:
            got = await gateway.raw(GET.replace(b"host: g", b"host: g\r\nx-debug: 1\r\nx-tenant: evil"))
            moved = await gateway.raw(GET.replace(b"/svc/x", b"/old/a%2Fb?c=d"))
            fixed = await gateway.raw(GET.replace(b"/svc/x", b"/robots.txt"))
            nowhere = await gateway.raw(GET.replace(b"/svc/x", b"/nowhere"))
            (request,) = upstream.requests
    assert b"\r\nx-tenant: shop\r\n" in request
    assert b"evil" not in request
    assert b"x-debug" not in request
    for answer in (got, moved, fixed, nowhere):
        assert answer.count(b"\r\nx-frame-options: DENY\r\n") == 1, answer
        assert b"x-powered-by" not in answer
    assert moved.startswith(b"HTTP/1.1 308 ")
    assert b"\r\nlocation: /svc/a%2Fb?c=d\r\n" in moved
    assert fixed.startswith(b"HTTP/1.1 200 ")
    assert fixed.endswith(b"nothing here\n")


async def test_a_preflight_is_answered_by_the_policies_of_the_route_that_it_asks_about() -> None:
    record = Record()
    reply = Reply(204, [(b"access-control-allow-origin", b"https://shop.example")], b"")
    app = Gateway()
    async with ScriptedUpstream() as upstream:
        svc = Upstream("svc", [upstream.url])
        policy = EveryHook(record, phases=frozenset(("arrive", "settle")), answers={"arrive": lambda _: reply})

        @app.post("/one", upstream=svc, allow=anyone, policies=[policy])
        def one() -> None: ...

        @app.get("/one", upstream=svc, allow=anyone)
        def two() -> None: ...

        del one, two
        preflight = b"OPTIONS /one HTTP/1.1\r\nhost: g\r\norigin: https://shop.example\r\nconnection: close\r\n%b\r\n"
        async with serving(app) as gateway:
            post = await gateway.raw(preflight % b"access-control-request-method: POST\r\n")
            get = await gateway.raw(preflight % b"access-control-request-method: GET\r\n")
            none = await gateway.raw(preflight % b"")
    assert b"\r\naccess-control-allow-origin: https://shop.example\r\n" in post
    for other in (get, none):
        assert other.startswith(b"HTTP/1.1 204 ")
        assert b"access-control" not in other
        assert b"\r\nallow: " in other
    assert len(record.settled) == 1
    assert record.broken() == []


@pytest.mark.parametrize("denial", [True, False], ids=["answer", "close"])
async def test_a_websocket_enters_as_any_request(denial: bool) -> None:
    record = Record()
    app = Gateway(policies=[EveryHook(record, answers={"enter": lambda _: Fault(Kind.OVERLOADED, "Closed.")})])
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "websocket",
        "path": "/socket",
        "query_string": b"",
        "headers": [],
        "scheme": "ws",
        "client": ("192.0.2.1", 1),
        "server": ("gateway", 80),
        "http_version": "1.1",
        "subprotocols": [],
        "extensions": {"websocket.http.response": {}} if denial else {},
    }
    await app(scope, receive, send)
    if denial:
        assert sent[0]["status"] == 503
        assert b"Closed." in sent[1]["body"]
    else:
        assert sent == [{"type": "websocket.close", "code": 1008}]
    assert record.settled[0].code == "overloaded"
    assert record.broken() == []
