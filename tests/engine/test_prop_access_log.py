"""Every request is one line of the access log, whoever answers it and however it ends; every answer has its id.

Each request brings an id of its own, which the line and the answer repeat, so that lines can be told from one another.
"""

import asyncio
import contextlib
import itertools
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field

import pytest
from fastapi import Request, WebSocket
from fastapi.responses import StreamingResponse
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from examples import part
from limen import Gateway, Upstream, anyone, signed_in
from limen.auth import Jwt
from limen.client.limits import ClientLimits
from limen.testing import Conversation, ScriptedUpstream, flush_log
from serving import Served, serving, until
from tokens import SECRET, token

SOME = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=part(50)
)
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@dataclass(frozen=True)
class Kind:
    """A request, what its line says, and whether its connection ends with it. ``%s`` is its number.

    Where its head breaks off the rules, ``breaks``, its id need not have been read by then.
    """

    start: str
    says: str
    lines: str = ""
    body: str = ""
    ends: bool = False
    breaks: bool = False

    def text(self, name: str) -> bytes:
        head = f"{self.start.replace('%s', name)} HTTP/1.1\r\nhost: g\r\nx-request-id: {name}\r\n{self.lines}\r\n"
        return (head + self.body).encode("latin-1")


KNOWN = f"authorization: Bearer {token().decode()}\r\n"
CHUNKED = "transfer-encoding: chunked\r\n"
WHOLE = [
    Kind("GET /svc/%s?secret=1", " 200 .* route=/svc/\\{path:path\\} upstream=svc .* caller=- peer=127.0.0.1$"),
    Kind("POST /svc/%s", " 200 ", "content-length: 2\r\n", "ok"),
    Kind("GET /known", " 200 .* caller=7 peer=", KNOWN),
    Kind("GET /known", " 401 .*code=token_missing"),
    Kind("POST /svc//%s", "POST /svc//.* 400 .*code=bad_path", "content-length: 0\r\n"),
    Kind("GET /nothing/%s", "/nothing/[0-9]+ 404 .* route=- .*code=not_found"),
    Kind("GET /nothing/%9B31m%0A", "/nothing/%9B31m%0A (400|404) "),
    Kind("DELETE /local/fine", " 405 .*code=method_not_allowed"),
    Kind("DELETE /known", " 405 .*code=method_not_allowed"),
    Kind("GET /openapi.json", " 200 "),
    Kind("GET /local/fine", " 200 .* route=/local/fine upstream=- "),
    Kind("POST /local/body", " 200 ", CHUNKED, "2\r\nok\r\n0\r\n\r\n"),
    Kind("OPTIONS *", "OPTIONS \\* 204 "),
]
LAST = [
    Kind("GET /local/fine", " 200 ", "connection: close\r\n", ends=True),
    Kind("GET /svc/last", " 200 ", "connection: close\r\n", ends=True),
    Kind("GET /local/raises", " 500 .*code=internal_error", ends=True),
    Kind("GET /local/breaks", " 200 .*cut=true code=internal_error", ends=True),
    Kind("GET /svc/cut", " 200 .*cut=true code=upstream_closed", ends=True),
    Kind("GET /svc/x", " 400 .*code=bad_request", "no colon\r\n", ends=True, breaks=True),
    Kind("GET /svc/x", " 431 .*code=head_too_large", "x: y\r\n" * 200, ends=True, breaks=True),
    Kind("GET /" + "l" * 9000, "GET /l+\\.\\.\\. 414 .*code=uri_too_long", ends=True, breaks=True),
    Kind("GET /svc/x", " 417 .*code=expectation_failed", "expect: more\r\nconnection: close\r\n", ends=True),
    Kind("POST /svc/x", " 400 .*code=bad_body", CHUNKED, "no size\r\n", ends=True),
    Kind("POST /local/body", " 400 .*code=bad_body", CHUNKED, "no size\r\n", ends=True),
    Kind("POST /nothing", " (400|404) ", CHUNKED, "no size\r\n", ends=True),
]
HELD = [
    Kind("GET /svc/hold", " 499 .*code=client_closed"),
    Kind("GET /local/hold", " 499 .* route=/local/hold .*code=client_closed"),
]


@dataclass
class Scene(logging.Handler):
    """A gateway, what it logs, and how many requests are held now."""

    gateway: Served | None = None
    said: list[str] = field(default_factory=list[str])
    levels: dict[str, str] = field(default_factory=dict[str, str])
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    held: int = 0
    let_go: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        super().__init__()

    def __hash__(self) -> int:
        return id(self)

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == "limen.access":
            self.said.append(record.getMessage())
            self.levels[record.getMessage()] = record.levelname

    def lines(self) -> list[str]:
        flush_log()
        return self.said

    async def hold(self) -> None:
        self.held += 1
        await self.let_go.wait()

    @property
    def served(self) -> Served:
        assert self.gateway is not None
        return self.gateway

    async def converse(self, conversation: Conversation) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while head := await conversation.head():
                if b"POST" in head:
                    await conversation.reader.readexactly(2)
                if b"/svc/hold" in head:
                    await self.hold()
                if b"/svc/cut" in head:
                    await conversation.say(OK.replace(b": 2", b": 9"))
                    return
                await conversation.say(OK)


