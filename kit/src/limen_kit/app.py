"""Builds a service from its parts: database, health checks, problems, request ids, logging. The routers are its own."""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.middleware import Middleware
from tortoise.contrib.fastapi import RegisterTortoise

from limen_kit import database, logs, problems
from limen_kit.identity import SignedIdentity, identity_source, warn_if_unsigned
from limen_kit.middleware import BodyLimit, HeadAsGet, RequestId
from limen_kit.part import Part
from limen_kit.preconditions import NotModified, not_modified_response
from limen_kit.problems import Problem, ProblemBody, responses
from limen_kit.settings import ServiceSettings

_log = logging.getLogger("limen_kit.health")

# Bytes that a request body may have: these services take small JSON documents. pydantic collects every mistake before it
# reports any, in the event loop: the 20,000 that fit into half of this take some 20 ms; those of 1 MiB, half a second.
MAX_BODY = 1 << 17

Callback = Callable[[], Awaitable[None]]


class Health(BaseModel):
    """The state of the service."""

    status: str


def create_service(
    title: str,
    *,
    settings: ServiceSettings,
    tortoise_orm: database.TortoiseConfig | None,
    routers: Sequence[APIRouter] = (),
    parts: Sequence[Part] = (),
    name: str | None = None,
    middleware: Sequence[Middleware] = (),
    on_start: Callback | None = None,
    ready: Callback | None = None,
    version: str = "0.1.0",
) -> FastAPI:
    """Build a service.

    ``name`` is the service's name at the gateway: an assertion for another service is refused. ``tortoise_orm`` None means
    no Tortoise database. ``ready`` raises while the service cannot work; by default, while that database does not answer
    or lacks migrations.
    ``on_start`` runs once the database is open, and ``parts`` run from then on, each within the one before; their routers
    come after ``routers``, and their middleware after ``middleware``.
    ``middleware`` is pure ASGI, the outermost first: it runs inside the request id and outside the body limit. Raises
    ValueError for identity settings that can never work, and where ``settings`` do not decide between the gateway's keys and
    ``plain`` headers.
    """
    identify = identity_source(settings, name)
    if ready is None and tortoise_orm is not None:
        ready = database.Readiness(tortoise_orm).check

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        # Not at import: a server configures logging after that.
        logs.configure(settings.log_level)
        warn_if_unsigned(identify)
        async with AsyncExitStack() as stack:
            if isinstance(identify, SignedIdentity):
                stack.push_async_callback(identify.verifier.aclose)
            if tortoise_orm is not None:
                await stack.enter_async_context(RegisterTortoise(app, config=tortoise_orm))
            if ready is not None:
                await _tell_if_not_ready(ready)
            if on_start is not None:
                await on_start()
            for part in parts:
                await stack.enter_async_context(part.running(app))
            yield

    app = FastAPI(
        title=title,
        version=version,
        lifespan=lifespan,
        generate_unique_id_function=_operation_id,
        responses=responses(422),
        redirect_slashes=False,
    )
    app.state.identify = identify
    problems.add_exception_handlers(app)
    app.add_exception_handler(NotModified, _on_not_modified)
    app.add_middleware(BodyLimit, limit=MAX_BODY)
    # Starlette puts each middleware around those that were added before.
    for entry in reversed([*middleware, *(entry for part in parts for entry in part.middleware)]):
        app.add_middleware(entry.cls, *entry.args, **entry.kwargs)
    app.add_middleware(HeadAsGet)
    app.add_middleware(RequestId)
    for router in [*routers, *(router for part in parts for router in part.routers)]:
        app.include_router(router)
    app.include_router(_health_router([*(() if ready is None else (ready,)), *(part.ready for part in parts)]))
    _document_problems(app)
    return app


def _health_router(checks: Sequence[Callback]) -> APIRouter:
    router = APIRouter(tags=["health"])

    async def healthz() -> Health:
        """Answer that the process is alive."""
        return Health(status="alive")

    async def readyz() -> Health:
        """Answer whether the service can work: its database answers, and is migrated."""
        try:
            for ready in checks:
                await ready()
        except Exception as error:
            # The log has the error; the caller only needs to know that it has to wait.
            _log.warning("not ready: %s: %s", type(error).__name__, error)
            raise Problem(
                503, "not_ready", "The service is not ready: its database does not answer, or is not migrated."
            ) from error
        return Health(status="ready")

    router.add_api_route("/healthz", healthz)
    router.add_api_route("/readyz", readyz, responses=responses(503))
    return router


async def _tell_if_not_ready(ready: Callback) -> None:
    """Log at the start why the service cannot work: whoever has forgotten to migrate learns it before the first request."""
    try:
        await ready()
    except Exception as error:
        _log.warning("not ready: %s: %s", type(error).__name__, error)


async def _on_not_modified(request: Request, error: Exception) -> Response:
    assert isinstance(error, NotModified)
    return not_modified_response(error)


def _document_problems(app: FastAPI) -> None:
    """Add the schema of all problems to the OpenAPI document; FastAPI adds only schemas that models use."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schemas: dict[str, Any] = generate().setdefault("components", {}).setdefault("schemas", {})
            schema = ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas |= schema.pop("$defs", {})
            schemas["ProblemBody"] = schema
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = openapi


def _operation_id(route: APIRoute) -> str:
    return route.name
