"""The gateway that the conformance cases are played on: every kind of route once, and one service behind them all."""

from typing import Annotated

from fastapi import Body, Header, Query, Request
from pydantic import BaseModel, ConfigDict

from limen import Gateway, Limits, Timeouts, Upstream, anyone, owner, role, signed_in
from limen.auth import Jwt
from tokens import SECRET

AUTH = Jwt(SECRET)
PATIENT = Timeouts(connect=8, first_byte=8, idle=8)
DOWN = "http://127.0.0.1:9"
"""Where nothing listens: the port of the discard service. A port that was free a moment ago may be another test's now."""
QUICK = Timeouts(connect=8, first_byte=0.2, idle=0.2)


class Item(BaseModel):
    """A declared body."""

    model_config = ConfigDict(extra="forbid")
    name: str
    size: int = 1


class Account(BaseModel):
    """A declared answer."""

    id: int
    name: str | None = None


class Greeting(BaseModel):
    """What the hooks make of an account."""

    text: str


def build(url: str) -> Gateway:
    """Return a gateway whose routes lead to ``url``."""
    app = Gateway(auth=AUTH)
    service = Upstream("svc", [url], timeouts=PATIENT)
    _streams(app, service, url)
    _contracts(app, service)
    _answers(app, service)
    _local(app)
    return app


def _streams(app: Gateway, service: Upstream, url: str) -> None:
    app.forward("/svc/{path:path}", upstream=service, allow=anyone)
    app.forward("/old/{path:path}", upstream=service, allow=anyone, rewrite="/v2/{path}")
    app.forward("/quick/{path:path}", upstream=Upstream("quick", [url], timeouts=QUICK), allow=anyone)
    total = Timeouts(connect=8, first_byte=8, idle=8, total=0.3)
    app.forward("/total/{path:path}", upstream=Upstream("total", [url], timeouts=total), allow=anyone)
    one = Limits(connections=1, waiting=1)
    app.forward("/narrow/{path:path}", upstream=Upstream("narrow", [url], timeouts=PATIENT, limits=one), allow=anyone)
    down = Upstream("down", [DOWN])
    app.forward("/down/{path:path}", upstream=down, allow=anyone)

    @app.put("/upload", upstream=service, allow=anyone, max_body=10)
    def upload() -> None: ...

    del upload


def _contracts(app: Gateway, service: Upstream) -> None:
    svc = app.group("", upstream=service)

    @svc.get("/public", allow=anyone)
    def public(limit: Annotated[int, Query(ge=1)] = 1) -> None: ...

    @svc.get("/mine", allow=signed_in)
    def mine() -> None: ...

    @svc.get("/admin/{number}", allow=role("admin"))
    def admin(number: int) -> None: ...

    @svc.get("/users/{user_id}", allow=owner("user_id") | role("admin"))
    def user(user_id: int) -> None: ...

    @svc.post("/items", allow=signed_in, max_body=100)
    def create(item: Item, x_tag: Annotated[str, Header(max_length=3)] = "") -> None: ...

    @svc.post("/open-items", allow=anyone, max_body=100, timeouts=QUICK)
    def create_openly(item: Item) -> None: ...

    del public, mine, admin, user, create, create_openly


def _answers(app: Gateway, service: Upstream) -> None:
    svc = app.group("", upstream=service, allow=anyone)

    def greet(account: Account) -> Greeting:
        return Greeting(text=f"hello {account.id}")

    async def greet_later(account: Account) -> Greeting:
        return greet(account)

    def broken(account: Account) -> Greeting:
        raise RuntimeError(f"a secret of {account.id}")

    async def broken_later(account: Account) -> Greeting:
        return broken(account)

    @svc.get("/account", max_answer=100)
    def account() -> Account: ...

    @svc.post("/greet", after=greet, status_code=201)
    def one() -> Greeting: ...

    @svc.post("/greet-later", after=greet_later, status_code=201)
    def two() -> Greeting: ...

    def forget(account: Account) -> None:
        assert account.id

    @svc.delete("/account", after=forget, status_code=204)
    def silent() -> None: ...

    @svc.get("/broken", after=broken)
    def three() -> Greeting: ...

    @svc.get("/broken-later", after=broken_later)
    def four() -> Greeting: ...

    del account, one, two, three, four, silent


def _local(app: Gateway) -> None:
    @app.get("/local/ping")
    async def ping() -> str:  # on the loop: hundreds of probes need no threads
        return "pong"

    @app.post("/local/echo")
    def echo(item: Annotated[Item, Body()]) -> Item:
        return item

    @app.put("/local/raw")
    async def raw(request: Request) -> int:
        return len(await request.body())

    del ping, echo, raw
