"""What happens to a request, in order: section 2 of the checklist, with its defects mended, and the tokens of section 4."""

import asyncio
import json
from time import time
from typing import Any

import pytest
from fastapi import Request, Response
from joserfc import jwt
from joserfc.jwk import OctKey
from pydantic import BaseModel

from article_gateway import Article
from limen import Gateway, Timeouts, Upstream
from limen.auth import Jwt
from limen.compat import route
from limen.testing import ScriptedUpstream, flush_log, saying
from serving import serving


class Item(BaseModel):
    """A body, and an answer."""

    id: int
    name: str = ""


def answer(content: bytes, status: bytes = b"200 OK", kind: bytes = b"application/json", *lines: bytes) -> bytes:
    head = [b"HTTP/1.1 " + status, b"content-type: " + kind, b"content-length: %d" % len(content), *lines]
    return b"\r\n".join([*head, b"", content])


ONE = answer(b'{"id": 1, "name": "a"}')


def gateway(url: str | Upstream, **parameters: Any) -> Gateway:
    """Return a gateway with one route, GET /items/{item_id}."""
    app = Gateway(auth=Jwt("a key that only these tests know, long enough"))
    defaults: dict[str, Any] = {
        "request_method": app.get,
        "path": "/items/{item_id}",
        "status_code": 200,
        "payload_key": None,
        "service_url": url,
        "response_model": Item,
    }

    @route(**(defaults | parameters))
    async def get_item(item_id: int, request: Request, response: Response):
        raise AssertionError("the body of a handler is never run")

    del get_item
    return app


async def test_the_caller_is_asked_for_before_the_request_is_checked(own: Article) -> None:
    """Decided: an anonymous caller cannot probe schemas."""
    requests: list[tuple[str, str, object]] = [("/api/users/x", "GET", None), ("/api/orders", "POST", {})]
    for path, method, body in requests:
        found = await own.client.request(method, path, json=body)
        assert found.status_code == 401
        known = await own.client.request(method, path, json=body, headers=own.bearer())
        assert (known.status_code, known.json()["code"]) == (422, "invalid_request")
    public = await own.client.post("/api/login", json={"username": "x"})
    assert public.status_code == 422
    assert not own.seen


async def test_the_three_refusals_of_a_token(article: Article) -> None:
    cases = {
        None: "Auth token is missing in headers.",
        article.bearer(minutes=-5)["authorization"]: "Auth token is expired.",
        article.bearer()["authorization"][:-4] + "abcd": "Auth token is corrupted.",
        "Bearer": "Auth token is corrupted.",
    }
    for value, detail in cases.items():
        headers = {} if value is None else {"authorization": value}
        found = await article.client.get("/api/orders", headers=headers)
        assert (found.status_code, found.json()["detail"]) == (401, detail)
        assert found.headers["www-authenticate"].startswith("Bearer")
        assert found.headers["content-type"] == "application/problem+json"
    assert not article.seen


