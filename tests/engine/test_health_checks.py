"""A gateway that checks its targets, on both engines: readiness, requests and what is shown. The test moves time."""

from typing import Any, Literal

import pytest

from limen import Gateway, Health, Upstream, anyone
from limen.testing import Clock, Fleet, serving, snapshot, statuses

Engine = Literal["direct", "asgi"]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run in asyncio's own loop, whose time the test moves."""
    return ("asyncio", {"use_uvloop": False})


def gateway(*upstreams: Upstream) -> Gateway:
    app = Gateway()
    for upstream in upstreams:
        app.forward(f"/{upstream.name}/{{path:path}}", upstream=upstream, allow=anyone)
    return app


async def test_it_is_ready_once_each_target_was_checked(engine: Engine) -> None:
    fleet, clock = Fleet(3, "orders"), Clock()
    fleet[1].freeze()
    app = gateway(Upstream("orders", fleet.urls, health=Health("/up")), Upstream("others", ["http://orders-1:8000"]))
    async with serving(app, services=fleet.services, clock=clock, engine=engine) as client:
        early = await client.get("/readyz")
        assert early.status_code == 503
        assert "upstream orders: " in early.json()["detail"]
        assert "others" not in early.text
        await clock.advance(0.5)
        waiting = await client.get("/readyz")
        assert waiting.json()["detail"] == (
            "The gateway is not ready: upstream orders: 1 of 3 targets was not checked yet."
        )
        await clock.advance(0.6)  # no answer within a second is one, too
        assert (await client.get("/readyz")).status_code == 200
        assert (fleet[0].count("/up"), fleet[2].count("/up")) == (1, 1)
        states = [(one.state, one.reason) for one in snapshot(app).upstreams[0].targets]
        assert states[1] == ("out", "the check failed: no answer within 1 s")
        for _ in range(6):
            assert (await client.get("/orders/1")).status_code == 200
        assert fleet[1].count("/orders/1") == 0


async def test_one_that_is_out_gets_requests_again_when_checks_are_good(engine: Engine) -> None:
    fleet, clock = Fleet(2, "orders"), Clock()
    app = gateway(Upstream("orders", fleet.urls, health=Health("/up")))
    async with serving(app, services=fleet.services, clock=clock, engine=engine) as client:
        await clock.advance(0.3)
        fleet[0].behave(*statuses(503), path="/up")
        await clock.advance(20)
        assert snapshot(app).upstreams[0].targets[0].reason == "3 checks in a row failed, the last: an answer of 503"
        fleet[0].behave(*statuses(200), path="/up")
        await clock.advance(3)
        for _ in range(12):
            assert (await client.get("/orders/1")).status_code == 200
        assert snapshot(app).upstreams[0].targets[0].state == "in"
        assert fleet[0].count("/orders/1") >= 3


async def test_what_is_declared_later_is_checked_and_waited_for(engine: Engine) -> None:
    fleet, clock = Fleet(1, "orders"), Clock()
    app = gateway()
    async with serving(app, services=fleet.services, clock=clock, engine=engine) as client:
        assert (await client.get("/readyz")).status_code == 200
        fleet[0].freeze()
        app.forward("/{path:path}", upstream=Upstream("orders", fleet.urls, health=Health("/up")), allow=anyone)
        detail = (await client.get("/readyz")).json()["detail"]
        assert detail.endswith("upstream orders: 1 of 1 targets was not checked yet.")
        fleet[0].thaw()
        await clock.advance(0.1)
        assert (await client.get("/readyz")).status_code == 200
        # The only target is used, however it is.
        fleet[0].behave(*statuses(503), path="/up")
        await clock.advance(20)
        assert (await client.get("/1")).status_code == 200


async def test_nothing_is_left_of_checks_when_it_stops(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    fleet, clock = Fleet(2, "orders"), Clock()
    fleet[0].freeze("accepting")
    fleet[1].freeze("reading")
    app = gateway(Upstream("orders", fleet.urls, health=Health("/up")))
    async with serving(app, services=fleet.services, clock=clock, engine=engine) as client:
        assert (await client.get("/healthz")).status_code == 200
    assert "never retrieved" not in caplog.text
    assert "Traceback" not in caplog.text
