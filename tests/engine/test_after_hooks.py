"""What an ``after`` hook may do with an answer, over sockets on both engines."""

from typing import Any

import pytest
import starlette.exceptions
from fastapi import HTTPException, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel

from conformance import json_answer
from limen import Gateway, Principal, Upstream, anyone, signed_in
from limen.auth import Jwt, issue
from limen.testing import ScriptedUpstream, saying
from serving import serving

TOKENS = Jwt("0123456789abcdef0123456789abcdef-for-tests")
ANSWER = json_answer(b'{"id":5}', b"cache-control: no-store", b'etag: "1"', b"set-cookie: a=1")


class Account(BaseModel):
    id: int


class Greeting(BaseModel):
    text: str
    note: str | None = None


def sets(account: Account, response: Response, caller: Principal) -> Greeting:
    response.status_code = 202
    response.headers["cache-control"] = "max-age=1"
    response.set_cookie("b", "2")
    return Greeting(text=f"{caller.id} has {account.id}")


async def redirects(answer: Any) -> Response:
    return RedirectResponse(f"/accounts/{answer['id']}", 303)


def raises(answer: Any) -> None:
    raise HTTPException(409, "Taken already.", {"x-why": "name"})


def empties(answer: Any, response: Response) -> None:
    response.status_code = 204


def breaks_framing(answer: Any, response: Response) -> Any:
    response.headers["transfer-encoding"] = "chunked"
    return answer


def no_status(answer: Any, response: Response) -> Any:
    response.status_code = 101
    return answer


def content_of_204(answer: Any, response: Response) -> Any:
    response.status_code = 204
    return answer


def build(url: str) -> Gateway:
    app = Gateway(auth=TOKENS)
    svc = app.group("", upstream=Upstream("svc", [url]), allow=anyone)

    @svc.get("/sets", allow=signed_in, after=sets, response_model_exclude_none=True)
    def one() -> Greeting: ...

    for hook in (redirects, raises, empties, breaks_framing, no_status, content_of_204):

        def stub() -> None: ...

        svc.get(f"/{hook.__name__}", after=hook)(stub)
    del one
    return app


async def test_a_hook_sees_the_caller_and_sets_status_headers_and_cookies() -> None:
    async with ScriptedUpstream(saying(ANSWER)) as upstream, serving(build(upstream.url)) as gateway:
        got = await gateway.client.get("/sets", headers={"authorization": f"Bearer {issue(TOKENS, '7', 'default')}"})
    assert (got.status_code, got.json()) == (202, {"text": "7 has 5"})
    assert got.headers.get_list("cache-control") == ["max-age=1"]
    assert [one.partition(";")[0] for one in got.headers.get_list("set-cookie")] == ["a=1", "b=2"]
    assert got.headers["content-type"] == "application/json"
    assert "etag" not in got.headers


async def test_a_response_is_the_answer_and_an_exception_is_a_problem() -> None:
    async with ScriptedUpstream(saying(*[ANSWER] * 3)) as upstream, serving(build(upstream.url)) as gateway:
        got = await gateway.client.get("/redirects")
        assert (got.status_code, got.headers["location"], got.content) == (303, "/accounts/5", b"")
        got = await gateway.client.get("/raises", headers={"x-request-id": "the-one"})
        assert (got.status_code, got.headers["x-why"]) == (409, "name")
        assert got.headers["content-type"] == "application/problem+json"
        told = got.json()
        assert (told["status"], told["title"], told["detail"]) == (409, "Conflict", "Taken already.")
        assert told["request_id"] == got.headers["x-request-id"] == "the-one"
        got = await gateway.client.get("/empties")
        assert (got.status_code, got.content) == (204, b"")
        assert "content-length" not in got.headers


