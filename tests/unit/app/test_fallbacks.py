"""``fallback=``: when it answers, with which request, and what client and log are told, on both engines without sockets."""

import asyncio
import json
from base64 import urlsafe_b64decode
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import httpx2
import pytest

from limen import Ejection, Gateway, Retry, Split, Timeouts, Upstream, anyone, header_is, signed_in
from limen.auth import Jwt
from limen.auth.assertion import Assertion
from limen.errors import DeclarationError
from limen.policies import Edits, Headers, Respond
from limen.testing import (
    Clock,
    Fleet,
    ScriptedTarget,
    answer,
    as_caller,
    flush_log,
    garbage,
    hanging,
    refusing,
    resetting_at,
    saying,
    serving,
    statuses,
)
from limen.testing.conversation import Script
from serving import until
from tokens import SECRET, pair

Engine = Literal["direct", "asgi"]

TIMES = Timeouts(connect=5, first_byte=5, idle=5)
ORDERS = Upstream("orders", ["http://orders:8000"], timeouts=TIMES)
BACKUP = Upstream("backup", ["http://backup:8000"], timeouts=TIMES)
FIXED = Respond(200, {"orders": []}, headers={"x-stale": "1"})

FAULTS: dict[str, tuple[Script, str, str]] = {
    "refused": (refusing, "upstream_refused", "connection_refused"),
    "reset": (resetting_at("before_answer"), "upstream_closed", "connection_terminated"),
    "garbage": (garbage, "upstream_protocol", "http_protocol_error"),
}


@pytest.fixture(params=["direct", "asgi"])
def engine(request: pytest.FixtureRequest) -> Engine:
    return request.param


class Stage:
    """A gateway, its service and the one behind that, and the lines of its access log."""

    def __init__(self, client: httpx2.AsyncClient, log: pytest.LogCaptureFixture) -> None:
        self.client = client
        self._log = log
        self._read = 0

    async def line(self) -> str:
        """Return the next line of the access log."""
        await until(lambda: len(self._lines()) > self._read)
        self._read += 1
        return self._lines()[self._read - 1]

    async def last_line(self, count: int) -> str:
        """Return the line number ``count``."""
        self._read = count - 1
        return await self.line()

    def _lines(self) -> list[str]:
        flush_log()
        return [one.getMessage() for one in self._log.records if one.name == "limen.access"]


@asynccontextmanager
async def stage(
    app: Gateway, log: pytest.LogCaptureFixture, engine: Engine, clock: Clock | None = None, **targets: ScriptedTarget
) -> AsyncGenerator[Stage]:
    services = {f"http://{name}:8000": target for name, target in targets.items()}
    with log.at_level("INFO", "limen.access"):
        async with serving(app, services=services, engine=engine, clock=clock) as client:
            yield Stage(client, log)


def gateway(fallback: Upstream | Respond, upstream: Upstream | Split = ORDERS, **options: Any) -> Gateway:
    app = Gateway()
    app.forward("/orders", upstream=upstream, allow=anyone, fallback=fallback, **options)
    return app


# --- a fixed answer ---


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_fixed_answer_stands_for_each_fault_of_the_service(
    engine: Engine, caplog: pytest.LogCaptureFixture, fault: str, method: str
) -> None:
    script, code, error = FAULTS[fault]
    async with stage(gateway(FIXED), caplog, engine, orders=ScriptedTarget(script)) as on:
        got = await on.client.request(method, "/orders", content=b"x" if method == "POST" else b"")
        assert (got.status_code, got.json(), got.headers["x-stale"]) == (200, {"orders": []}, "1")
        assert got.headers["proxy-status"] == f"limen; error={error}"
        line = await on.line()
    assert " 200 " in line
    assert f"code={code} " in line
    assert "a fixed answer in place of orders" in line
    assert "upstream=orders target=http://orders:8000" in line


