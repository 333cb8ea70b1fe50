"""The shop's own services behind a gateway in the form of the article: the demonstration, word for word."""

from typing import Any

from fastapi import Request, Response
from pydantic import BaseModel

from limen import Gateway, Upstream
from limen.auth import Assertion, Jwt, Keys, issue
from limen.compat import route
from serving import serving
from shop_processes import SECRET, Shop

SUPPLIER = {"name": "Ada", "surname": "Lovelace", "address": "12 St James Square, London"}
JWT = Jwt(SECRET)


class Login(BaseModel):
    """A login."""

    username: str
    password: str


class Token(BaseModel):
    """A token."""

    access_token: str
    token_type: str


class NewSupplier(BaseModel):
    """A new supplier."""

    name: str
    surname: str
    address: str


class Supplier(NewSupplier):
    """A supplier."""

    id: int
    created_by: int
    created_at: str


def is_default_user(payload: dict[str, Any]) -> bool:
    return payload["user_type"] in ("default", "admin")


def issue_token(record: dict[str, Any]) -> dict[str, str]:
    return {"access_token": issue(JWT, record["id"], record["user_type"]), "token_type": "bearer"}


def gateway(shop: Shop) -> Gateway:
    # The services believe only what is signed for them: they know the keys, and their names.
    app = Gateway(auth=JWT, assertion=Assertion(Keys.directory(shop.folder / "identity-keys")))
    users, suppliers = (Upstream(name, [shop.url(name)]) for name in ("users", "suppliers"))

    @route(
        request_method=app.post,
        path="/api/login",
        status_code=201,
        payload_key="credentials",
        service_url=users,
        post_processing_func=issue_token,
        response_model=Token,
    )
    async def login(credentials: Login, request: Request, response: Response):
        raise AssertionError("the body of a handler is never run")

    @route(
        request_method=app.get,
        path="/api/suppliers",
        status_code=200,
        payload_key=None,
        service_url=suppliers,
        response_model=Supplier,
        response_list=True,
    )
    async def list_suppliers(request: Request, response: Response):
        raise AssertionError("the body of a handler is never run")

    @route(
        request_method=app.post,
        path="/api/suppliers",
        status_code=201,
        payload_key="supplier",
        service_url=suppliers,
        authentication_required=True,
        service_authorization_checker=is_default_user,
        response_model=Supplier,
    )
    async def create_supplier(supplier: NewSupplier, request: Request, response: Response):
        raise AssertionError("the body of a handler is never run")

    del login, list_suppliers, create_supplier
    return app


async def test_the_demonstration_on_the_shops_services(shop: Shop) -> None:
    async with serving(gateway(shop)) as served:
        client = served.client
        login = await client.post("/api/login", json={"username": "admin", "password": "a"})
        assert (login.status_code, set(login.json())) == (201, {"access_token", "token_type"})
        bearer = {"authorization": f"Bearer {login.json()['access_token']}"}
        created = await client.post("/api/suppliers", json=SUPPLIER, headers=bearer)
        assert created.status_code == 201, created.text
        assert created.json() | SUPPLIER | {"created_by": 1} == created.json()
        refused = await client.post("/api/suppliers", json=SUPPLIER | {"name": "Charles"})
        assert (refused.status_code, refused.json()["detail"]) == (401, "Auth token is missing in headers.")
        listed = await client.get("/api/suppliers?limit=100")
        assert listed.status_code == 200
        assert created.json() in listed.json()
        assert "Charles" not in listed.text
