"""User code raises, wherever a request meets it: one clear 500 with its id, settled once, on each engine."""

import asyncio
import json
import logging
import re
from collections.abc import Callable
from typing import Annotated

import pytest
from pydantic import AfterValidator, BaseModel

from conformance import json_answer
from limen import Gateway, Principal, Timeouts, Upstream, anyone, signed_in
from limen.auth import Jwt, Revocations
from limen.testing import ScriptedUpstream, saying
from serving import serving
from tokens import SECRET, token

LONG = b'{"id": 5, "text": "' + b"x" * 100 + b'"}'


class Mistake(Exception):
    """What the user's code raises."""


def mistake(value: object) -> bool:
    raise Mistake(f"a secret of {value}")


async def mistake_later(value: object) -> object:
    return mistake(value)


Raising = Annotated[int, AfterValidator(mistake)]


class Item(BaseModel):
    """A body or an answer whose validator raises what no validator may."""

    id: Raising


class Forgetful(Revocations):
    """A store that cannot be asked."""

    def ended(self, principal: Principal, now: float) -> bool:
        raise Mistake(principal.id)


def _app(url: str, **settings: object) -> tuple[Gateway, Upstream]:
    return Gateway(auth=Jwt(SECRET), **settings), Upstream("svc", [url])  # pyright: ignore[reportArgumentType] - some of them


def rule(url: str) -> Gateway:
    app, svc = _app(url)
    app.forward("/x", upstream=svc, allow=mistake)
    return app


def identity(url: str) -> Gateway:
    app, svc = _app(url, identity={"request-user-id": mistake})
    app.forward("/x", upstream=svc, allow=signed_in)
    return app


def store(url: str) -> Gateway:
    app, svc = _app(url, revocations=Forgetful())
    app.forward("/x", upstream=svc, allow=signed_in)
    return app


def parameter(url: str) -> Gateway:
    app, svc = _app(url)

    @app.post("/x", upstream=svc, allow=anyone)
    def stub(page: Raising = 1) -> None: ...

    del stub
    return app


def body(url: str) -> Gateway:
    app, svc = _app(url)

    @app.post("/x", upstream=svc, allow=anyone)
    def stub(item: Item) -> None: ...

    del stub
    return app


def answer(url: str) -> Gateway:
    app, svc = _app(url)

    @app.post("/x", upstream=svc, allow=anyone)
    def stub() -> Item: ...

    del stub
    return app


def hook(url: str) -> Gateway:
    app, svc = _app(url)

    @app.post("/x", upstream=svc, allow=anyone, after=mistake)
    def stub() -> None: ...

    del stub
    return app


def hook_later(url: str) -> Gateway:
    app, svc = _app(url)

    @app.post("/x", upstream=svc, allow=anyone, after=mistake_later)
    def stub() -> None: ...

    del stub
    return app


PLACES: dict[str, tuple[Callable[[str], Gateway], str]] = {
    "a rule": (rule, "internal_error"),
    "the identity for services": (identity, "internal_error"),
    "a store of ended tokens": (store, "internal_error"),
    "a parameter's validator": (parameter, "internal_error"),
    "a body's validator": (body, "internal_error"),
    "an answer's validator": (answer, "internal_error"),
    "a hook": (hook, "hook_failed"),
    "a hook that is awaited": (hook_later, "hook_failed"),
}


@pytest.mark.parametrize(("build", "code"), PLACES.values(), ids=PLACES)
async def test_user_code_that_raises_is_one_clear_500(
    build: Callable[[str], Gateway], code: str, caplog: pytest.LogCaptureFixture
) -> None:
    request = b"\r\n".join(
        (
            b"POST /x?page=2 HTTP/1.1",
            b"host: g",
            b"authorization: Bearer " + token(),
            b"content-type: application/json",
            b"content-length: 9",
            b"x-request-id: the-one",
        )
    )
    caplog.set_level(logging.INFO, "limen.access")
    async with ScriptedUpstream(saying(*[json_answer(LONG)] * 3)) as upstream:
        app = build(upstream.url)
        async with serving(app) as served:
            twice = await served.raw(
                request + b'\r\n\r\n{"id": 5}', request + b'\r\nconnection: close\r\n\r\n{"id": 5}'
            )
    answers = re.findall(rb"HTTP/1\.1 (\d+) .*?\r\n\r\n(\{.*?\})(?=HTTP|$)", twice, re.DOTALL)
    assert [status for status, _ in answers] == [b"500", b"500"], twice  # and the connection went on
    for _, content in answers:
        problem = json.loads(content)
        assert (problem["code"], problem["request_id"]) == (code, "the-one")
    assert twice.count(b"\r\nx-request-id: the-one\r\n") == 2
    assert b"secret" not in twice
    settled = [record for record in caplog.records if record.name == "limen.access"]
    assert [code in record.getMessage() for record in settled] == [True, True]
    traces = [record for record in caplog.records if record.exc_info]
    assert [record.exc_info[0] for record in traces if record.exc_info] == [Mistake, Mistake]


async def test_a_hook_that_never_returns_is_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    """It holds nothing then, and the connection serves on."""
    ended: list[bool] = []

    async def never(answer: object) -> object:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append(True)

    async with ScriptedUpstream(saying(*[json_answer(b"{}")] * 2)) as upstream:
        app, svc = _app(upstream.url)

        @app.get("/never", upstream=svc, allow=anyone, after=never, timeouts=Timeouts(first_byte=1))
        def stub() -> None: ...

        app.forward("/x", upstream=svc, allow=anyone)
        del stub
        async with serving(app) as served:
            with caplog.at_level(logging.ERROR, "limen.app.hooks"):
                got = await served.client.get("/never")
            assert (got.status_code, got.json()["code"]) == (500, "hook_failed")
            assert ended == [True]
            assert (await served.client.get("/x")).status_code == 200
    assert [record.getMessage() for record in caplog.records if record.name == "limen.app.hooks"] == [
        "the after hook of GET /never was given up after 1 s"
    ]
