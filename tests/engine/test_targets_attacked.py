"""What hostile clients, and a service that is down, can make of several targets: storms, ejections, choices, and memory.

In memory and by a clock, so on asyncio's own loop.
"""

import asyncio

import pytest

from limen import Gateway, RoundRobin, Sticky, Timeouts, Upstream, anyone
from limen.testing import (
    Clock,
    Fleet,
    Script,
    answer,
    garbage,
    hanging,
    refusing,
    resetting,
    saying,
    serving,
    snapshot,
    statuses,
)
from limen.testing.server import Engine
from limen.upstream.balance import Balance
from limen.upstream.live import LiveUpstream
from limen.upstream.live_target import MOST_ROUTES


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def gateway(fleet: Fleet, balance: Balance | None = None, timeouts: Timeouts | None = None) -> Gateway:
    app = Gateway()
    upstream = Upstream("orders", fleet.urls, balance=balance or RoundRobin(), timeouts=timeouts or Timeouts())
    app.forward("/{path:path}", upstream=upstream, allow=anyone)
    return app


def states(app: Gateway) -> list[str]:
    return [target.state for target in snapshot(app).upstreams[0].targets]


@pytest.mark.parametrize(
    "fault",
    [saying(answer(status=503)), resetting, garbage, refusing, hanging],
    ids=["503", "reset", "garbage", "refused", "silent"],
)
async def test_one_target_that_fails_is_noticed_by_nobody(engine: Engine, fault: Script) -> None:
    clock, fleet = Clock(), Fleet(3, "orders")
    async with serving(gateway(fleet), services=fleet.services, clock=clock, engine=engine) as client:
        fleet[0].behave(fault)
        for _ in range(12):
            asked = asyncio.create_task(client.get("/"))
            await clock.advance(1.2)  # past what a hedge waits while nothing is known
            assert (await asked).status_code == 200


@pytest.mark.parametrize("fault", [saying(answer(status=503)), resetting], ids=["503", "reset"])
async def test_an_outage_is_not_multiplied(engine: Engine, fault: Script) -> None:
    fleet = Fleet(3, "orders")
    async with serving(gateway(fleet), services=fleet.services, engine=engine) as client:
        for target in fleet:
            target.behave(fault)
        at_once = await asyncio.gather(*(client.get("/") for _ in range(100)))
        assert {one.status_code for one in at_once} <= {502, 503}
        for _ in range(100):
            assert (await client.get("/")).status_code in (502, 503)
    assert sum(fleet.counts()) <= 1.2 * 200


async def test_a_client_that_makes_a_service_fail_cannot_have_all_targets_ejected(engine: Engine) -> None:
    fleet = Fleet(3, "orders")
    app = gateway(fleet)
    async with serving(app, services=fleet.services, engine=engine) as client:
        for target in fleet:
            target.behave(saying(answer(status=500)), path="/hostile")
        for _ in range(60):
            assert (await client.get("/hostile")).status_code == 500
            assert (await client.get("/honest")).status_code == 200
        assert states(app).count("in") >= 1
        for _ in range(60):
            assert (await client.get("/hostile")).status_code == 500
        assert states(app).count("in") >= 1
        assert (await client.get("/honest")).status_code == 200


async def test_what_clients_do_wrong_is_no_failure_of_a_target(engine: Engine) -> None:
    clock, fleet = Clock(), Fleet(2, "orders")
    app = gateway(fleet)
    async with serving(app, services=fleet.services, clock=clock, engine=engine) as client:
        for target in fleet:
            target.behave(saying(answer(status=400)), path="/refused")
        for _ in range(20):
            assert (await client.get("/refused")).status_code == 400
        for target in fleet:
            target.freeze()
        for _ in range(20):
            left = asyncio.create_task(client.post("/slow"))
            await clock.advance(0.05)
            left.cancel()
            await asyncio.wait([left])
        assert states(app) == ["in", "in"]
        assert [target.reason for target in snapshot(app).upstreams[0].targets] == ["", ""]


async def test_a_cookie_chooses_among_the_targets_that_are_well_and_tells_no_address(engine: Engine) -> None:
    fleet = Fleet(3, "orders")
    app = gateway(fleet, Sticky())
    async with serving(app, services=fleet.services, engine=engine) as client:
        bound = (await client.get("/")).headers["set-cookie"]
        assert "orders" not in bound
        assert "8000" not in bound
        home = fleet.counts().index(1)
        for invented in ("", "x" * 4000, "http://orders-1:8000", "127.0.0.1", "../../etc"):
            got = await client.get("/", headers={"cookie": f"limen-target={invented}"})
            assert (got.status_code, "set-cookie" in got.headers) == (200, True)
        fleet[home].behave(*statuses(503))
        for _ in range(10):
            assert (await client.get("/", headers={"cookie": bound.partition(";")[0]})).status_code == 200
        assert states(app)[home] == "out"


async def test_a_key_that_nobody_has_declared_repeats_no_post(engine: Engine) -> None:
    fleet = Fleet(2, "orders")
    async with serving(gateway(fleet), services=fleet.services, engine=engine) as client:
        for target in fleet:
            target.behave(resetting)
        for number in range(2):
            got = await client.post("/", content=b"one", headers={"idempotency-key": str(number)})
            assert got.status_code == 502
    assert fleet.counts() == [1, 1]


async def test_the_time_that_is_left_is_the_gateways_to_say(engine: Engine) -> None:
    fleet = Fleet(2, "orders")
    app = gateway(fleet, timeouts=Timeouts(deadline=3))
    async with serving(app, services=fleet.services, engine=engine) as client:
        await client.get("/", headers={"x-request-timeout-ms": "999999"})
    received = fleet[0].received[0]
    assert received.head.lower().count(b"x-request-timeout-ms:") == 1
    assert int(received.value(b"x-request-timeout-ms") or 0) <= 3000


async def test_what_is_learned_of_routes_is_bounded() -> None:
    live = LiveUpstream(Upstream("orders", ["http://orders-1:8000", "http://orders-2:8000"]))
    target = live.targets[0]
    known = {id(target.latency(f"GET /{number}", 50)) for number in range(2 * MOST_ROUTES)}
    assert len(known) == MOST_ROUTES + 1  # the one is shared by all further ones
