"""What a user wants to happen at the start and at the end: a ``lifespan=``, or FastAPI's older handlers of events.

FastAPI runs the handlers where no ``lifespan=`` is given, and those of included routers; beside a ``lifespan=``, it takes
those of the application and never runs them. A gateway refuses them.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import APIRouter

Lifespan = Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any] | None]]


class UserLifespan:
    """The lifespan that FastAPI made of what the user has ``given``, and the handlers of events at ``router``."""

    def __init__(self, router: APIRouter, *, given: bool) -> None:
        """Take the lifespan of ``router``, before any other router is included: FastAPI adds theirs to it."""
        self._router = router
        self._given = given
        self.running: Lifespan = router.lifespan_context
        """Runs what the user has given, or the handlers: at the start those for "startup", at the end the others."""

    def problems(self) -> list[str]:
        """Return one problem for each handler that would never run."""
        if not self._given:
            return []
        events = [
            (event, handlers, [*_of_included(self._router, event)])
            for event, handlers in (("startup", self._router.on_startup), ("shutdown", self._router.on_shutdown))
        ]
        return [
            f"on_event({event!r}): {getattr(handler, '__name__', handler)} would never run, because lifespan= is given; "
            f"call it there, {'before' if event == 'startup' else 'after'} the yield"
            for event, handlers, run in events
            for handler in handlers
            if handler not in run
        ]


def _of_included(router: APIRouter, event: str) -> Iterator[Callable[[], Any]]:
    """Yield the handlers of included routers that FastAPI runs; they have copies in the lists of ``router``."""
    for route in router.routes:
        included = getattr(route, "original_router", None)
        if not isinstance(included, APIRouter):
            continue
        if _runs_handlers(included):
            yield from included.on_startup if event == "startup" else included.on_shutdown
        else:
            yield from _of_included(included, event)


def _runs_handlers(router: APIRouter) -> bool:
    """Tell whether ``router`` was given no lifespan: of that, FastAPI keeps only what it made of it and of included ones."""
    context: Any = router.lifespan_context
    while (merged := getattr(context, "__wrapped__", None)) is not None:
        made_of = inspect.getclosurevars(merged).nonlocals
        if "original_context" not in made_of:
            break
        context = made_of["original_context"]
    return type(context).__name__ == "_DefaultLifespan"