def build(scene: Scene, url: str) -> Gateway:
    app = Gateway(auth=Jwt(SECRET), limits=ClientLimits(fields=100))
    upstream = Upstream("svc", [url])
    app.forward("/svc/{path:path}", upstream=upstream, allow=anyone)

    @app.get("/known", upstream=upstream, allow=signed_in)
    def known() -> None: ...

    @app.get("/local/fine")
    def fine() -> str:
        return "fine"

    @app.get("/local/hold")
    async def hold() -> None:
        await scene.hold()

    @app.post("/local/body")
    async def body(request: Request) -> int:
        return len(await request.body())

    @app.get("/local/raises")
    def raises() -> None:
        raise LookupError("our own mistake")

    @app.get("/local/breaks")
    def breaks() -> StreamingResponse:
        async def some() -> AsyncIterator[bytes]:
            yield b"some"
            raise LookupError("in the midst of it")

        return StreamingResponse(some())

    @app.websocket("/local/socket")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close()

    del known, fine, hold, body, raises, breaks, socket
    return app


@pytest.fixture
async def scene(engine: str) -> AsyncGenerator[Scene]:
    assert engine
    made = Scene()
    access = logging.getLogger("limen.access")
    access.addHandler(made)
    access.setLevel(logging.INFO)
    try:
        async with ScriptedUpstream(made.converse) as upstream, serving(build(made, upstream.url)) as gateway:
            made.gateway = gateway
            yield made
            made.let_go.set()
    finally:
        access.removeHandler(made)
        access.setLevel(logging.NOTSET)


def recorded(scene: Scene, asked: list[tuple[str, Kind]]) -> None:
    """See that there is one line for each, that it says what it must, and nothing that a client may not write."""
    lines = scene.lines()
    for line in lines:
        assert line.isascii(), line
        assert line.isprintable(), line
        assert "secret" not in line
        assert scene.levels[line] == ("WARNING" if " cut=true" in line or " 500 " in line else "INFO"), line
    ids = re.findall(r" request_id=(\S+)", "\n".join(lines))
    assert sorted(ids) == sorted(name for name, _ in asked), lines
    for name, kind in asked:
        (line,) = [line for line in lines if f" request_id={name} " in line]
        assert re.search(kind.says, line), (kind, line)
        assert line.startswith(kind.start.split(" ", maxsplit=1)[0]), line


@SOME
@given(st.lists(st.sampled_from(WHOLE), max_size=8), st.sampled_from(LAST), st.integers(0, 400))
@example([], LAST[9], 0)
@example([], LAST[10], 0)
@example([WHOLE[5]], LAST[11], 40)
@example([], LAST[7], 0)
async def test_every_request_is_one_line_and_every_answer_has_its_id(
    scene: Scene, kinds: list[Kind], last: Kind, cut: int
) -> None:
    scene.said.clear()
    asked = [(f"{next(scene.numbers)}", kind) for kind in (*kinds, last)]
    data = b"".join(kind.text(name) for name, kind in asked)
    got = await scene.served.raw(data[:cut], data[cut:])
    names = re.findall(rb"(?m)^x-request-id: (\S+)\r$", got)
    heads = re.findall(rb"HTTP/1\.1 \d{3} ", got)
    assert len(heads) == len(names) == len(asked), got
    asked = [
        (answered.decode() if kind.breaks else name, kind) for (name, kind), answered in zip(asked, names, strict=True)
    ]
    assert [name.decode() for name in names] == [name for name, _ in asked], got
    await until(lambda: len(scene.lines()) >= len(asked))
    recorded(scene, asked)


@SOME
@given(st.sampled_from(HELD), st.lists(st.sampled_from([*WHOLE[:6], HELD[0]]), max_size=4), st.booleans())
async def test_requests_of_a_client_that_leaves_are_recorded_those_in_line_too(
    scene: Scene, first: Kind, kinds: list[Kind], reset: bool
) -> None:
    scene.said.clear()
    scene.let_go.clear()
    before = scene.held
    asked = [(f"{next(scene.numbers)}", kind) for kind in (first, *kinds)]
    data = b"".join(kind.text(name) for name, kind in asked)
    _, writer = await asyncio.open_connection("127.0.0.1", scene.served.port)
    writer.write(data)
    await until(lambda: scene.held > before)
    for _ in range(3):
        await scene.served.get(b"/local/fine", b"x-request-id: other")  # what was read is parsed by now
    if reset:
        writer.transport.abort()
    else:
        writer.close()
    gone = [(name, Kind(kind.start, " 499 .*code=client_closed")) for name, kind in asked]
    if "/local" in first.start:
        for _ in range(3):
            await scene.served.get(b"/local/fine", b"x-request-id: other")
        scene.let_go.set()  # an endpoint is not told that its client has left
    await until(lambda: len([line for line in scene.lines() if "=other " not in line]) >= len(asked))
    scene.said[:] = [line for line in scene.said if "=other " not in line]
    recorded(scene, gone)
    scene.let_go.set()


async def test_an_id_is_made_where_the_request_has_no_valid_one(scene: Scene) -> None:
    got = [
        await scene.served.get(path, *lines)
        for path in (b"/svc/x", b"/local/fine", b"/nothing", b"/svc//x")
        for lines in ((), (b"x-request-id: a b",), (b"x-request-id: a", b"x-request-id: b"))
    ]
    ids = re.findall(rb"\r\nx-request-id: ([0-9a-f]{32})\r\n", b"".join(got))
    assert len(set(ids)) == len(got)
    assert sorted(re.findall(r" request_id=(\S+)", "\n".join(scene.lines()))) == sorted(map(bytes.decode, ids))
