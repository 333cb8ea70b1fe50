"""The limen gateway of ``python -m bench``: one route for each scenario, and ``BENCH_ROUTES`` more."""

import os
from datetime import datetime
from typing import Annotated

from joserfc.jwk import ECKey
from pydantic import BaseModel, Field

from limen import Gateway, Limits, Upstream, anyone, role
from limen.auth import Assertion, Jwt

# More connections than any scenario has clients, so that the gateway is measured, not its queue.
service = Upstream("service", os.environ["BENCH_UPSTREAM"].split(","), limits=Limits(connections=1024))
app = Gateway(
    title="Bench",
    auth=Jwt(os.environ["BENCH_SECRET"]),
    assertion=Assertion(ECKey.generate_key("P-256").as_pem(private=True).decode()),
)


class Form(BaseModel):
    """A posted form."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    quantity: Annotated[int, Field(ge=1, le=1000)]
    price: Annotated[float, Field(gt=0)]
    tags: list[str]
    urgent: bool
    note: Annotated[str, Field(max_length=2000)]


class Item(BaseModel):
    """The service's response."""

    id: int
    name: str
    address: str
    created_by: int
    created_at: datetime


class Short(BaseModel):
    """The hook's response."""

    id: int
    name: str


def shorten(item: Item) -> Short:
    """Keep the public fields."""
    return Short(id=item.id, name=item.name)


@app.get("/api/items", upstream=service, allow=anyone)
def list_items() -> None: ...


@app.get("/api/admin", upstream=service, allow=role("admin"))
def admin_only() -> None: ...


@app.post("/api/items", upstream=service, allow=anyone)
def create_item(form: Form) -> None: ...  # pyright: ignore[reportUnusedParameter] - a stub: its signature is the contract


@app.get("/api/large", upstream=service, allow=anyone)
def large() -> None: ...


@app.get("/api/after", upstream=service, allow=anyone, after=shorten)
def after() -> Short: ...


app.forward("/api/huge", upstream=service, allow=anyone, methods=["GET"])
app.forward("/api/upload", upstream=service, allow=anyone, methods=["POST"])
for number in range(int(os.environ["BENCH_ROUTES"])):
    app.forward(f"/api/r{number}/{{id}}/items", upstream=service, allow=role("admin"), methods=["GET"])
app.compile()
