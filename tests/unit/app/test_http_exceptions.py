"""``HTTPException`` at local endpoints and in their dependencies: statuses without content, and details that are no text."""

import logging
from collections.abc import Mapping
from typing import Any

import fastapi
import pytest
from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.testclient import TestClient

from limen import Gateway

FROM = ("/endpoint", "/dependency")


def client(error: HTTPException) -> TestClient:
    app = Gateway()

    def refuse() -> None:
        raise error

    @app.get("/endpoint")
    async def endpoint() -> None:
        raise error

    @app.get("/dependency", dependencies=[Depends(refuse)])
    async def guarded() -> None:
        pass

    del endpoint, guarded
    return TestClient(app, raise_server_exceptions=False)


def raised(status: int, detail: Any = None, headers: Mapping[str, str] | None = None) -> list[HTTPException]:
    return [HTTPException(status, detail, headers), fastapi.HTTPException(status, detail, headers)]


@pytest.mark.parametrize("path", FROM)
@pytest.mark.parametrize("status", [204, 205, 304])
def test_some_statuses_have_no_content(status: int, path: str) -> None:
    for error in raised(status, "ignored", {"x-why": "empty", "etag": '"1"'}):
        got = client(error).get(path)
        assert (got.status_code, got.content) == (status, b"")
        assert (got.headers["x-why"], got.headers["etag"]) == ("empty", '"1"')
        assert "content-type" not in got.headers


@pytest.mark.parametrize("path", FROM)
@pytest.mark.parametrize(
    "detail", [{"code": "taken", "at": [1, None]}, ["a", {"b": 1.5}], 7, False, "", "Ünïcode \ud800"]
)
def test_a_detail_is_kept_as_json(detail: Any, path: str) -> None:
    for error in raised(409, detail, {"x-why": "name"}):
        got = client(error).get(path)
        assert (got.status_code, got.headers["x-why"]) == (409, "name")
        assert got.headers["content-type"] == "application/problem+json"
        told = got.json()
        assert told["detail"] == detail
        assert (told["title"], told["status"], told["code"]) == ("Conflict", 409, "error")


@pytest.mark.parametrize(
    ("status", "phrase"), [(409, "Conflict"), (404, "Not Found"), (599, ""), (299, ""), (499, "Client Closed Request")]
)
def test_no_detail_is_the_phrase_of_the_status(status: int, phrase: str) -> None:
    for error in raised(status):
        error.detail = None  # pyright: ignore[reportAttributeAccessIssue] - FastAPI's says that it may be anything
        got = client(error).get("/endpoint")
        assert got.status_code == status
        assert (got.json()["detail"], got.json()["title"]) == (phrase, phrase)


def test_a_path_without_an_endpoint_says_so() -> None:
    assert client(HTTPException(404)).get("/nothing").json()["detail"] == "There is nothing at this path."


@pytest.mark.parametrize("path", FROM)
@pytest.mark.parametrize("detail", [object(), {"n": float("nan")}, {1, 2}, {"x": b"y"}, {("a", 1): 2}])
def test_what_json_cannot_say_is_logged_and_the_status_stays(
    detail: Any, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    for error in raised(403, detail, {"x-why": "kept"}):
        got = client(error).get(path)
        assert (got.status_code, got.headers["x-why"], got.json()["detail"]) == (403, "kept", "Forbidden")
    text = f"GET {path} raised HTTPException(403) with a detail ({type(detail).__name__}) that JSON cannot say"
    assert sum(text in message for message in caplog.messages) == 2


@pytest.mark.parametrize("status", [100, 103, 199])
def test_an_interim_status_is_no_answer(status: int, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        got = client(HTTPException(status)).get("/endpoint")
    assert (got.status_code, got.json()["code"]) == (500, "internal_error")
    assert f"GET /endpoint raised HTTPException({status}), which is no status of a whole answer" in caplog.messages
