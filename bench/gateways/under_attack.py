"""The gateway of ``bench.attacks``, with the defaults of everything: what others use is behind ``service``, and what the
attacks go to is behind ``strange``, under one prefix, so that other gateways need one rule for it.
"""

import os
from typing import Annotated, Any

from fastapi import Cookie, Query, Request
from pydantic import BaseModel, ConfigDict

from limen import Gateway, Trust, Upstream, anyone, role, signed_in
from limen.auth import ApiKeys, Jwt

service = Upstream("service", [os.environ["BENCH_UPSTREAM"]])
strange = Upstream("strange", [os.environ["BENCH_STRANGE"]])
# Trusted, so that what an attack says in Forwarded is read: a balancer in front passes it on.
app = Gateway(title="Attacked", auth=Jwt(os.environ["BENCH_SECRET"]), trust=Trust(["127.0.0.0/8"], speaks="forwarded"))


class Small(BaseModel):
    """What others post."""

    name: str
    quantity: int


class Form(BaseModel):
    """What the attacks post: names that it does not know are mistakes, each of them."""

    model_config = ConfigDict(extra="forbid")
    name: str
    tags: list[str] = []
    more: Any = None


class Item(BaseModel):
    """What a service ought to answer."""

    id: int


@app.get("/mine", upstream=service, allow=signed_in)
def mine() -> None: ...


@app.post("/items", upstream=service, allow=anyone)
def create(small: Small) -> None: ...  # pyright: ignore[reportUnusedParameter] - a stub: its signature is the contract


@app.post("/strange/form", upstream=strange, allow=anyone)
def form(form: Form) -> None: ...  # pyright: ignore[reportUnusedParameter] - a stub


@app.post("/strange/form-1m", upstream=strange, allow=anyone, max_body=1 << 20)
def large_form(form: Form) -> None: ...  # pyright: ignore[reportUnusedParameter] - a stub


@app.get("/strange/items", upstream=strange, allow=anyone)
def items() -> None: ...


@app.get("/strange/search", upstream=strange, allow=anyone)
def search(q: Annotated[list[int], Query()], session: Annotated[str, Cookie()] = "") -> None: ...  # pyright: ignore[reportUnusedParameter] - a stub


@app.get("/strange/mine", upstream=strange, allow=signed_in)
def strangers() -> None: ...


@app.get("/strange/keyed", upstream=strange, allow=signed_in, auth=ApiKeys(strange, path="/strange/introspect"))
def keyed() -> None: ...


@app.get("/strange/misfits", upstream=strange, allow=anyone)
def misfits() -> list[Item]: ...


@app.post("/strange/local")
async def local(request: Request) -> int:
    """Answer in the application itself."""
    return len(await request.body())


app.forward("/strange/upload", upstream=strange, allow=anyone, methods=["POST"])
app.forward("/strange/guarded", upstream=strange, allow=role("admin"), methods=["POST"])
app.forward("/strange/answers/{what}", upstream=strange, allow=anyone, methods=["GET"])
app.compile()
