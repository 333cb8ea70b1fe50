"""A service's own middleware, and its place among the kit's."""

import httpx2
import pytest
from fastapi import APIRouter
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from limen_kit.app import MAX_BODY, create_service
from limen_kit.logs import request_id
from limen_kit.problems import Problem, problem_response
from limen_kit.settings import ServiceSettings
from limen_kit.testing import running

PROBLEM = Problem(503, "busy", "Come back later.", {"retry-after": "7"})

router = APIRouter()


@router.post("/raised")
async def raise_problem() -> None:
    raise PROBLEM


class NamedMiddleware:
    """Records its name and the request's id; answers the path of its own name."""

    def __init__(self, app: ASGIApp, name: str, calls: list[str]) -> None:
        self._app = app
        self._name = name
        self._calls = calls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self._calls.append(f"{self._name} {request_id.get()}")
            if scope["path"] == f"/{self._name}":
                while (await receive()).get("more_body", False):
                    pass
                await problem_response(PROBLEM)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def parts(response: httpx2.Response) -> tuple[int, list[tuple[str, str]], bytes]:
    return response.status_code, sorted(response.headers.multi_items()), response.content


@pytest.mark.parametrize("body", [b"", b" " * (MAX_BODY + 1)])
async def test_it_runs_inside_the_request_id_outside_the_body_limit_and_answers_like_a_route(body: bytes) -> None:
    calls: list[str] = []
    app = create_service(
        "Test",
        settings=ServiceSettings(database_url="sqlite://unused", identity_keys="plain"),
        tortoise_orm=None,
        routers=[router],
        middleware=[Middleware(NamedMiddleware, name=name, calls=calls) for name in ("outer", "inner")],
    )
    async with running(app) as client:
        headers = {"x-request-id": "r-1"}
        by_route = await client.post("/raised", headers=headers)
        assert calls == ["outer r-1", "inner r-1"]
        early = await client.post("/inner", content=body, headers=headers)
        assert parts(early) == parts(by_route)
        assert (early.status_code, early.headers["retry-after"], early.json()["request_id"]) == (503, "7", "r-1")
        await client.post("/outer", content=body, headers=headers)
        assert calls[2:] == ["outer r-1", "inner r-1", "outer r-1"]
