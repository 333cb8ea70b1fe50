"""Answers that have to be read before the client gets them: checked models, and ``after`` hooks."""

import logging

import pytest
from pydantic import BaseModel

from limen import Gateway, Upstream, anyone
from limen.testing import ScriptedUpstream, saying
from serving import serving


class Account(BaseModel):
    id: int
    name: str | None = None


class Greeting(BaseModel):
    text: str


def answer(content: bytes, status: bytes = b"200 OK", more: bytes = b"") -> bytes:
    return (
        b"HTTP/1.1 "
        + status
        + b'\r\ncontent-type: application/json\r\netag: "1"\r\n'
        + more
        + b"content-length: %d\r\n\r\n%b" % (len(content), content)
    )


def checked(url: str) -> Gateway:
    app = Gateway()

    @app.get("/account", upstream=Upstream("svc", [url]), allow=anyone, max_answer=100)
    def account() -> Account: ...

    del account
    return app


@pytest.mark.parametrize("status", [200, 201, 203])
async def test_a_model_filters_what_the_client_gets(status: int) -> None:
    said = answer(b'{"id": 5, "hashed_password": "x"}', f"{status} X".encode(), b"location: /account/5\r\n")
    async with ScriptedUpstream(saying(said)) as upstream, serving(checked(upstream.url)) as gateway:
        got = await gateway.client.get("/account")
    assert (got.status_code, got.content) == (status, b'{"id":5}')
    assert got.headers["location"] == "/account/5"
    assert got.headers["content-type"] == "application/json"
    assert "etag" not in got.headers
    assert b"accept-encoding: identity" in upstream.requests[0]


@pytest.mark.parametrize("content", [b'{"id": "x"}', b"[]", b"<html>", b"", b"\xff\xfe"])
async def test_an_answer_that_misses_its_model_is_502_and_stays_inside(content: bytes) -> None:
    async with ScriptedUpstream(saying(answer(content))) as upstream, serving(checked(upstream.url)) as gateway:
        got = await gateway.client.get("/account")
    assert (got.status_code, got.json()["code"]) == (502, "upstream_contract")


async def test_an_answer_that_is_too_large_to_hold_is_502() -> None:
    said = answer(b'{"id": 1, "name": "' + b"x" * 100 + b'"}')
    async with ScriptedUpstream(saying(said)) as upstream, serving(checked(upstream.url)) as gateway:
        got = await gateway.client.get("/account")
    assert (got.status_code, got.json()["code"]) == (502, "upstream_too_large")


async def test_an_answer_encoded_against_our_wish_is_502() -> None:
    said = answer(b"x", more=b"content-encoding: gzip\r\n")
    async with ScriptedUpstream(saying(said)) as upstream, serving(checked(upstream.url)) as gateway:
        assert (await gateway.client.get("/account")).status_code == 502


@pytest.mark.parametrize("status", [401, 403, 404, 409, 422, 500])
async def test_errors_of_the_service_pass_as_they_are(status: int) -> None:
    content = b'{"detail": "as the service says it"}'
    said = answer(content, f"{status} X".encode(), b"x-more: 1\r\n")
    async with ScriptedUpstream(saying(said)) as upstream, serving(checked(upstream.url)) as gateway:
        got = await gateway.client.get("/account")
    assert (got.status_code, got.content, got.headers["x-more"]) == (status, content, "1")


async def test_head_of_a_checked_route_promises_nothing_about_the_content() -> None:
    async with ScriptedUpstream(saying(answer(b""))) as upstream, serving(checked(upstream.url)) as gateway:
        got = await gateway.client.head("/account")
    assert got.status_code == 200
    assert "etag" not in got.headers


async def test_sync_and_async_hooks_replace_the_answer() -> None:
    def greet(account: Account) -> Greeting:
        return Greeting(text=f"hello {account.id}")

    async def greet_later(account: Account) -> Greeting:
        return greet(account)

    said = answer(b'{"id": 5}', b"201 Created")
    async with ScriptedUpstream(saying(said, said)) as upstream:
        app = Gateway()
        service = Upstream("svc", [upstream.url])

        @app.post("/a", upstream=service, allow=anyone, after=greet, status_code=201)
        def one() -> Greeting: ...

        @app.post("/b", upstream=service, allow=anyone, after=greet_later, status_code=201)
        def two() -> Greeting: ...

        del one, two
        async with serving(app) as gateway:
            for path in ("/a", "/b"):
                got = await gateway.client.post(path)
                assert (got.status_code, got.json()) == (201, {"text": "hello 5"})


async def test_a_hook_that_fails_is_500_and_says_so_in_the_log_only(caplog: pytest.LogCaptureFixture) -> None:
    def broken(account: Account) -> Greeting:
        raise RuntimeError(f"a secret of {account.id}")

    async with ScriptedUpstream(saying(answer(b'{"id": 5}'))) as upstream:
        app = Gateway()

        @app.get("/a", upstream=Upstream("svc", [upstream.url]), allow=anyone, after=broken)
        def one() -> Greeting: ...

        del one
        caplog.set_level(logging.ERROR)
        async with serving(app) as gateway:
            got = await gateway.client.get("/a")
    assert (got.status_code, got.json()["code"]) == (500, "hook_failed")
    assert "secret" not in got.text
    assert "a secret of 5" in caplog.text
