"""Three small services that behave as those of the article do: each owns its data, and believes ``request-user-id``.

They are written for these tests. The login answers with the whole record, hash and all, as the article's does: what the
gateway makes of that is what is tested.
"""

import hashlib
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import FastAPI, Header, HTTPException
from pydantic import BaseModel
from starlette.types import ASGIApp, Receive, Scope, Send

from serving import serving

UserId = Annotated[int | None, Header(alias="request-user-id")]
PROTECTED = (1, 2)


def hashed(password: str) -> str:
    """Return what is kept of ``password``; cheap, because nobody attacks a test."""
    return hashlib.sha256(password.encode()).hexdigest()


class LoginForm(BaseModel):
    """A login."""

    username: str
    password: str


class NewUser(BaseModel):
    """A new user."""

    username: str
    password: str
    user_type: str
    email: str | None = None
    full_name: str | None = None


class UserChanges(BaseModel):
    """Changes to a user. None of them may be null: a gateway that sends what the client has left out gets a 422."""

    username: str = ""
    email: str = ""
    full_name: str = ""
    user_type: str = ""


class NewOrder(BaseModel):
    """A new order."""

    address: str
    item: str


class NewSupplier(BaseModel):
    """A new supplier."""

    name: str
    surname: str
    address: str


@dataclass
class Seen:
    """A request as a service got it."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes = b""

    def all(self, name: str) -> list[str]:
        """Return every value of the header ``name``."""
        return [value for key, value in self.headers if key == name]


class Recorder:
    """Wraps a service, and keeps what it got in ``seen``."""

    def __init__(self, app: ASGIApp, seen: list[Seen]) -> None:
        self._app = app
        self._seen = seen

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        query = scope["query_string"].decode()
        headers = [(name.decode(), value.decode("latin-1")) for name, value in scope["headers"]]
        seen = Seen(scope["method"], scope["path"] + (f"?{query}" if query else ""), headers)
        self._seen.append(seen)

        async def recorded() -> Any:
            message = await receive()
            seen.body += message.get("body", b"")
            return message

        await self._app(scope, recorded, send)


def _record(number: int, form: NewUser, created_by: int) -> dict[str, Any]:
    return {
        "id": number,
        **form.model_dump(exclude={"password"}),
        "hashed_password": hashed(form.password),
        "created_by": created_by,
    }


def users() -> FastAPI:
    """Return the users service, with the accounts 1 to 3."""
    app = FastAPI()
    rows: dict[int, dict[str, Any]] = {}
    for name, password, kind in (("admin", "a", "admin"), ("johndoe", "b", "default"), ("guest", "c", "guest")):
        form = NewUser(username=name, password=password, user_type=kind, email=f"{name}@example.com")
        rows[len(rows) + 1] = _record(len(rows) + 1, form, 1)

    @app.post("/api/login", status_code=201)
    async def login(form: LoginForm) -> dict[str, Any]:
        found = next((row for row in rows.values() if row["username"] == form.username), None)
        if found is None:
            raise HTTPException(404, "User not found with this username.")
        if found["hashed_password"] != hashed(form.password):
            raise HTTPException(401, "Password is wrong.")
        return found

    @app.get("/api/users")
    async def list_users() -> list[dict[str, Any]]:
        return list(rows.values())

    @app.post("/api/users", status_code=201)
    async def create_user(form: NewUser, request_user_id: UserId = None) -> dict[str, Any]:
        for name in ("username", "email"):
            given = getattr(form, name)
            if given is not None and any(row[name] == given for row in rows.values()):
                raise HTTPException(409, f"There is already another user with this {name}.")
        number = max(rows) + 1
        rows[number] = _record(number, form, request_user_id or 0)
        return rows[number]

    def row_or_404(user_id: int) -> dict[str, Any]:
        if user_id not in rows:
            raise HTTPException(404, "User not found with this id.")
        return rows[user_id]

    @app.get("/api/users/{user_id}")
    async def get_user(user_id: int) -> dict[str, Any]:
        return row_or_404(user_id)

    @app.put("/api/users/{user_id}")
    async def update_user(user_id: int, changes: UserChanges) -> dict[str, Any]:
        row_or_404(user_id).update(changes.model_dump(exclude_unset=True))
        return rows[user_id]

    @app.delete("/api/users/{user_id}", status_code=204)
    async def delete_user(user_id: int) -> None:
        if user_id in PROTECTED:
            raise HTTPException(403, "You are not allowed to delete protected users.")
        row_or_404(user_id)
        del rows[user_id]

    del login, list_users, create_user, get_user, update_user, delete_user
    return app


def orders() -> FastAPI:
    """Return the orders service."""
    app = FastAPI()
    rows: list[dict[str, Any]] = []

    @app.get("/api/orders")
    async def list_orders(request_user_id: UserId = None) -> list[dict[str, Any]]:
        return [row for row in rows if row["created_by"] == request_user_id]

    @app.post("/api/orders")
    async def create_order(form: NewOrder, request_user_id: UserId) -> dict[str, Any]:
        return _created(rows, form, request_user_id)

    del list_orders, create_order
    return app


def suppliers() -> FastAPI:
    """Return the suppliers service."""
    app = FastAPI()
    rows: list[dict[str, Any]] = []

    @app.get("/api/suppliers")
    async def list_suppliers() -> list[dict[str, Any]]:
        return rows

    @app.post("/api/suppliers")
    async def create_supplier(form: NewSupplier, request_user_id: UserId) -> dict[str, Any]:
        return _created(rows, form, request_user_id)

    del list_suppliers, create_supplier
    return app


def _created(rows: list[dict[str, Any]], form: BaseModel, created_by: int | None) -> dict[str, Any]:
    row = {
        "id": len(rows) + 1,
        **form.model_dump(),
        "created_by": created_by,
        "created_at": datetime.now(UTC).isoformat(),
    }
    rows.append(row)
    return row


@dataclass
class Services:
    """Where the services listen, by the names that the settings of the article have, and what they got."""

    USERS_SERVICE_URL: str = ""
    ORDERS_SERVICE_URL: str = ""
    SUPPLIERS_SERVICE_URL: str = ""
    seen: list[Seen] = field(default_factory=list[Seen])


@asynccontextmanager
async def article_services() -> AsyncGenerator[Services]:
    """Serve the three of them on loopback ports until the block ends."""
    found = Services()
    async with AsyncExitStack() as stack:
        for name, make in (("USERS", users), ("ORDERS", orders), ("SUPPLIERS", suppliers)):
            served = await stack.enter_async_context(serving(Recorder(make(), found.seen), plain=True))
            setattr(found, f"{name}_SERVICE_URL", f"http://127.0.0.1:{served.port}")
        yield found
