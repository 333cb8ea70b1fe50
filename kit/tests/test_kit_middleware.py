"""A service's own middleware: where it stands among the kit's."""

import httpx2
import pytest
from fastapi import APIRouter
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from limen_kit.app import MAX_BODY, create_service
from limen_kit.logs import request_id
from limen_kit.problems import Problem, answer
from limen_kit.settings import ServiceSettings
from limen_kit.testing import running

PROBLEM = Problem(503, "busy", "Come back later.", {"retry-after": "7"})

router = APIRouter()


@router.post("/raised")
async def raised() -> None:
    raise PROBLEM


class Named:
    """Keeps its name and the request's id; answers what is its own."""

    def __init__(self, app: ASGIApp, name: str, seen: list[str]) -> None:
        self._app = app
        self._name = name
        self._seen = seen

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self._seen.append(f"{self._name} {request_id.get()}")
            if scope["path"] == f"/{self._name}":
                while (await receive()).get("more_body", False):
                    pass
                await answer(PROBLEM)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def told(got: httpx2.Response) -> tuple[int, list[tuple[str, str]], bytes]:
    return got.status_code, sorted(got.headers.multi_items()), got.content


@pytest.mark.parametrize("body", [b"", b" " * (MAX_BODY + 1)])
async def test_it_knows_the_id_stands_before_the_bound_and_answers_as_a_route_does(body: bytes) -> None:
    seen: list[str] = []
    app = create_service(
        "Test",
        settings=ServiceSettings(database_url="sqlite://unused"),
        tortoise_orm=None,
        routers=[router],
        middleware=[Middleware(Named, name=name, seen=seen) for name in ("outer", "inner")],
    )
    async with running(app) as client:
        headers = {"x-request-id": "r-1"}
        by_route = await client.post("/raised", headers=headers)
        assert seen == ["outer r-1", "inner r-1"]
        early = await client.post("/inner", content=body, headers=headers)
        assert told(early) == told(by_route)
        assert (early.status_code, early.headers["retry-after"], early.json()["request_id"]) == (503, "7", "r-1")
        await client.post("/outer", content=body, headers=headers)
        assert seen[2:] == ["outer r-1", "inner r-1", "outer r-1"]
