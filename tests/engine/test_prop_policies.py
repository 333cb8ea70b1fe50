"""Whatever happens to a request, and whenever: each policy is told of its end once, and every lease is released."""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from examples import part
from limen import Gateway, Upstream, anyone
from limen.exchange.answer import Answer
from limen.exchange.attempt import AttemptResult
from limen.exchange.hooks import PHASES
from limen.exchange.policy import Environment
from limen.exchange.request import Request
from limen.http.headers import Headers
from limen.testing import Conversation, EveryHook, Record, ScriptedUpstream
from serving import Served, serving, until

WAITING = ("enter", "limit", "lookup")
FAILING = (
    *("enter", "arrive", "limit", "lookup", "request_head", "request_body", "attempt_head", "attempt_ended"),
    *("store", "answer_head", "encode"),
)
SERVICES = ("whole", "chunked", "half", "silent", "closes", "garbage", "asks")
Leaves = Literal["never", "waiting", "asked", "answered"]


class Mistake(Exception):
    """One of a policy's author."""


@dataclass(frozen=True, slots=True)
class Failing:
    """Raises in the phase that a request names in ``x-fail``. It comes after the one that keeps the record."""

    rank: ClassVar[int] = 600
    adds: ClassVar[bool] = False

    @property
    def name(self) -> str:
        return "failing"

    def live(self, environment: Environment) -> "Failing":
        return self

    def _look(self, phase: bytes, request: Request) -> None:
        if request.head.all(b"x-fail") == [phase]:
            raise Mistake

    def enter(self, request: Request) -> None:
        self._look(b"enter", request)

    def arrive(self, request: Request) -> None:
        self._look(b"arrive", request)

    def limit(self, request: Request) -> None:
        self._look(b"limit", request)

    def lookup(self, request: Request) -> None:
        self._look(b"lookup", request)

    def request_head(self, request: Request, lines: Headers) -> Headers:
        self._look(b"request_head", request)
        return lines

    def request_body(self, request: Request) -> None:
        self._look(b"request_body", request)

    def attempt_head(self, request: Request, target: str) -> Headers:
        self._look(b"attempt_head", request)
        return []

    def attempt_ended(self, request: Request, result: AttemptResult) -> None:
        self._look(b"attempt_ended", request)

    def store(self, request: Request, answer: Answer) -> None:
        self._look(b"store", request)

    def answer_head(self, request: Request, answer: Answer) -> None:
        self._look(b"answer_head", request)

    def encode(self, request: Request, answer: Answer) -> None:
        self._look(b"encode", request)


@dataclass(frozen=True)
class RequestCourse:
    """What becomes of one request. ``race`` opens what it waits for in the same turn in which the client leaves."""

    service: str = "whole"
    route: str = "svc"
    body: Literal["none", "whole", "half", "chunked"] = "none"
    wait: str = ""
    fail: str = ""
    leaves: Leaves = "never"
    abort: bool = True
    race: bool = False


COURSES = st.builds(
    RequestCourse,
    service=st.sampled_from(SERVICES),
    route=st.sampled_from(("svc", "checked", "declared", "local", "nowhere")),
    body=st.sampled_from(("none", "whole", "half", "chunked")),
    wait=st.sampled_from(("", "", *WAITING)),
    fail=st.sampled_from(("", "", "", *FAILING)),
    leaves=st.sampled_from(("never", "waiting", "asked", "answered")),
    abort=st.booleans(),
    race=st.booleans(),
)


