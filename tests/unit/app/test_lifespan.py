"""Start and end: handlers of events run as in FastAPI, those of included routers too. Beside lifespan= they are refused."""

import asyncio
import warnings
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from starlette.types import Message

from limen import Gateway, Upstream
from limen.errors import DeclarationError

KINDS = (FastAPI, Gateway)


@pytest.fixture(autouse=True)
def deprecated() -> Generator[None]:
    """FastAPI's ``on_event`` is deprecated, and works."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def run(app: FastAPI) -> list[str]:
    """Start and stop ``app``; return the types of what it says, and the exception that came out."""
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    said: list[str] = []

    async def receive() -> Message:
        return next(messages)

    async def send(message: Message) -> None:
        said.append(f"{message['type']} {message.get('message', '').strip().rpartition(chr(10))[2]}".strip())

    async def serve() -> None:
        try:
            await app({"type": "lifespan", "state": {}}, receive, send)
        except RuntimeError as error:
            said.append(repr(error))

    asyncio.run(serve())
    return said


def note(log: list[str], what: str) -> Callable[[], None]:
    return lambda: log.append(what)


def events(app: FastAPI, log: list[str]) -> None:
    @app.on_event("startup")  # pyright: ignore[reportDeprecated] - and works
    async def starts() -> None:
        log.append("event up")

    @app.on_event("shutdown")  # pyright: ignore[reportDeprecated] - likewise
    def stops() -> None:
        log.append("event down")

    del starts, stops


def routers(app: FastAPI, log: list[str]) -> None:
    @asynccontextmanager
    async def life(app: Any) -> AsyncGenerator[dict[str, int]]:
        log.append("life up")
        yield {"n": 1}
        log.append("life down")

    inner = APIRouter(on_startup=[note(log, "inner up")], on_shutdown=[note(log, "inner down")])
    outer = APIRouter(on_startup=[note(log, "outer up")], on_shutdown=[note(log, "outer down")])
    outer.include_router(inner, prefix="/inner")
    app.include_router(outer, prefix="/outer")
    app.include_router(APIRouter(lifespan=life), prefix="/life")


def failing(app: FastAPI, log: list[str]) -> None:
    @app.on_event("startup")  # pyright: ignore[reportDeprecated] - and works
    def fails() -> None:
        raise RuntimeError("no database")

    del fails
    events(app, log)


def failing_later(app: FastAPI, log: list[str]) -> None:
    @asynccontextmanager
    async def fails(app: Any) -> AsyncGenerator[None]:
        raise RuntimeError("no cache")
        yield

    events(app, log)
    app.include_router(APIRouter(lifespan=fails), prefix="/x")


@pytest.mark.parametrize("declare", [events, routers, failing, failing_later])
def test_handlers_run_as_in_fastapi(declare: Callable[[FastAPI, list[str]], None]) -> None:
    seen: list[tuple[list[str], list[str]]] = []
    for kind in KINDS:
        log: list[str] = []
        app = kind(on_startup=[note(log, "up")], on_shutdown=[note(log, "down")])
        declare(app, log)
        seen.append((run(app), log))
    plain, gateway = seen
    assert gateway == plain
    said, log = gateway
    assert log[0] == "up"
    if declare is failing:
        assert said == ["lifespan.startup.failed RuntimeError: no database", "RuntimeError('no database')"]
    else:
        assert "down" in log  # also where what follows the handlers has failed
    if declare is failing_later:
        assert said == ["lifespan.startup.failed RuntimeError: no cache", "RuntimeError('no cache')"]


def test_handlers_run_after_everything_compiles() -> None:
    log: list[str] = []
    app = Gateway(on_startup=[note(log, "up")])
    app.forward("/x", upstream=Upstream("svc", ["http://127.0.0.1:1"]), allow="who")  # pyright: ignore[reportArgumentType] - the mistake under test
    with pytest.raises(DeclarationError, match="1 problem in the declaration"):
        run(app)
    assert log == []


@asynccontextmanager
async def own(app: Any) -> AsyncGenerator[dict[str, int]]:
    yield {"own": 1}


def test_beside_a_lifespan_a_handler_would_never_run_and_is_refused() -> None:
    log: list[str] = []
    app = Gateway(lifespan=own, on_startup=[note(log, "")])
    events(app, log)
    app.router.add_event_handler("shutdown", run)  # pyright: ignore[reportArgumentType] - it is never called
    with pytest.raises(DeclarationError) as caught:
        app.compile()
    assert caught.value.problems == (
        "on_event('startup'): <lambda> would never run, because lifespan= is given; call it there, before the yield",
        "on_event('startup'): starts would never run, because lifespan= is given; call it there, before the yield",
        "on_event('shutdown'): stops would never run, because lifespan= is given; call it there, after the yield",
        "on_event('shutdown'): run would never run, because lifespan= is given; call it there, after the yield",
    )
    with pytest.raises(DeclarationError):
        run(app)
    assert log == []


def test_beside_a_lifespan_those_of_included_routers_run() -> None:
    seen: list[tuple[list[str], list[str]]] = []
    for kind in KINDS:
        log: list[str] = []
        app = kind(lifespan=own)
        routers(app, log)
        seen.append((run(app), log))
    assert seen[0] == seen[1]
    assert "outer up" in seen[0][1]


def test_beside_two_lifespans_the_handlers_of_a_router_are_refused_unless_those_of_the_application_run_them() -> None:
    log: list[str] = []

    def of_router() -> None:
        log.append("router")

    inner = APIRouter(on_startup=[note(log, "inner")])
    router = APIRouter(lifespan=own, on_startup=[of_router])
    router.include_router(inner, prefix="/x")
    app = Gateway()
    app.include_router(router, prefix="/y")
    app.compile()
    run(app)
    assert "router" in log
    app = Gateway(lifespan=own)
    app.include_router(router, prefix="/y")
    with pytest.raises(DeclarationError) as caught:
        app.compile()
    assert caught.value.problems == (
        "on_event('startup'): of_router would never run, because lifespan= is given; call it there, before the yield",
    )


def test_a_lifespan_may_be_a_generator_function_as_in_fastapi() -> None:
    for kind in KINDS:
        log: list[str] = []

        async def life(app: Any, log: list[str] = log) -> AsyncGenerator[None]:
            log.append("up")
            yield
            log.append("down")

        assert run(kind(lifespan=life)) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]  # pyright: ignore[reportArgumentType] - older than its type
        assert log == ["up", "down"]
