"""``idempotency_key=``: which requests it lets be repeated, on both engines, and where it is refused."""

from collections.abc import AsyncIterator
from typing import Any, Literal

import pytest

from limen import Gateway, Retry, Upstream, anyone
from limen.errors import DeclarationError
from limen.policies import Respond
from limen.testing import Fleet, answer, resetting_at, saying, serving
from serving import until

Engine = Literal["direct", "asgi"]


@pytest.fixture(params=["direct", "asgi"])
def engine(request: pytest.FixtureRequest) -> Engine:
    return request.param


def one(name: str = "orders", **options: Any) -> Upstream:
    return Upstream(name, [f"http://{name}:8000"], **options)


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_a_request_with_one_key_is_repeated_elsewhere_and_no_other(engine: Engine, method: str) -> None:
    fleet = Fleet(2, "orders")
    app = Gateway()
    upstream = Upstream("orders", fleet.urls, retry=Retry(backoff=0), ejection=None, hedge=None)
    app.forward("/honoured", upstream=upstream, allow=anyone, idempotency_key=True)
    app.forward("/unknown", upstream=upstream, allow=anyone)
    for target in fleet:
        target.behave(resetting_at("before_answer"))
    async with serving(app, services=fleet.services, engine=engine) as client:
        for path, keys, attempts in (
            ("/honoured", ["a"], 2),
            ("/honoured", [], 1),
            ("/honoured", ["a", "b"], 1),
            ("/honoured", [""], 1),
            ("/unknown", ["a"], 1),
        ):
            fleet.forget()
            headers = [("idempotency-key", key) for key in keys]
            assert (await client.request(method, path, content=b"x", headers=headers)).status_code == 502
            assert sum(fleet.counts()) == attempts, (path, keys)
        fleet.forget()
        fleet[1].behave(saying(answer("done")))
        fleet[0].behave(saying(answer(status=503)))
        for _ in range(4):
            got = await client.request(method, "/honoured", content=b"x", headers={"idempotency-key": "k"})
            assert got.json() == "done"
    assert {received.value(b"idempotency-key") for target in fleet for received in target.received} == {b"k"}


def test_it_is_refused_where_it_has_no_effect() -> None:
    app = Gateway()
    off = one("off", retry=None, hedge=None)
    app.forward("/safe", upstream=one(), allow=anyone, methods=["GET", "PUT", "DELETE"], idempotency_key=True)
    app.forward("/off", upstream=off, allow=anyone, idempotency_key=True)
    app.forward("/fixed", upstream=off, allow=anyone, idempotency_key=True, fallback=Respond(200))
    app.forward("/elsewhere", upstream=off, allow=anyone, idempotency_key=True, fallback=one())
    app.forward("/key", upstream=one(), allow=anyone, idempotency_key="x")  # pyright: ignore[reportArgumentType] - the mistake
    app.post("/local", idempotency_key=True)(lambda: None)
    with pytest.raises(DeclarationError) as caught:
        app.compile()
    found = caught.value.problems
    assert len(found) == 5, found
    for line in (
        "/safe: idempotency_key=True has no effect: each of these methods may be repeated anyhow",
        "/off: idempotency_key=True lets requests be repeated, and retry=None of the upstream 'off' repeats none",
        "/fixed: idempotency_key=True lets requests be repeated",
        "/key: idempotency_key='x' is neither True nor False",
        "/local: idempotency_key given without upstream=; name the service",
    ):
        assert any(line in one for one in found), (line, found)


def test_in_a_group_it_is_for_the_routes_that_need_it() -> None:
    app = Gateway()
    group = app.group("/v1", upstream=one(), allow=anyone, idempotency_key=True)
    inner = group.group("/inner")
    inner.get("/a")(lambda: None)
    inner.post("/a")(lambda: None)
    inner.post("/b", idempotency_key=False)(lambda: None)
    group.api_route("/c", methods=["GET", "PATCH"])(lambda: None)
    inner.forward("/d", upstream=one(), allow=anyone, methods=["GET"])
    found = {route.name: route.idempotency_key for route in app.declared()}
    assert found == {
        "GET /v1/inner/a": False,
        "POST /v1/inner/a": True,
        "POST /v1/inner/b": False,
        "GET|PATCH /v1/c": True,
        "GET /v1/inner/d": False,
    }


def test_the_document_has_the_header_where_it_is_of_use() -> None:
    app = Gateway()
    group = app.group("", upstream=one(), allow=anyone, idempotency_key=True)
    group.get("/c", operation_id="one")(lambda: None)
    group.patch("/c", operation_id="other")(lambda: None)
    app.forward("/d", upstream=one(), allow=anyone, idempotency_key=True)
    paths = app.openapi()["paths"]

    def names(path: str, method: str) -> list[str]:
        return [parameter["name"] for parameter in paths[path][method].get("parameters", [])]

    assert [names("/c", "get"), names("/c", "patch")] == [[], ["Idempotency-Key"]]
    assert [names("/d", "put"), names("/d", "post")] == [[], ["Idempotency-Key"]]


async def test_a_body_that_streams_is_repeated_while_it_is_at_hand(engine: Engine) -> None:
    fleet = Fleet(2, "orders")
    app = Gateway()
    upstream = Upstream("orders", fleet.urls, retry=Retry(backoff=0, body=5000), ejection=None, hedge=None)
    app.forward("/orders", upstream=upstream, allow=anyone, idempotency_key=True)
    for target in fleet:
        target.behave(saying(answer(status=503)))

    async def parts(*sizes: int) -> AsyncIterator[bytes]:
        sent = 0
        for size in sizes:
            yield b"x" * size
            sent += size
            await until(lambda: any(one.length >= sent for target in fleet for one in target.received))  # noqa: B023 - at once

    async with serving(app, services=fleet.services, engine=engine) as client:
        for method, headers, sizes, attempts in (
            ("PUT", {}, (3000, 2000), 2),
            ("PUT", {}, (3000, 2001), 1),
            ("POST", {"idempotency-key": "1"}, (3000, 2000), 2),
            ("POST", {}, (3000, 2000), 1),
        ):
            fleet.forget()
            got = await client.request(method, "/orders", content=parts(*sizes), headers=headers)
            assert got.status_code == 503
            assert [one.length for target in fleet for one in target.received] == [sum(sizes)] * attempts, method