class Scene:
    """A gateway with the two policies, and a service that does as its path says."""

    def __init__(self) -> None:
        self.record = Record()
        self.gates: Mapping[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.asked: set[str] = set()
        self.numbers = itertools.count()
        self.gateway: Served
        self.app: Gateway

    def wait(self, phase: str, request: Request) -> Awaitable[None] | None:
        if request.head.all(b"x-wait") != [phase.encode()]:
            return None
        return self._opened(request.request_id)

    async def _opened(self, token: str) -> None:
        self.asked.add(token)
        await self.gates[token].wait()

    async def script(self, conversation: Conversation) -> None:
        while True:
            head = await conversation.head()
            token = head.partition(b"x-request-id: ")[2].partition(b"\r\n")[0].decode()
            how = head.partition(b"x-service: ")[2].partition(b"\r\n")[0]
            self.asked.add(token)
            if how == b"closes":
                return
            if how == b"garbage":
                await conversation.say(b"HTTP/1.1 nonsense\r\n\r\n")
                return
            if how == b"silent":
                await self.gates[token].wait()
                return
            if how == b"half":
                await conversation.say(
                    b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{"a'
                )
                await self.gates[token].wait()
                return
            if how == b"chunked":
                await conversation.say(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
                    b'3\r\n{"a\r\n4\r\n":1}\r\n'
                )
                await self.gates[token].wait()
                await conversation.say(b"0\r\n\r\n")
                return
            status = b"401 No" if how == b"asks" else b"200 OK"
            await conversation.say(
                b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: 7\r\n\r\n" % status + b'{"a":1}'
            )
            if b"content-length" in head or b"transfer-encoding" in head:
                return  # what is left of the body is not read

    def build(self, url: str) -> Gateway:
        waits = {phase: partial(self.wait, phase) for phase in WAITING}
        app = Gateway(policies=[EveryHook(self.record, waits=waits), Failing()])
        upstream = Upstream("svc", [url])

        @app.post("/checked", upstream=upstream, allow=anyone)
        def checked() -> dict[str, int]: ...

        @app.post("/declared", upstream=upstream, allow=anyone)
        def declared(item: dict[str, int]) -> dict[str, int]: ...

        @app.post("/local")
        async def local() -> str:
            return "here"

        del checked, declared, local
        app.forward("/svc", upstream=upstream, allow=anyone)
        self.app = app
        return app

    async def take(self, course: RequestCourse) -> None:
        """Let one request take its course, and see what is left of it."""
        token = f"r-{next(self.numbers)}"
        record = self.record
        body = {"none": b"", "whole": b'{"b":2}', "half": b'{"b', "chunked": b'7\r\n{"b":2}\r\n0\r\n\r\n'}[course.body]
        framing = {"none": b"", "chunked": b"transfer-encoding: chunked\r\n"}.get(course.body, b"content-length: 7\r\n")
        reader, writer = await asyncio.open_connection("127.0.0.1", self.gateway.port)
        try:
            writer.write(
                b"POST /%b HTTP/1.1\r\nhost: g\r\nx-request-id: %b\r\nx-service: %b\r\nx-wait: %b\r\nx-fail: %b\r\n"
                b"content-type: application/json\r\nconnection: close\r\n%b\r\n%b"
                % (
                    course.route.encode(),
                    token.encode(),
                    course.service.encode(),
                    course.wait.encode(),
                    course.fail.encode(),
                    framing,
                    body,
                )
            )
            await writer.drain()
            answer = asyncio.ensure_future(reader.read(1 if course.leaves == "answered" else -1))
            if course.leaves == "answered":
                self._open_unless_held(course, token)
                await asyncio.wait((answer,), timeout=0.05)
            elif course.leaves == "asked":
                await self._until(lambda: self._asked(course, token), answer)
            elif course.leaves == "waiting":
                await self._until(lambda: bool(record.of(token)), answer)
            if course.leaves == "never":
                self.gates[token].set()
                if course.body == "half":
                    await self._until(lambda: "arrive" in record.of(token), answer)
                    writer.write(b'":2}')
                await answer
            else:
                if course.race:
                    self.gates[token].set()
                if course.abort:
                    writer.transport.abort()
                else:
                    writer.close()
        finally:
            writer.close()
        self.gates[token].set()
        answer.cancel()
        async with asyncio.timeout(10):
            await until(lambda: "settle" in record.of(token) or not record.of(token))
            await until(lambda: not self.gateway.connections)

    def _open_unless_held(self, course: RequestCourse, token: str) -> None:
        if course.service not in ("half", "chunked"):
            self.gates[token].set()

    def _asked(self, course: RequestCourse, token: str) -> bool:
        """Tell whether somebody was asked, or never will be: what waits for the rest of a body is as far as it gets."""
        return token in self.asked or (course.body == "half" and bool(self.record.of(token)))

    async def _until(self, condition: Callable[[], bool], answer: "asyncio.Future[bytes]") -> None:
        """Wait for ``condition``, or for the answer that makes it impossible."""
        async with asyncio.timeout(10):
            await until(lambda: condition() or answer.done())


@pytest.fixture
async def scene() -> AsyncGenerator[Scene]:
    """One for all examples on an engine."""
    made = Scene()
    async with ScriptedUpstream(made.script) as upstream, serving(made.build(upstream.url)) as gateway:
        made.gateway = gateway
        yield made


@settings(max_examples=part(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(COURSES, min_size=1, max_size=4))
@example([RequestCourse(wait=wait, leaves="waiting", race=race) for wait in WAITING for race in (False, True)])
@example(
    [RequestCourse(service=service, leaves=leaves) for service in SERVICES for leaves in ("asked", "answered", "never")]
)
@example([RequestCourse(fail=fail, body="whole") for fail in FAILING])
@example([RequestCourse(route=route, body="whole") for route in ("svc", "checked", "declared", "local", "nowhere")])
async def test_each_exchange_settles_once_and_leaves_nothing(scene: Scene, courses: list[RequestCourse]) -> None:
    await asyncio.gather(*map(scene.take, courses))
    record = scene.record
    assert record.broken() == []
    assert not [name for name in PHASES if name not in (*FAILING, "settle")]
    assert len(scene.app.active_config().runtime.body_memory) == 0
    record.__init__()
