"""A service from its parts: database, health, problems, request ids, logging. What it does is in its routers."""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.middleware import Middleware
from tortoise.contrib.fastapi import RegisterTortoise

from limen_kit import database, logs, problems
from limen_kit.identity import Signed, identification, warn_if_plain
from limen_kit.middleware import BodyLimit, HeadAsGet, RequestId
from limen_kit.problems import Problem, ProblemBody, responses
from limen_kit.settings import ServiceSettings

_log = logging.getLogger("limen_kit.health")

# Bytes that a request body may have: services here take small JSON documents. pydantic finds every mistake of one before
# it says so, in the event loop: 20,000 in half as many bytes take some 20 ms, and in 1 MiB half a second.
MAX_BODY = 1 << 17

Action = Callable[[], Awaitable[None]]


class Health(BaseModel):
    """How the service is."""

    status: str


def create_service(
    title: str,
    *,
    settings: ServiceSettings,
    tortoise_orm: database.TortoiseConfig | None,
    routers: Sequence[APIRouter],
    name: str | None = None,
    middleware: Sequence[Middleware] = (),
    on_start: Action | None = None,
    ready: Action = database.check,
    version: str = "0.1.0",
) -> FastAPI:
    """Build a service.

    ``name`` is what the gateway calls it: what is signed for another service is not believed here. ``tortoise_orm`` None is
    a service without a database of Tortoise's; ``ready`` then says when it may be used, by not raising. ``on_start`` runs
    once the database is open. ``middleware`` is pure ASGI, the outermost first: it sees requests that have an id, and
    bodies that nobody has bounded yet. Raises ValueError for identity settings that can never work.
    """
    identify = identification(settings, name)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        # Not at import: a server configures logging after that.
        logs.configure(settings.log_level)
        warn_if_plain(identify)
        async with AsyncExitStack() as stack:
            if isinstance(identify, Signed):
                stack.push_async_callback(identify.verifier.aclose)
            if tortoise_orm is not None:
                await stack.enter_async_context(RegisterTortoise(app, config=tortoise_orm))
            if on_start is not None:
                await on_start()
            yield

    app = FastAPI(
        title=title,
        version=version,
        lifespan=lifespan,
        generate_unique_id_function=_function_name,
        responses=responses(422),
        redirect_slashes=False,
    )
    app.state.identify = identify
    problems.install(app)
    app.add_middleware(BodyLimit, limit=MAX_BODY)
    # Each one that is added is around those before.
    for one in reversed(middleware):
        app.add_middleware(one.cls, *one.args, **one.kwargs)
    app.add_middleware(HeadAsGet)
    app.add_middleware(RequestId)
    for router in routers:
        app.include_router(router)
    app.include_router(_health(ready))
    _document_problems(app)
    return app


def _health(ready: Action) -> APIRouter:
    router = APIRouter(tags=["health"])

    async def healthz() -> Health:
        """Tell that the process is alive."""
        return Health(status="alive")

    async def readyz() -> Health:
        """Tell that the service can do its work: its database answers."""
        try:
            await ready()
        except Exception as error:
            # Whatever it is: the log has it, and the caller needs to know only that it has to wait.
            _log.warning("not ready: %s: %s", type(error).__name__, error)
            raise Problem(503, "not_ready", "The service is not ready: its database does not answer.") from error
        return Health(status="ready")

    router.add_api_route("/healthz", healthz)
    router.add_api_route("/readyz", readyz, responses=responses(503))
    return router


def _document_problems(app: FastAPI) -> None:
    """Put the one schema that all problems refer to into the document; FastAPI adds only schemas that models use."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schemas: dict[str, Any] = plain().setdefault("components", {}).setdefault("schemas", {})
            schema = ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas |= schema.pop("$defs", {})
            schemas["ProblemBody"] = schema
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = openapi


def _function_name(route: APIRoute) -> str:
    return route.name
