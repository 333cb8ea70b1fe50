"""What a library adds to a service: routes, middleware, and something that runs beside the requests."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from fastapi import APIRouter, FastAPI
from starlette.middleware import Middleware


class Part(Protocol):
    """A part of a service, for ``create_service(parts=[...])``."""

    @property
    def routers(self) -> Sequence[APIRouter]:
        """Its routes."""
        ...

    @property
    def middleware(self) -> Sequence[Middleware]:
        """Pure ASGI, the outermost first."""
        ...

    def running(self, app: FastAPI) -> AbstractAsyncContextManager[None]:
        """Return what is open for as long as the service runs; the database is open already."""
        ...

    async def ready(self) -> None:
        """Raise while it cannot work."""
        ...
