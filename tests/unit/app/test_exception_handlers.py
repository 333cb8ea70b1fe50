"""``exception_handlers=`` and ``@app.exception_handler``: the user's handlers answer where plain FastAPI would call them."""

from collections.abc import Callable
from typing import Any

import fastapi
import pytest
from fastapi import FastAPI, Request, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from limen import Gateway

PATHS = ("/http", "/starlette", "/invalid?n=x", "/bug", "/nothing", "/teapot", "/http?n=put")


class BrewError(Exception):
    """One of the user's own."""


def handler(name: str) -> Any:
    async def answer(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"by": name, "of": type(error).__name__}, 418)

    return answer


def endpoints(app: FastAPI) -> FastAPI:
    @app.get("/http")
    async def http() -> None:
        raise fastapi.HTTPException(409, "no")

    @app.get("/starlette")
    async def starlette() -> None:
        raise HTTPException(422, "no")

    @app.get("/invalid")
    async def invalid(n: int) -> None:
        pass

    @app.get("/bug")
    async def bug() -> None:
        raise RuntimeError("bug")

    @app.get("/teapot")
    async def teapot() -> None:
        raise BrewError

    del http, starlette, invalid, bug, teapot
    return app


def by_argument(app: type[FastAPI], keys: list[Any]) -> FastAPI:
    return endpoints(app(exception_handlers={key: handler(str(key)) for key in keys}))


def by_decorator(app: type[FastAPI], keys: list[Any]) -> FastAPI:
    made = endpoints(app())
    for key in keys:
        made.exception_handler(key)(handler(str(key)))
    return made


def mixed(app: type[FastAPI], keys: list[Any]) -> FastAPI:
    made = endpoints(app(exception_handlers={keys[0]: handler(str(keys[0]))}))
    for key in keys[1:]:
        made.add_exception_handler(key, handler(str(key)))
    return made


@pytest.mark.parametrize("declare", [by_argument, by_decorator, mixed])
@pytest.mark.parametrize(
    "keys",
    [
        [HTTPException],
        [fastapi.HTTPException],
        [RequestValidationError],
        [Exception],
        [500],
        [500, Exception],
        [Exception, 500],
        [404, 405, 409, 422],
        [BrewError],
        [HTTPException, RequestValidationError, Exception],
    ],
    ids=str,
)
def test_the_users_handlers_answer_what_they_would_in_fastapi(
    keys: list[Any], declare: Callable[[type[FastAPI], list[Any]], FastAPI]
) -> None:
    answers: list[list[object]] = []
    for app in (declare(FastAPI, keys), declare(Gateway, keys)):
        client = TestClient(app, raise_server_exceptions=False)
        got = [client.get(path) for path in PATHS] + [client.put("/http")]
        answers.append([one.json() if one.status_code == 418 else None for one in got])
        if isinstance(app, Gateway):  # what nobody else answers is a problem, as without them
            others = [one for one in got if one.status_code != 418]
            assert {one.headers["content-type"] for one in others} <= {"application/problem+json"}
    plain, gateway = answers
    assert gateway == plain
    assert any(plain)


def test_a_websocket_with_wrong_parameters_is_closed_as_in_fastapi() -> None:
    seen: list[tuple[int, Any]] = []
    for kind in (FastAPI, Gateway):
        app = kind()

        @app.websocket("/ws")
        async def ws(websocket: WebSocket, n: int) -> None:
            await websocket.accept()

        del ws
        with pytest.raises(WebSocketDisconnect) as caught, TestClient(app).websocket_connect("/ws?n=x"):
            pass
        seen.append((caught.value.code, caught.value.reason))
    assert seen[0] == seen[1]
    assert seen[0][0] == 1008
