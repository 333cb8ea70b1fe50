"""Scripted targets behind a gateway without sockets: a fleet of one upstream, and faults by the clock of the test."""

import asyncio
import socket
from collections.abc import Sequence
from typing import Literal

import pytest

from limen import Gateway, Timeouts, Upstream, anyone
from limen.testing import (
    Clock,
    Fleet,
    ScriptedTarget,
    ScriptedUpstream,
    ServiceMissing,
    answer,
    delayed,
    dripping,
    flapping,
    garbage,
    resetting_at,
    saying,
    serving,
    statuses,
)

Engine = Literal["direct", "asgi"]


@pytest.fixture(params=["direct", "asgi"])
def engine(request: pytest.FixtureRequest) -> Engine:
    return request.param


@pytest.fixture(autouse=True)
def no_sockets_and_no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **named: object) -> None:
        raise AssertionError("a socket is used, or a name is looked up")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", refuse)
    monkeypatch.setattr(asyncio.BaseEventLoop, "create_connection", refuse)


def gateway(*targets: str) -> Gateway:
    app = Gateway()
    orders = Upstream("orders", targets, timeouts=Timeouts(connect=5, first_byte=60, idle=60))
    app.forward("/{path:path}", upstream=orders, allow=anyone)
    return app


async def test_the_targets_of_one_upstream_and_what_each_got(engine: Engine) -> None:
    fleet = Fleet(2, "orders")
    assert fleet.urls == ["http://orders-1:8000", "http://orders-2:8000"]
    for number, target in enumerate(fleet, 1):
        target.behave(saying(answer(number)))
    async with serving(gateway(*fleet.urls), services=fleet.services, engine=engine) as client:
        await fleet[1].kill()
        for _ in range(5):
            assert (await client.get("/a")).json() == 1
        assert (fleet.counts(), fleet.counts("/a"), fleet.counts("/b")) == ([5, 0], [5, 0], [0, 0])
        assert (len(fleet), fleet[0].connections) == (2, 1)
        fleet.forget()
        await fleet[1].restart()
        answers = {(await client.get("/b")).json() for _ in range(5)}
        assert answers <= {1, 2}
        assert sum(fleet.counts("/b")) == sum(fleet.counts()) == 5
        assert f"http://orders-1:8000: {fleet.counts()[0]}" in repr(fleet)


def test_a_fleet_of_none() -> None:
    with pytest.raises(ValueError, match=r"Fleet\(0\)"):
        Fleet(0)


@pytest.mark.parametrize(
    ("named", "target"),
    [
        ("http://orders-1:8000/", "http://orders-1:8000"),
        ("http://Orders-1:80", "http://orders-1/"),
        ("https://orders-1:443", "https://orders-1"),
        ("http://[::1]:8000", "http://[::1]:8000/"),
        ("unix:/run/orders.sock", "unix:/run/orders.sock"),
        ("orders", "http://anything"),
    ],
)
async def test_a_service_is_found_however_its_address_is_spelled(named: str, target: str) -> None:
    app = gateway(target)
    async with serving(app, services={named: ScriptedTarget()}) as client:
        assert (await client.get("/")).status_code == 200


async def test_a_target_that_is_not_given_is_named() -> None:
    fleet = Fleet(2, "orders")
    services = {"http://orders-3:8000": fleet[0]}
    async with serving(gateway(*fleet.urls), services=services) as client:
        with pytest.raises(ServiceMissing, match=r"add 'orders' or 'http://orders-[12]:8000'"):
            await client.get("/")


async def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="scheme, host and port only"):
        async with serving(gateway("http://orders"), services={"http://orders/path": ScriptedTarget()}):
            pass


async def test_minutes_take_none(engine: Engine) -> None:
    clock, orders = Clock(), ScriptedTarget(delayed(50, saying(answer("late"))), delayed(70, saying(answer("never"))))
    async with serving(gateway("http://orders"), services={"orders": orders}, clock=clock, engine=engine) as client:
        asked = asyncio.create_task(client.get("/"))
        await clock.advance(49)
        assert (asked.done(), orders.count()) == (False, 1)
        await clock.advance(2)
        assert (await asked).json() == "late"

        asked = asyncio.create_task(client.post("/"))
        await clock.advance(61)
        assert (await asked).status_code == 504

        orders.behave(dripping(answer(b"drop"), 20))
        asked = asyncio.create_task(client.post("/"))
        await clock.advance(61)
        assert (await asked).status_code == 504  # bytes of a head do not renew its time


async def test_a_minute_on_ice(engine: Engine) -> None:
    clock, orders = Clock(), ScriptedTarget()
    async with serving(gateway("http://orders"), services={"orders": orders}, clock=clock, engine=engine) as client:
        orders.freeze()
        asked = asyncio.create_task(client.post("/", content=b"one"))
        await clock.advance(59)
        assert not asked.done()
        orders.thaw()
        assert (await asked).status_code == 200

        orders.freeze()
        asked = asyncio.create_task(client.post("/", content=b"two"))
        await clock.advance(61)
        assert (await asked).status_code == 504
        orders.thaw()  # nobody wants the answer any more

        orders.freeze("accepting")
        asked = asyncio.create_task(client.post("/", content=b"three"))
        await clock.advance(4)
        orders.thaw()
        assert (await asked).status_code == 200
        assert [bytes(one.body) for one in orders.received] == [b"one", b"two", b"three"]


async def codes(orders: ScriptedTarget, count: int, engine: Engine) -> Sequence[object]:
    """Return what a client gets for POSTs, which are sent once: statuses, and the codes of the gateway's own answers."""
    seen: list[object] = []
    async with serving(gateway("http://orders"), services={"orders": orders}, engine=engine) as client:
        for _ in range(count):
            got = await client.post("/x", content=b"hello")
            own = got.headers.get("content-type") == "application/problem+json"
            seen.append(got.json()["code"] if own else got.status_code)
    return seen


async def test_faults_as_a_client_sees_them(engine: Engine) -> None:
    orders = ScriptedTarget(
        statuses(200, 503, 201),
        garbage,
        resetting_at("after_head"),
        resetting_at("before_answer"),
        resetting_at("answer_head"),
        flapping(1, 1),
    )
    seen = await codes(orders, 9, engine)
    assert seen == [200, 503, 201, "upstream_protocol", *["upstream_closed"] * 3, 200, 503]
    assert (orders.count("/x"), orders.resets) == (9, 3)


async def test_scripts_of_connections_are_recorded_too() -> None:
    orders = ScriptedUpstream(saying(answer(), answer()), resetting_at("before_answer"))
    async with serving(gateway("http://orders"), services={"orders": orders}) as client:
        for content in (b"one", b"two", b"three"):
            await client.post("/", content=content)
    assert [(one.connection, bytes(one.body)) for one in orders.received] == [(1, b"one"), (1, b"two"), (2, b"three")]
    assert (len(orders.requests), orders.connections, orders.resets) == (3, 2, 1)
