"""A gateway in the form of the article, whose project is in ``tests/compat/project``, before ``article_services``."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx2

import serving
from article_services import Seen, Services, article_services
from limen import Gateway
from limen.auth import Jwt
from serving import Served

PROJECT = Path(__file__).parents[1] / "compat" / "project"

Project = Callable[[str], Any]
"""Imports a module of the project."""


@dataclass
class Article:
    """The gateway, as a client and as the services see it."""

    app: Gateway
    served: Served
    services: Services
    auth: ModuleType

    @property
    def client(self) -> httpx2.AsyncClient:
        """A client of the gateway."""
        return self.served.client

    @property
    def seen(self) -> list[Seen]:
        """What the services got."""
        return self.services.seen

    def bearer(self, number: int = 1, user_type: str = "admin", minutes: float = 5) -> dict[str, str]:
        """Return the header of a caller."""
        token: str = self.auth.encode_access_token({"id": number, "user_type": user_type}, minutes)
        return {"authorization": f"Bearer {token}"}


@asynccontextmanager
async def running(project: Project, *, own: bool) -> AsyncGenerator[Article]:
    """Run the services and the gateway: with the ``own`` functions of the project, or with those of Limen."""
    auth, routes = project("auth"), project("routes")
    app = Gateway(title="Article", auth=Jwt(auth.SECRET))
    async with article_services() as services:
        routes.declare(app, services, routes.OWN if own else {})
        async with serving.serving(app) as served:
            yield Article(app, served, services, auth)
