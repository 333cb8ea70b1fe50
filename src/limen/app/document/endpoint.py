"""The endpoint of the document: FastAPI's own, once the documents of services have been asked for."""

from collections.abc import Awaitable, Callable, Sequence

from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send


def load_first(routes: Sequence[BaseRoute], path: str, load: Callable[[], Awaitable[None]]) -> None:
    """Let the endpoint at ``path`` wait for ``load`` before it answers. The answer stays FastAPI's, ``servers`` included."""
    for route in routes:
        if isinstance(route, Route) and route.path == path:
            route.app = _after(load, route.app)


def _after(load: Callable[[], Awaitable[None]], endpoint: ASGIApp) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await load()
        await endpoint(scope, receive, send)

    return answer
