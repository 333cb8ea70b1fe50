"""The limen gateway of ``bench.attacks``, with default settings. The probe's requests go to ``service``; the attacks go to
``hostile``, under one prefix, so that other gateways need only one rule for it.
"""

import os
from typing import Annotated, Any

from fastapi import Cookie, Query, Request
from pydantic import BaseModel, ConfigDict

from limen import Gateway, Trust, Upstream, anyone, role, signed_in
from limen.auth import ApiKeys, Jwt

service = Upstream("service", [os.environ["BENCH_UPSTREAM"]])
hostile = Upstream("hostile", [os.environ["BENCH_HOSTILE"]])
# Trusted, so that Forwarded fields of the attacks are parsed, as if a load balancer had passed them on.
app = Gateway(title="Attacked", auth=Jwt(os.environ["BENCH_SECRET"]), trust=Trust(["127.0.0.0/8"], speaks="forwarded"))


class Small(BaseModel):
    """The probe's body."""

    name: str
    quantity: int


class Form(BaseModel):
    """The attacks' body; every unknown member is an error of validation."""

    model_config = ConfigDict(extra="forbid")
    name: str
    tags: list[str] = []
    more: Any = None


class Item(BaseModel):
    """The declared response."""

    id: int


@app.get("/mine", upstream=service, allow=signed_in)
def mine() -> None: ...


@app.post("/items", upstream=service, allow=anyone)
def create(small: Small) -> None: ...  # pyright: ignore[reportUnusedParameter] - a stub: its signature is the contract


@app.post("/hostile/form", upstream=hostile, allow=anyone)
def form(form: Form) -> None: ...  # pyright: ignore[reportUnusedParameter] - a stub


@app.post("/hostile/form-1m", upstream=hostile, allow=anyone, max_body=1 << 20)
def large_form(form: Form) -> None: ...  # pyright: ignore[reportUnusedParameter] - a stub


@app.get("/hostile/items", upstream=hostile, allow=anyone)
def items() -> None: ...


@app.get("/hostile/search", upstream=hostile, allow=anyone)
def search(q: Annotated[list[int], Query()], session: Annotated[str, Cookie()] = "") -> None: ...  # pyright: ignore[reportUnusedParameter] - a stub


@app.get("/hostile/mine", upstream=hostile, allow=signed_in)
def hostile_mine() -> None: ...


@app.get("/hostile/keyed", upstream=hostile, allow=signed_in, auth=ApiKeys(hostile, path="/hostile/introspect"))
def keyed() -> None: ...


@app.get("/hostile/misfits", upstream=hostile, allow=anyone)
def misfits() -> list[Item]: ...


@app.post("/hostile/local")
async def local(request: Request) -> int:
    """Read the body in the application itself."""
    return len(await request.body())


app.forward("/hostile/upload", upstream=hostile, allow=anyone, methods=["POST"])
app.forward("/hostile/guarded", upstream=hostile, allow=role("admin"), methods=["POST"])
app.forward("/hostile/answers/{what}", upstream=hostile, allow=anyone, methods=["GET"])
app.compile()