async def test_a_fixed_answer_stands_for_a_service_that_does_not_answer(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    async with stage(gateway(FIXED), caplog, engine, clock, orders=ScriptedTarget(hanging)) as on:
        asked = asyncio.create_task(on.client.get("/orders"))
        await clock.advance(5.1)
        got = await asked
    assert (got.json(), got.headers["proxy-status"]) == ({"orders": []}, "limen; error=http_response_timeout")


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_fixed_answer_stands_for_an_answer_that_a_retry_would_replace(
    engine: Engine, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    down = saying(answer({"down": True}, 503, [("proxy-status", "inner; error=dns_error")]))
    orders = ScriptedTarget(down, saying(answer(status=500)))
    async with stage(gateway(FIXED), caplog, engine, orders=orders) as on:
        got = await on.client.request(method, "/orders", content=b"x" if method == "POST" else b"")
        assert (got.status_code, got.json()) == (200, {"orders": []})
        assert got.headers.get_list("proxy-status") == ["inner; error=dns_error", "limen; received-status=503"]
        line = await on.line()
        assert "code=" not in line
        assert "cause='a fixed answer in place of orders: an answer of 503'" in line
        # 500 is no answer of a service that is out of order: it passes.
        assert (await on.client.request(method, "/orders")).status_code == 500
    assert orders.count() == 2


async def test_statuses_are_those_of_retry_and_without_retry_there_are_none(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    for retry, passes in ((Retry(statuses=[500]), [503]), (None, [500, 503])):
        upstream = Upstream("orders", ["http://orders:8000"], retry=retry, hedge=None)
        for status in (500, 503):
            target = ScriptedTarget(*statuses(status))
            async with stage(gateway(FIXED, upstream), caplog, engine, orders=target) as on:
                got = await on.client.get("/orders")
                assert got.status_code == (status if status in passes else 200), (retry, status)


async def test_a_fixed_answer_to_head_has_no_content_and_policies_see_it(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    app = gateway(FIXED, policies=[Headers(answer=Edits(set={"x-policy": "seen"}))])
    async with stage(app, caplog, engine, orders=ScriptedTarget(refusing)) as on:
        got = await on.client.head("/orders")
        assert (got.status_code, got.content, got.headers["content-length"]) == (200, b"", "13")
        assert got.headers["x-policy"] == "seen"
        assert (await on.client.get("/orders")).headers["x-policy"] == "seen"


async def test_what_is_no_fault_of_the_service_gets_no_fallback(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    app = Gateway(auth=Jwt(SECRET))

    @app.get("/checked", upstream=ORDERS, allow=anyone, fallback=FIXED)
    def checked() -> list[int]: ...

    @app.get("/mine", upstream=ORDERS, allow=signed_in, fallback=FIXED)
    def mine(number: int) -> None: ...

    del checked, mine
    async with stage(app, caplog, engine, orders=ScriptedTarget(saying(answer({"no": "list"})))) as on:
        got = await on.client.get("/checked")
        assert (got.status_code, got.json()["code"]) == (502, "upstream_contract")
        assert (await on.client.get("/mine?number=1")).status_code == 401
        assert (await on.client.get("/mine?number=x", headers=as_caller(app, 1))).status_code == 422


async def test_an_answer_that_is_read_and_cut_is_a_fault_too(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    app = Gateway()

    @app.get("/checked", upstream=ORDERS, allow=anyone, fallback=Respond(200, [1]))
    def checked() -> list[int]: ...

    del checked
    cut = resetting_at("content", answer([1, 2, 3]))
    async with stage(app, caplog, engine, orders=ScriptedTarget(cut)) as on:
        got = await on.client.get("/checked")
        assert (got.status_code, got.json()) == (200, [1])


async def test_an_answer_that_has_begun_stays(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    cut = resetting_at("content", answer(b"x" * 5000))
    async with stage(gateway(FIXED), caplog, engine, orders=ScriptedTarget(cut)) as on:
        with pytest.raises(httpx2.RemoteProtocolError):
            await on.client.get("/orders")


# --- another service ---


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_another_service_gets_what_may_be_repeated(
    engine: Engine, caplog: pytest.LogCaptureFixture, fault: str, method: str
) -> None:
    script, code, _ = FAULTS[fault]
    orders, backup = ScriptedTarget(script), ScriptedTarget(saying(answer("backup")))
    async with stage(gateway(BACKUP), caplog, engine, orders=orders, backup=backup) as on:
        got = await on.client.request(method, "/orders?a=1", content=b"held" if method == "PUT" else b"")
        assert (got.status_code, got.json()) == (200, "backup")
        assert "proxy-status" not in got.headers
        line = await on.line()
    (received,) = backup.received
    assert (received.target, received.body) == (b"/orders?a=1", b"held" if method == "PUT" else b"")
    assert "code=" not in line
    assert "upstream=backup target=http://backup:8000 attempts=" in line
    assert f"cause='in place of orders: {code}" in line


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_post_goes_on_only_if_it_was_never_sent(
    engine: Engine, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    script, code, _ = FAULTS[fault]
    orders, backup = ScriptedTarget(script), ScriptedTarget(saying(answer("backup")))
    async with stage(gateway(BACKUP), caplog, engine, orders=orders, backup=backup) as on:
        got = await on.client.post("/orders", content=b"once")
        if fault == "refused":
            assert (got.json(), [bytes(one.body) for one in backup.received]) == ("backup", [b"once"])
        else:
            assert (got.json()["code"], backup.count()) == (code, 0)


async def test_a_post_goes_on_with_a_key_that_the_service_honours(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    orders, backup = ScriptedTarget(resetting_at("before_answer")), ScriptedTarget(saying(answer("backup")))
    app = gateway(BACKUP, idempotency_key=True)
    async with stage(app, caplog, engine, orders=orders, backup=backup) as on:
        key = ("idempotency-key", "1")
        assert (await on.client.post("/orders", content=b"once", headers=[key])).json() == "backup"
        assert (await on.client.post("/orders", content=b"once", headers=[key, key])).status_code == 502
        assert (await on.client.post("/orders", content=b"once")).status_code == 502
    assert [one.value(b"idempotency-key") for one in backup.received] == [b"1"]


async def test_an_answer_that_a_retry_would_replace_goes_on_if_it_may(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    orders, backup = ScriptedTarget(*statuses(503)), ScriptedTarget(saying(answer("backup")))
    async with stage(gateway(BACKUP), caplog, engine, orders=orders, backup=backup) as on:
        assert (await on.client.get("/orders")).json() == "backup"
        assert "cause='in place of orders: an answer of 503'" in await on.line()
        assert (await on.client.post("/orders", content=b"x")).status_code == 503
    assert (orders.count(), backup.count()) == (2, 1)


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_a_body_that_streams_goes_on_while_it_is_at_hand(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    upstream = Upstream("orders", ["http://orders:8000"], timeouts=TIMES, retry=Retry(body=10_000))
    # The head of an answer, and the whole of the request, have come before it is reset.
    orders, backup = ScriptedTarget(*statuses(503)), ScriptedTarget(saying(answer("backup")))
    async with stage(gateway(BACKUP, upstream), caplog, engine, orders=orders, backup=backup) as on:
        got = await on.client.put("/orders", content=chunks(b"a" * 4000, b"b" * 4000))
        assert got.json() == "backup"
        orders.forget()

        async def parts() -> AsyncIterator[bytes]:
            yield b"a" * 4000
            await until(lambda: bool(orders.received) and len(orders.received[0].body) == 4000)
            yield b"b" * 8000

        got = await on.client.put("/orders", content=parts())
        assert got.status_code == 503
    assert [one.body for one in backup.received] == [b"a" * 4000 + b"b" * 4000]


async def test_a_service_that_fails_too_is_what_the_client_hears_of(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    orders, backup = ScriptedTarget(refusing), ScriptedTarget(garbage)
    async with stage(gateway(BACKUP), caplog, engine, orders=orders, backup=backup) as on:
        got = await on.client.get("/orders")
        assert (got.status_code, got.json()["code"]) == (502, "upstream_protocol")
        line = await on.line()
    assert "code=upstream_protocol" in line
    assert "in place of orders: upstream_refused" in line


async def test_retries_come_first_and_attempts_are_counted_together(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    fleet, backup = Fleet(2, "orders"), ScriptedTarget(saying(answer("backup")))
    for target in fleet:
        target.behave(*statuses(503))
    upstream = Upstream("orders", fleet.urls, timeouts=TIMES, retry=Retry(backoff=0), hedge=None)
    targets = {"orders-1": fleet[0], "orders-2": fleet[1], "backup": backup}
    async with stage(gateway(BACKUP, upstream), caplog, engine, None, **targets) as on:
        assert (await on.client.get("/orders")).json() == "backup"
        assert "upstream=backup target=http://backup:8000 attempts=3" in await on.line()
    assert (fleet.counts(), backup.count()) == ([1, 1], 1)


async def test_the_other_service_learns_who_calls_by_an_assertion_of_its_own(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    app = Gateway(auth=Jwt(SECRET), assertion=Assertion(pair("ES256")[0].decode()))
    app.forward("/orders", upstream=ORDERS, allow=signed_in, fallback=BACKUP)
    orders, backup = ScriptedTarget(resetting_at("before_answer")), ScriptedTarget()
    async with stage(app, caplog, engine, orders=orders, backup=backup) as on:
        await on.client.get("/orders", headers=as_caller(app, 7))
    audiences: list[object] = []
    for target in (orders, backup):
        (received,) = target.received
        found = received.value(b"request-identity")
        assert found is not None
        payload = found.split(b".")[1]
        audiences.append(json.loads(urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)))["aud"])
        assert received.value(b"request-user-id") == b"7"
    assert audiences == ["orders", "backup"]


async def test_a_deadline_bounds_both_services_together(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    upstream = Upstream("orders", ["http://orders:8000"], timeouts=Timeouts(first_byte=2, deadline=5))
    orders, backup = ScriptedTarget(hanging), ScriptedTarget(hanging)
    async with stage(gateway(BACKUP, upstream), caplog, engine, clock, orders=orders, backup=backup) as on:
        asked = asyncio.create_task(on.client.get("/orders"))
        await clock.advance(2.2)
        assert backup.count() == 1
        (received,) = backup.received
        left = received.value(b"x-request-timeout-ms")
        assert left is not None
        assert 2000 < int(left) < 3001
        assert not asked.done()
        await clock.advance(3)
        got = await asked
    assert got.json()["code"] == "answer_timeout"


async def test_a_canary_falls_back_to_the_stable_side(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    canary = Upstream("canary", ["http://canary:8000"], timeouts=TIMES)
    split = Split(ORDERS, canary, when=header_is("x-canary", "yes"))
    orders, target = ScriptedTarget(saying(answer("stable"))), ScriptedTarget(refusing)
    async with stage(gateway(ORDERS, split), caplog, engine, orders=orders, canary=target) as on:
        got = await on.client.get("/orders", headers={"x-canary": "yes"})
        assert got.json() == "stable"
        assert "upstream=orders" in await on.line()
        orders.behave(refusing)
        got = await on.client.get("/orders")
        assert got.json()["code"] == "upstream_refused"
        assert "in place of" not in await on.line()


# --- no target is well ---


async def test_while_no_target_is_well_one_request_at_a_time_finds_out_and_all_others_go_elsewhere(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    fleet, backup = Fleet(2, "orders"), ScriptedTarget(saying(answer("backup")))
    for target in fleet:
        target.behave(*statuses(503))
    upstream = Upstream(
        "orders", fleet.urls, timeouts=TIMES, retry=Retry(backoff=0), hedge=None, ejection=Ejection(seconds=2)
    )
    targets = {"orders-1": fleet[0], "orders-2": fleet[1], "backup": backup}
    async with stage(gateway(BACKUP, upstream), caplog, engine, clock, **targets) as on:
        for _ in range(10):
            assert (await on.client.get("/orders")).json() == "backup"
        for target in fleet:
            target.behave(hanging)
        fleet.forget()
        first = asyncio.create_task(on.client.get("/orders"))
        await clock.advance(0.1)
        assert sum(fleet.counts()) == 1  # it finds out
        for _ in range(10):
            assert (await on.client.get("/orders")).json() == "backup"
        assert "cause='in place of orders: upstream_refused, no target is well'" in await on.last_line(20)
        assert sum(fleet.counts()) == 1
        for target in fleet:
            target.behave(saying(answer("orders")))
        await clock.advance(5.1)
        await first
        found = [(await on.client.get("/orders")).json() for _ in range(3)]
        assert found == ["orders"] * 3


# --- what is refused ---


def test_what_cannot_be_a_fallback_is_a_problem_of_the_declaration() -> None:
    app = Gateway()
    app.forward("/a", upstream=ORDERS, allow=anyone, fallback="backup")  # pyright: ignore[reportArgumentType] - the mistake
    app.forward("/b", upstream=ORDERS, allow=anyone, fallback=ORDERS)
    another = Upstream("orders", ["http://another:8000"])
    app.forward("/c", upstream=BACKUP, allow=anyone, fallback=another)
    app.get("/d", fallback=FIXED)(lambda: None)
    with pytest.raises(DeclarationError) as caught:
        app.compile()
    for line in (
        "/a: fallback='backup' is neither an Upstream nor a fixed answer",
        "/b: fallback= is the upstream 'orders' itself",
        "/c: two different upstreams are named 'orders'; rename one",
        "/d: fallback given without upstream=; name the service",
    ):
        assert line in str(caught.value), caught.value


def test_the_document_knows_the_fixed_answer_and_no_fault_that_it_replaces() -> None:
    app = Gateway()

    @app.get("/a", upstream=ORDERS, allow=anyone, fallback=Respond(203, []))
    def a() -> list[int]: ...

    @app.get("/b", upstream=ORDERS, allow=anyone, fallback=BACKUP)
    def b() -> list[int]: ...

    del a, b
    paths = app.openapi()["paths"]
    assert paths["/a"]["get"]["responses"]["203"]["description"] == "The gateway's own answer, while the service fails."
    assert "504" not in paths["/a"]["get"]["responses"]
    assert "504" in paths["/b"]["get"]["responses"]
    assert [info.upstream for info in app.describe()] == ["orders, else 203", "orders, else backup"]


def test_a_group_may_have_one_and_a_route_of_it_none() -> None:
    app = Gateway()
    group = app.group("/v1", upstream=ORDERS, allow=anyone, fallback=BACKUP)
    group.forward("/a")  # pyright: ignore[reportCallIssue] - the group has what it needs
    group.forward("/b", fallback=None)  # pyright: ignore[reportCallIssue] - likewise
    assert [info.upstream for info in app.describe()] == ["orders, else backup", "orders"]
