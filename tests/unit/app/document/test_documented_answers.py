"""What a gateway answers is what its document says: status, header fields, and the problem document as it stands there."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from limen import ClientLimits, Gateway, Limits, Principal, Timeouts, Upstream, anyone, role, signed_in
from limen.app.document.refusals import NOT_OF_AN_OPERATION
from limen.auth import ApiKeys, Jwt, Revocations, issue
from limen.cli import server
from limen.errors import Kind
from limen.testing import Conversation, ScriptedUpstream
from serving import Served, serving
from tokens import SECRET, sign

AUTH = Jwt(SECRET)
OF_NO_REQUEST = {Kind.SHUT_DOWN}
"""What no request brings about here: a process has to end. Its fault is compared instead."""


async def service(conversation: Conversation) -> None:
    """Answer by the path."""
    while True:
        head = await conversation.request()
        path = head.split(b" ", 2)[1]
        if path.startswith(b"/silent"):
            await asyncio.sleep(3600)
        elif path == b"/closed":
            return
        elif path == b"/garbage":
            await conversation.say(b"garbage\r\n\r\n")
        elif path == b"/keys":
            answer = b'{"active":false}'
            await conversation.say(_json(answer))
        elif path == b"/large":
            await conversation.say(_json(b'"' + b"a" * 200 + b'"'))
        else:
            await conversation.say(_json(b'"text"'))


def _json(content: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
        len(content),
        content,
    )


def fails(principal: Principal) -> bool:
    raise RuntimeError


def refuses(answer: object) -> object:
    raise RuntimeError


async def no_tls(conversation: Conversation) -> None:
    await conversation.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await conversation.reader.read()


def build(url: str, plain: str, dead: str, full: str, limits: ClientLimits) -> Gateway:
    revocations = Revocations()
    app = Gateway(auth=AUTH, limits=limits, revocations=revocations)
    up = Upstream("svc", [url])
    down = Upstream("down", [dead])
    silent = Upstream("silent", [url], timeouts=Timeouts(first_byte=0.1))
    narrow = Upstream("narrow", [url], limits=Limits(connections=1, waiting=0))
    slow = Upstream("slow", [full], timeouts=Timeouts(connect=0.1))
    tls = Upstream("tls", [plain.replace("http:", "https:")])

    @app.get("/number", upstream=up, allow=anyone)
    def number() -> int: ...

    @app.get("/large", upstream=up, allow=anyone, max_answer=100)
    def large() -> str: ...

    @app.get("/hooked", upstream=up, allow=anyone, after=refuses)
    def hooked() -> Any: ...

    @app.post("/body/{n}", upstream=up, allow=anyone, max_body=20)
    def body(n: int, form: dict[str, int]) -> Any: ...

    @app.post("/held", upstream=up, allow=anyone)
    def held(form: dict[str, int]) -> Any: ...

    @app.get("/query", upstream=up, allow=anyone)
    def query(limit: int) -> Any: ...

    @app.get("/mine", upstream=up, allow=role("admin"))
    def mine() -> Any: ...

    @app.get("/fails", upstream=up, allow=fails)
    def failing() -> Any: ...

    @app.get("/keyed", upstream=up, allow=signed_in, auth=AUTH | ApiKeys(up, path="/keys"))
    def keyed() -> Any: ...

    @app.get("/unknown", upstream=up, allow=signed_in, auth=ApiKeys(down, path="/keys"))
    def unknown() -> Any: ...

    del number, large, hooked, body, held, query, mine, failing, keyed, unknown
    for path, upstream in (
        ("silent", silent),
        ("closed", up),
        ("garbage", up),
        ("down", down),
        ("slow", slow),
        ("tls", tls),
    ):
        app.forward(f"/{path}", upstream=upstream, allow=anyone)
    app.forward("/silently", upstream=narrow, allow=anyone)
    return app


def ask(target: str, *lines: str, method: str = "GET", body: bytes = b"") -> bytes:
    head = [f"{method} {target} HTTP/1.1", "host: g", "connection: close", *lines]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


def bearer(token: bytes | str) -> str:
    return f"authorization: Bearer {token if isinstance(token, str) else token.decode()}"


USER = bearer(issue(AUTH, "7", "user"))
EXPIRED = bearer(sign({"alg": "HS256"}, {"id": 7, "user_type": "user", "exp": 1}))
JSON = "content-type: application/json"

ASKED: dict[Kind, tuple[str, bytes]] = {
    Kind.BAD_REQUEST: ("/mine", ask("/mine", "bad line")),
    Kind.URI_TOO_LONG: ("/query", ask("/query?limit=" + "1" * 9000)),
    Kind.HEAD_TOO_LARGE: ("/mine", ask("/mine", "x: " + "a" * 40000)),
    Kind.BAD_BODY: ("/body/{n}", ask("/body/1", JSON, "transfer-encoding: chunked", method="POST", body=b"x\r\n")),
    Kind.BODY_TOO_LARGE: ("/body/{n}", ask("/body/1", JSON, "content-length: 99", method="POST")),
    Kind.MEDIA_TYPE: ("/body/{n}", ask("/body/1", "content-length: 2", method="POST", body=b"{}")),
    Kind.INVALID_REQUEST: ("/query", ask("/query")),
    Kind.EXPECTATION_FAILED: ("/number", ask("/number", "expect: nothing")),
    Kind.LOOP: ("/number", ask("/number", "via: " + ", ".join(["1.1 limen"] * 9))),
    Kind.TOKEN_MISSING: ("/mine", ask("/mine")),
    Kind.TOKEN_EXPIRED: ("/mine", ask("/mine", EXPIRED)),
    Kind.TOKEN_CORRUPTED: ("/mine", ask("/mine", "authorization: Bearer x")),
    Kind.API_KEY_INVALID: ("/keyed", ask("/keyed", "x-api-key: k")),
    Kind.IDENTITY_UNAVAILABLE: ("/unknown", ask("/unknown", "x-api-key: k")),
    Kind.FORBIDDEN: ("/mine", ask("/mine", USER)),
    Kind.INTERNAL_ERROR: ("/fails", ask("/fails", USER)),
    Kind.HOOK_FAILED: ("/hooked", ask("/hooked")),
    Kind.UPSTREAM_CONTRACT: ("/number", ask("/number")),
    Kind.UPSTREAM_TOO_LARGE: ("/large", ask("/large")),
    Kind.UPSTREAM_PROTOCOL: ("/garbage", ask("/garbage")),
    Kind.UPSTREAM_CLOSED: ("/closed", ask("/closed")),
    Kind.UPSTREAM_REFUSED: ("/down", ask("/down")),
    Kind.UPSTREAM_TLS: ("/tls", ask("/tls")),
    Kind.CONNECT_TIMEOUT: ("/slow", ask("/slow")),
    Kind.ANSWER_TIMEOUT: ("/silent", ask("/silent")),
}
TIMED = {
    Kind.HEAD_TIMEOUT: ("/mine", b"GET /mine HTTP/1.1\r\nhost"),
    Kind.REQUEST_TIMEOUT: ("/body/{n}", ask("/body/1", JSON, "content-length: 9", method="POST")),
}
ELSEWHERE = {
    Kind.BAD_PATH,
    Kind.TOKEN_REVOKED,
    Kind.POOL_EXHAUSTED,
    Kind.TOO_MANY_CONNECTIONS,
    Kind.TOO_MANY_FROM_ADDRESS,
    Kind.OVERLOADED,
    Kind.BODIES_FULL,
}
"""Each has a test of its own below."""


@contextlib.asynccontextmanager
async def documented(**limits: Any) -> AsyncGenerator[tuple[Gateway, Served, dict[str, Any]]]:
    """Serve a gateway with these limits for its clients, beside its document."""
    with socket.socket() as unused, socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        unused.bind(("127.0.0.1", 0))
        addresses = [f"http://127.0.0.1:{one.getsockname()[1]}" for one in (unused, full)]
        # What is in its queue is connected; who comes later waits.
        queued = [socket.socket() for _ in range(3)]
        for one in queued:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        try:
            async with ScriptedUpstream(service) as upstream, ScriptedUpstream(no_tls) as plain:
                dead, slow = addresses
                app = build(upstream.url, plain.url, dead, slow, ClientLimits(**limits))
                async with serving(app) as served:
                    yield app, served, app.openapi()
        finally:
            for one in queued:
                one.close()


def compare(answer: bytes, document: dict[str, Any], path: str, kind: Kind, method: str = "get") -> None:
    """Hold an answer against the response that ``document`` has for it."""

    def found(value: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in value:
            *_, section, name = value["$ref"].split("/")
            value = document["components"][section][name]
        return value

    head, _, content = answer.partition(b"\r\n\r\n")
    lines = [line.partition(": ") for line in head.decode().lower().split("\r\n")[1:]]
    fields = {name: value for name, _, value in lines}
    problem = json.loads(content)
    assert problem["code"] == kind.code, answer
    response = found(document["paths"][path][method]["responses"][str(problem["status"])])
    media = response["content"][fields["content-type"]]
    example = found(media["examples"][kind.code])["value"]
    assert example == problem | {"request_id": example["request_id"]}
    for name, given in response["headers"].items():
        header = found(given)
        value = fields.pop(name.lower(), None)
        assert value is not None or not header.get("required"), (name, answer)
        shown = [str(one).lower() for one in header["schema"].get("examples", [])]
        assert not shown or value is None or value in shown, (name, value, shown)
    assert not {"www-authenticate", "retry-after", "allow"} & fields.keys(), "a header field that is not documented"


def test_each_kind_is_documented_or_is_no_answer_of_an_operation() -> None:
    told = [*ASKED, *TIMED, *ELSEWHERE, *NOT_OF_AN_OPERATION, *OF_NO_REQUEST]
    assert sorted(kind.name for kind in told) == sorted(Kind.__members__)


async def test_what_the_gateway_answers_is_what_its_document_says() -> None:
    for asked, limits in ((ASKED, {}), (TIMED, {"head_time": 0.2, "body_silence": 0.2})):
        async with documented(**limits) as (_, gateway, document):
            answers = await asyncio.gather(*(gateway.raw(request) for _, request in asked.values()))
            for (kind, (path, request)), answer in zip(asked.items(), answers, strict=True):
                compare(answer, document, path, kind, request.split(b" ", 1)[0].decode().lower())


async def test_an_ambiguous_path_says_why_besides() -> None:
    async with documented() as (_, gateway, document):
        answer = await gateway.raw(ask("/query/%2e%2e/mine"))
        problem = json.loads(answer.partition(b"\r\n\r\n")[2])
        example = document["components"]["examples"]["bad_path"]["value"]
        assert problem["detail"].startswith(example["detail"])
        assert {**problem, "detail": "", "request_id": ""} == {**example, "detail": "", "request_id": ""}


async def test_a_token_that_ended_early_is_told_as_documented() -> None:
    async with documented() as (app, gateway, document):
        revocations: Any = app.active_config().runtime.revocations
        revocations.end_subject("7", float("inf"), float("inf"))
        compare(await gateway.raw(ask("/mine", USER)), document, "/mine", Kind.TOKEN_REVOKED)


async def test_bounds_are_told_as_documented() -> None:
    for kind, path, limits in (
        (Kind.TOO_MANY_CONNECTIONS, "/silently", {"connections": 1}),
        (Kind.TOO_MANY_FROM_ADDRESS, "/silently", {"connections_per_address": 1}),
        (Kind.OVERLOADED, "/silently", {"requests": 1}),
        (Kind.POOL_EXHAUSTED, "/silently", {}),
    ):
        async with documented(**limits) as (_, gateway, document):
            _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            writer.write(ask("/silently"))
            while (answer := await gateway.raw(ask("/silently"))).startswith(b"HTTP/1.1 504"):
                continue  # it came before the first one was there
            compare(answer, document, path, kind)
            writer.close()


async def test_full_memory_for_bodies_is_told_as_documented() -> None:
    async with documented(body_memory=65536) as (_, gateway, document):
        answer = await gateway.raw(ask("/held", JSON, "content-length: 99999", method="POST", body=b"x" * 60000))
        compare(answer, document, "/held", Kind.BODIES_FULL, "post")


def test_the_end_of_a_process_is_told_as_documented() -> None:
    fault = vars(server)["_SHUT_DOWN"]
    assert (fault.headers, fault.detail) == ((), "")


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Faults are logged."""
    caplog.set_level("CRITICAL")
