"""The health endpoints, on both engines: what they answer, to whom, and that nothing before them has a say."""

from typing import Any

import pytest
from fastapi import FastAPI

from limen import Gateway, Upstream, anyone, signed_in
from limen.auth import Jwt
from limen.errors import Fault, Kind
from limen.runtime.readiness import Readiness
from limen.testing import EveryHook, Record, ScriptedUpstream, saying
from serving import serving
from tokens import SECRET

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def readiness(app: Gateway) -> Readiness:
    return app.active_config().runtime.readiness


def forwarding(url: str, **options: Any) -> Gateway:
    app = Gateway(**options)
    app.forward("/{path:path}", upstream=Upstream("svc", [url]), allow=anyone)
    return app


async def test_both_answer_before_a_forward_of_everything() -> None:
    async with ScriptedUpstream(saying(OK)) as upstream, serving(forwarding(upstream.url)) as gateway:
        ready = await gateway.client.get("/readyz?verbose")
        live = await gateway.client.get("/healthz")
        assert (await gateway.client.get("/elsewhere")).text == "ok"
        assert len(upstream.requests) == 1
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
    assert (live.status_code, live.json()) == (200, {"status": "alive"})
    for answer in (ready, live):
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-request-id"]


async def test_methods_are_those_of_a_resource() -> None:
    async with serving(Gateway()) as gateway:
        head = await gateway.client.head("/readyz")
        options = await gateway.client.options("/readyz")
        post = await gateway.client.post("/readyz", content=b"a body")
        with_body = await gateway.client.request("GET", "/healthz", content=b"a body")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "18")
    assert (options.status_code, options.headers["allow"]) == (204, "GET, HEAD, OPTIONS")
    assert (post.status_code, post.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    assert with_body.json() == {"status": "alive"}


async def test_a_reason_makes_it_not_ready_and_the_rest_is_served() -> None:
    app = Gateway()
    reason: list[str] = ["no target was checked yet"]

    @app.get("/here")
    def here() -> str:
        return "here"

    del here
    async with serving(app) as gateway:
        readiness(app).add("upstream orders", lambda: reason[0] if reason else None)
        refused = await gateway.client.get("/readyz")
        head = await gateway.client.head("/readyz")
        assert (await gateway.client.get("/healthz")).status_code == 200
        assert (await gateway.client.get("/here")).json() == "here"
        reason.clear()
        assert (await gateway.client.get("/readyz")).status_code == 200
    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (503, "not_ready")
    assert problem["detail"] == "The gateway is not ready: upstream orders: no target was checked yet."
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["cache-control"] == "no-store"
    assert (head.status_code, head.content) == (503, b"")


async def test_who_drains_serves_on_and_keeps_connections() -> None:
    app = Gateway()
    async with serving(app) as gateway:
        readiness(app).drain()
        refused = await gateway.client.get("/readyz")
        live = await gateway.client.get("/healthz")
        assert len(gateway.connections) == 1
    assert refused.json()["detail"] == "The gateway is not ready: it drains."
    assert live.status_code == 200
    assert "connection" not in live.headers


async def test_what_is_declared_at_their_paths_wins() -> None:
    async with ScriptedUpstream(saying(OK)) as upstream:
        app = Gateway(auth=Jwt(SECRET))

        @app.get("/healthz")
        def healthz() -> str:
            return "mine"

        @app.get("/readyz", upstream=Upstream("svc", [upstream.url]), allow=signed_in)
        def readyz() -> Any: ...

        del healthz, readyz
        async with serving(app) as gateway:
            assert (await gateway.client.get("/healthz")).json() == "mine"
            assert (await gateway.client.get("/readyz")).status_code == 401


@pytest.mark.parametrize("off", [None, ""])
async def test_paths_are_settable_and_may_be_none(off: str | None) -> None:
    async with ScriptedUpstream(saying(OK)) as upstream:
        app = forwarding(upstream.url, ready_path="/internal/ready", live_path=off)
        async with serving(app) as gateway:
            assert (await gateway.client.get("/internal/ready")).json() == {"status": "ready"}
            assert (await gateway.client.get("/healthz")).text == "ok"
            assert (await gateway.client.get("/readyz")).text == "ok"


async def test_a_route_that_is_declared_later_takes_the_path() -> None:
    app = Gateway()
    async with serving(app) as gateway:
        assert (await gateway.client.get("/healthz")).json() == {"status": "alive"}

        @app.get("/healthz")
        def healthz() -> str:
            return "mine"

        del healthz
        assert (await gateway.client.get("/healthz")).json() == "mine"


async def test_no_policy_has_a_say() -> None:
    """A limit, or a list of addresses, must not make an orchestrator end a process that is well."""
    record = Record()
    closed = EveryHook(record, answers={"enter": lambda _: Fault(Kind.OVERLOADED, "The gateway is closed.")})
    async with serving(Gateway(policies=[closed])) as gateway:
        assert (await gateway.client.get("/nothing")).status_code == 503
        before = len(record.settled)
        for path in ("/healthz", "/readyz"):
            answer = await gateway.client.get(path)
            assert answer.status_code == 200
            assert "x-every-answer" not in answer.headers
        assert len(record.settled) == before == 1


async def test_each_is_a_line_of_the_access_log(caplog: pytest.LogCaptureFixture) -> None:
    app = Gateway()
    with caplog.at_level("INFO", logger="limen.access"):
        async with serving(app) as gateway:
            readiness(app).drain()
            await gateway.client.get("/healthz")
            await gateway.client.get("/readyz")
    lines = [one.getMessage() for one in caplog.records if one.name == "limen.access"]
    assert [(line.split()[1:3], "route=/" in line, "code=not_ready" in line) for line in lines] == [
        (["/healthz", "200"], True, False),
        (["/readyz", "503"], True, True),
    ]


async def test_they_are_below_the_prefix_of_a_mount_and_behind_middleware() -> None:
    inner = Gateway()

    @inner.middleware("http")
    async def seen(request: Any, call_next: Any) -> Any:
        answer = await call_next(request)
        answer.headers["x-seen"] = "yes"
        return answer

    del seen
    outer = FastAPI(lifespan=lambda _: inner.running())
    outer.mount("/api", inner)
    async with serving(outer) as gateway:
        answer = await gateway.client.get("/api/readyz")
        assert (await gateway.client.get("/readyz")).status_code == 404
    assert (answer.json(), answer.headers["x-seen"]) == ({"status": "ready"}, "yes")


async def test_plain_uvicorn_answers_them_too() -> None:
    async with serving(Gateway(), plain=True) as gateway:
        assert (await gateway.client.get("/readyz")).json() == {"status": "ready"}
        assert (await gateway.client.head("/healthz")).status_code == 200
