"""Validation does not block the loop: one heavy validation in each turn, on each engine, and all of it bounded."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from typing import Annotated

import pytest
from fastapi import Cookie
from pydantic import AfterValidator, BaseModel, ConfigDict

from limen import Gateway, Upstream, anyone
from limen.fairness import validations as module
from limen.fairness.body_memory import BodyMemory
from limen.fairness.validations import LIGHT, Validations
from limen.testing import Conversation, ScriptedUpstream
from serving import Served, serving, until

CLIENTS = 6
HEAVY = b"[" + b"12," * LIGHT + b"12]"
LIGHTER = b"[1,2,3]"
FULL = b"HTTP/1.1 503 Service Unavailable\r\n"


class ValidationRecorder:
    """Notes in which turn of the loop each validation ran."""

    def __init__(self) -> None:
        self.turn = 0
        self.heavy: list[int] = []
        self.light: list[int] = []
        self.bodies: BodyMemory | None = None
        self.held: list[int] = []  # bytes of bodies that were counted then
        self._handle = asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        self.turn += 1
        self._handle = asyncio.get_running_loop().call_soon(self._next)

    def saw(self, value: list[int]) -> list[int]:
        if self.bodies is not None:
            self.held.append(self.bodies.total)
        (self.heavy if len(value) > 1000 else self.light).append(self.turn)
        return value

    def at_most_one_in_each_turn(self) -> bool:
        """Tell whether no turn had two heavy ones.

        The order within a turn may change from one to the next: two in neighbouring turns can have the same number, but no
        three, nor two such pairs one after the other.
        """
        heavy = self.heavy
        return all(heavy[j] - heavy[i] >= j - i - 1 for i in range(len(heavy)) for j in range(i + 1, len(heavy)))

    def close(self) -> None:
        self._handle.cancel()


class ValidatingGateway:
    """A gateway with routes that check, and what was checked."""

    def __init__(
        self, served: Served, validations: Validations, recorder: ValidationRecorder, upstream: ScriptedUpstream
    ) -> None:
        self.served = served
        self.validations = validations
        self.recorder = recorder
        self.upstream = upstream

    async def post(self, content: bytes, path: bytes = b"/numbers") -> bytes:
        lines = (b"POST " + path + b" HTTP/1.1", b"host: g", b"connection: close", b"content-type: application/json")
        head = b"\r\n".join((*lines, b"content-length: %d" % len(content), b"", b""))
        return await self.served.raw(head + content)


@contextlib.asynccontextmanager
async def validating_gateway() -> AsyncGenerator[ValidatingGateway]:
    async def answering(conversation: Conversation) -> None:
        while True:
            request = await conversation.request()
            content = HEAVY if request.startswith(b"GET") else b"{}"
            await conversation.say(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(content), content))

    recorder = ValidationRecorder()

    class Login(BaseModel):
        model_config = ConfigDict(extra="forbid")
        name: str

    async with ScriptedUpstream(answering) as upstream:
        app = Gateway()
        recorder.bodies = app.active_config().runtime.body_memory
        svc = app.group("", upstream=Upstream("svc", [upstream.url]), allow=anyone)

        @svc.post("/numbers")
        def numbers(body: Annotated[list[int], AfterValidator(recorder.saw)]) -> None: ...

        @svc.get("/numbers")
        def answer() -> Annotated[list[int], AfterValidator(recorder.saw)]: ...

        @svc.post("/login")
        def login(body: Login) -> None: ...

        def count(answer: list[int]) -> dict[str, int]:
            return {"items": len(answer)}

        @svc.get("/hooked", after=count)
        def hooked() -> None: ...

        @svc.get("/search")
        def search(limit: int = 1, session: Annotated[int, Cookie()] = 1) -> None: ...

        del numbers, answer, login, hooked, search
        async with serving(app) as served:
            yield ValidatingGateway(served, app.active_config().runtime.validations, recorder, upstream)
    recorder.close()


async def test_heavy_bodies_that_come_at_once_are_checked_in_turns_of_their_own() -> None:
    async with validating_gateway() as one:
        answers = await asyncio.gather(*(one.post(HEAVY) for _ in range(CLIENTS)))
        assert all(answer.startswith(b"HTTP/1.1 200 ") for answer in answers)
        assert len(one.recorder.heavy) == CLIENTS
        assert one.recorder.at_most_one_in_each_turn()
        assert (await one.post(LIGHTER)).startswith(b"HTTP/1.1 200 ")
        assert len(one.recorder.light) == 1


async def test_a_body_counts_as_held_until_it_is_checked() -> None:
    async with validating_gateway() as made:
        bodies = made.recorder.bodies
        assert bodies is not None
        await asyncio.gather(*(made.post(HEAVY) for _ in range(CLIENTS)))
        assert len(made.recorder.held) == CLIENTS
        assert min(made.recorder.held) >= len(HEAVY)
        await until(lambda: bodies.total == 0)


async def test_heavy_answers_are_checked_in_turns_of_their_own() -> None:
    async with validating_gateway() as one:
        answers = await asyncio.gather(*(one.served.get(b"/numbers") for _ in range(CLIENTS)))
        assert all(answer.endswith(HEAVY) for answer in answers)
        assert len(one.recorder.heavy) == CLIENTS
        assert one.recorder.at_most_one_in_each_turn()


async def test_a_heavy_answer_of_a_hook_is_checked_in_a_turn_of_its_own() -> None:
    async with validating_gateway() as one:
        assert (await one.served.get(b"/hooked")).endswith(b'{"items":%d}' % (LIGHT + 1))


async def test_a_client_that_leaves_before_its_turn_is_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_OLDEST_EVERY", 1 << 60)
    async with validating_gateway() as one:
        begin = b"POST /numbers HTTP/1.1\r\nhost: g\r\ncontent-type: application/json\r\n"
        _, writer = await asyncio.open_connection("127.0.0.1", one.served.port)
        stays = True

        async def occupy() -> None:
            """Keep smaller ones in line, for as long as it matters."""
            while stays:
                asked = one.validations.ask(0, lambda: None)
                assert asked is not None
                await asked

        # Several: while one of them wakes up, the next has the turn.
        before = [asyncio.create_task(occupy()) for _ in range(4)]
        writer.write(begin + b"content-length: %d\r\n\r\n%b" % (len(HEAVY), HEAVY))
        await until(lambda: f"{len(HEAVY)} bytes" in repr(one.validations))
        writer.close()
        await until(lambda: repr(one.validations).endswith(" 0 bytes>"))
        stays = False
        await asyncio.gather(*before)
        assert (await one.post(LIGHTER)).startswith(b"HTTP/1.1 200 ")
        assert one.recorder.heavy == []
        assert len(one.upstream.requests) == 1


async def test_a_validation_without_a_place_in_line_is_503_with_retry_after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 0)
    async with validating_gateway() as one:
        for answer in (await one.post(HEAVY), await one.served.get(b"/numbers")):
            assert answer.startswith(FULL)
            assert b"\r\nretry-after: 1\r\n" in answer
            assert b'"code":"overloaded"' in answer
        assert (await one.post(LIGHTER)).startswith(b"HTTP/1.1 200 ")


async def test_a_body_of_many_small_objects_is_too_large_and_text_is_not() -> None:
    async with validating_gateway() as one:
        many = b'{"name":[' + b"{}," * 20_000 + b"{}]}"
        answer = await one.post(many, b"/login")
        assert answer.startswith(b"HTTP/1.1 422 ")
        assert b'"msg":"Input may hold 65,536 values, 16,384 of them objects and arrays"' in answer
        assert one.upstream.requests == []
        text = json.dumps({"name": '[{,\\"' * 25_000}).encode()
        assert (await one.post(text, b"/login")).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(("count", "listed", "omitted"), [(3, 3, 0), (150, 100, 50), (20_000, 1, 20_000)])
async def test_the_answer_to_any_number_of_misfits_is_small_and_counts_them(
    count: int, listed: int, omitted: int
) -> None:
    async with validating_gateway() as one:
        content = json.dumps({"name": "s3cret", **{f"{n:x}": 0 for n in range(count)}}, separators=(",", ":")).encode()
        answer = await one.post(content, b"/login")
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 422 ")
        assert len(body) < 65536
        assert b"s3cret" not in body
        told = json.loads(body)
        assert (len(told["errors"]), told.get("errors_omitted", 0)) == (listed, omitted)


async def test_of_many_invalid_items_the_first_is_named() -> None:
    async with validating_gateway() as one:
        answer = await one.post(b"[" + b'"x",' * 10_000 + b"1]")
        told = json.loads(answer.partition(b"\r\n\r\n")[2])
        assert [place["loc"] for place in told["errors"]] == [["body", 0]]


@pytest.mark.parametrize("where", ["query", "cookie"])
async def test_parameters_are_bounded_in_number_where_any_are_declared(where: str) -> None:
    async def ask(pairs: bytes) -> bytes:
        if where == "query":
            return await one.served.get(b"/search?" + pairs)
        return await one.served.get(b"/search", b"cookie: " + pairs.replace(b"&", b";"))

    async with validating_gateway() as one:
        assert (await ask(b"&".join([b"other=1"] * 1000))).startswith(b"HTTP/1.1 200 ")
        answer = await ask(b"&".join([b"other=1"] * 1001))
        assert answer.startswith(b"HTTP/1.1 422 ")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["errors"] == [
            {"loc": [where], "msg": "There may be at most 1000 of these", "type": "too_long"}
        ]