@pytest.mark.parametrize("kind", [HTTPException, starlette.exceptions.HTTPException])
@pytest.mark.parametrize("later", [False, True])
async def test_an_exception_may_say_any_json_or_nothing(
    kind: type[HTTPException], caplog: pytest.LogCaptureFixture, *, later: bool
) -> None:
    raised = [
        (409, {"code": "taken", "at": [1]}, {"code": "taken", "at": [1]}),
        (422, ["a", None], ["a", None]),
        (409, None, "Conflict"),
        (599, None, ""),
        (403, {"n": float("nan")}, "Forbidden"),
        (400, object(), "Bad Request"),
        *((status, "ignored", None) for status in (204, 205, 304)),
    ]
    left = iter(raised)

    def fails() -> None:
        status, detail, _ = next(left)
        raise kind(status, detail, {"x-why": "name"})

    def at_once(answer: Any) -> None:
        fails()

    async def after_a_while(answer: Any) -> None:
        fails()

    app = Gateway()
    async with ScriptedUpstream(saying(*[ANSWER] * len(raised))) as upstream:
        service = Upstream("svc", [upstream.url])

        @app.get("/x", upstream=service, allow=anyone, after=after_a_while if later else at_once)
        def stub() -> Account: ...

        del stub
        async with serving(app) as gateway:
            for status, _, said in raised:
                got = await gateway.client.get("/x")
                assert (got.status_code, got.headers["x-why"]) == (status, "name")
                assert got.content == b"" if said is None else got.json()["detail"] == said
    name = "after_a_while" if later else "at_once"
    logged = [one for one in caplog.messages if f"the after hook {name} raised HTTPException" in one]
    assert [one[one.index("with a detail") :].partition(" that")[0] for one in logged] == [
        "with a detail (dict)",
        "with a detail (object)",
    ]


@pytest.mark.parametrize("path", ["breaks_framing", "no_status", "content_of_204"])
async def test_an_answer_that_cannot_be_framed_is_a_fault_of_the_hook(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with ScriptedUpstream(saying(*[ANSWER] * 2)) as upstream, serving(build(upstream.url)) as gateway:
        got = await gateway.client.get(f"/{path}")
        assert (got.status_code, got.json()["code"]) == (500, "hook_failed")
        assert (await gateway.client.get("/raises")).status_code == 409
    assert f"the after hook of GET /{path} failed: " in caplog.text


class Job(BaseModel):
    job: int


@pytest.mark.parametrize(
    ("responses", "status", "content", "got"),
    [
        ({}, 201, b'{"id": 5, "x": 1}', (201, b'{"id":5}')),
        ({}, 202, b'{"job": 1, "x": 1}', (202, b'{"job": 1, "x": 1}')),
        ({202: {"model": Job}}, 202, b'{"job": 1, "x": 1}', (202, b'{"job":1}')),
        ({"202": {"model": Job}}, 202, b'{"x": 1}', (502, None)),
        ({"2XX": {"model": Job}}, 203, b'{"job": 1, "x": 1}', (203, b'{"job":1}')),
        ({"2XX": {"model": Job}}, 201, b'{"id": 5, "x": 1}', (201, b'{"id":5}')),
        ({202: {"description": "queued"}}, 202, b"[]", (202, b"[]")),
        ({404: {"model": Job}}, 404, b'{"x": 1}', (404, b'{"x": 1}')),
    ],
)
async def test_a_success_is_checked_as_its_status_is_declared(
    responses: dict[int | str, dict[str, Any]], status: int, content: bytes, got: tuple[int, bytes | None]
) -> None:
    async with ScriptedUpstream(saying(json_answer(content, status=b"%d X" % status))) as upstream:
        app = Gateway()

        @app.post("/x", upstream=Upstream("svc", [upstream.url]), allow=anyone, status_code=201, responses=responses)
        def stub() -> Account: ...

        del stub
        async with serving(app) as gateway:
            seen = await gateway.client.post("/x")
    assert seen.status_code == got[0]
    assert got[1] is None or seen.content == got[1]