async def test_nothing_of_what_a_decoder_raises_is_told(own: Article, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        found = await own.client.get("/api/orders", headers={"authorization": "Bearer a.private.token"})
        flush_log()
    assert found.json()["detail"] == "Auth token is corrupted."
    assert "private" not in found.text + caplog.text
    assert "must not leave" not in found.text + caplog.text
    assert "cause='the decoder raised AuthTokenCorrupted'" in caplog.text


async def test_a_bare_token_is_what_the_projects_decoder_says_and_is_none_for_limen(article: Article) -> None:
    """The original took the text "Bearer " away where it stood; a decoder of one's own still may."""
    token = article.bearer()["authorization"].removeprefix("Bearer ")
    found = await article.client.get("/api/users", headers={"authorization": token})
    has_decoder = article.app.declared()[1].auth is not None
    assert found.status_code == (200 if has_decoder else 401)


@pytest.mark.parametrize("claims", [{"id": 1}, {"user_type": "admin"}])
async def test_a_token_without_a_claim_is_no_failure_of_the_gateway(article: Article, claims: dict[str, Any]) -> None:
    whole = {"id": None, "user_type": None} | claims
    payload = {name: value for name, value in whole.items() if value is not None}
    token = _signed(article, payload)
    found = await article.client.get("/api/users", headers={"authorization": f"Bearer {token}"})
    assert found.status_code in (401, 403)
    assert not article.seen


def _signed(article: Article, payload: dict[str, Any]) -> str:
    key = OctKey.import_key(article.auth.SECRET)
    return jwt.encode({"alg": "HS256"}, payload | {"exp": int(time()) + 60}, key)


async def test_a_client_cannot_say_who_it_is(article: Article) -> None:
    spoofed = {"request-user-id": "1", "Request_User_Id": "1", "request-user-role": "admin"}
    await article.client.get("/api/orders", headers=article.bearer(2, "default") | spoofed)
    assert article.seen[-1].all("request-user-id") == ["2"]
    await article.client.get("/api/suppliers", headers=spoofed)
    names = {name for name, _ in article.seen[-1].headers}
    assert not names & {"request-user-id", "request_user_id", "request-user-role", "authorization"}


async def test_the_query_and_useful_headers_pass_and_credentials_do_not(article: Article) -> None:
    headers = article.bearer(2, "default") | {"accept-language": "la", "if-none-match": '"1"'}
    await article.client.get("/api/orders?limit=5&q=a%20b", headers=headers)
    seen = article.seen[-1]
    assert (seen.method, seen.target) == ("GET", "/api/orders?limit=5&q=a%20b")
    assert (seen.all("accept-language"), seen.all("if-none-match")) == (["la"], ['"1"'])
    assert seen.all("authorization") == []
    assert len(seen.all("x-request-id")) == 1


async def test_a_body_is_sent_where_there_is_one(article: Article) -> None:
    admin = article.bearer()
    await article.client.get("/api/users", headers=admin)
    await article.client.delete("/api/users/3", headers=admin)
    for seen in article.seen:
        assert (seen.body, seen.all("content-type"), seen.all("content-length")) == (b"", [], [])
    form = {"address": "x", "item": "y"}
    await article.client.post("/api/orders", json=form | {"created_by": 99}, headers=admin)
    assert json.loads(article.seen[-1].body) == form
    assert article.seen[-1].all("content-type") == ["application/json"]


async def test_a_body_that_is_not_declared_reaches_no_service(own: Article) -> None:
    found = await own.client.request("DELETE", "/api/users/3", json={"force": True}, headers=own.bearer())
    assert (found.status_code, found.json()["code"]) == (413, "body_too_large")
    assert not own.seen


async def test_status_and_headers_of_the_service_pass() -> None:
    made = answer(b'{"id": 1}', b"203 Other", b"application/json", b"etag: x", b"x-total-count: 7", b"server: s")
    async with ScriptedUpstream(saying(made)) as service, serving(gateway(service.url)) as served:
        found = await served.client.get("/items/1")
    assert (found.status_code, found.headers["etag"], found.headers["x-total-count"]) == (203, "x", "7")
    assert "server" not in found.headers


@pytest.mark.parametrize("status", [400, 401, 404, 409, 422, 500])
async def test_an_error_of_a_service_is_not_held_against_the_model(status: int) -> None:
    made = answer(b'{"detail": "so it is"}', b"%d Error" % status)
    async with ScriptedUpstream(saying(made)) as service, serving(gateway(service.url)) as served:
        found = await served.client.get("/items/1")
    assert (found.status_code, found.json()) == (status, {"detail": "so it is"})


async def test_a_service_that_cannot_be_reached_is_503() -> None:
    async with ScriptedUpstream(saying()) as service:
        url = service.url
    async with serving(gateway(url)) as served:
        found = await served.client.get("/items/1")
    assert (found.status_code, found.json()["detail"]) == (503, "Service is unavailable.")
    assert found.json()["code"] == "upstream_refused"


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (answer(b"<p>hello</p>", b"200 OK", b"text/html"), "upstream_contract"),
        (answer(b'{"id": "none"}'), "upstream_contract"),
        (b"nonsense\r\n\r\n", "upstream_protocol"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhalf", "upstream_closed"),
        (b"", "upstream_closed"),
    ],
)
async def test_an_answer_that_is_none_is_502(made: bytes, code: str) -> None:
    async with ScriptedUpstream(saying(made)) as service, serving(gateway(service.url)) as served:
        found = await served.client.get("/items/1")
    assert (found.status_code, found.json()["code"]) == (502, code)


async def test_a_service_that_does_not_answer_in_time_is_504() -> None:
    never = asyncio.Event()

    async def silent(conversation: Any) -> None:
        await conversation.request()
        await never.wait()

    async with ScriptedUpstream(silent) as service:
        upstream = Upstream("slow", [service.url], timeouts=Timeouts(first_byte=0.05, total=0.05))
        async with serving(gateway(upstream)) as served:
            found = await served.client.get("/items/1")
    assert (found.status_code, found.json()["code"]) == (504, "answer_timeout")


async def test_a_connection_serves_many_requests() -> None:
    async with ScriptedUpstream(saying(ONE, ONE, ONE)) as service, serving(gateway(service.url)) as served:
        for number in range(3):
            assert (await served.client.get(f"/items/{number}")).json() == {"id": 1, "name": "a"}
        assert (service.connections, len(service.requests)) == (1, 3)


async def test_bad_requests_are_refused_with_their_places() -> None:
    async with ScriptedUpstream(saying(ONE)) as service, serving(gateway(service.url)) as served:
        found = await served.client.get("/items/x")
    assert found.status_code == 422
    assert found.json()["errors"][0]["loc"] == ["path", "item_id"]
    assert not service.requests
