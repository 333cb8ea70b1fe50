"""Targets that are drained and restored, sessions that stay at theirs, and declarations that change while requests run."""

import asyncio
from typing import Any

import pytest

from fleets import Scene, fleet_gateway, upstream_of
from limen import Gateway, Limits, Upstream, anyone
from limen.testing import Fleet, answer, garbage, refusing, resetting, saying, statuses
from limen.upstream.balance import Hash, RoundRobin, Sticky, header

FIRST, SECOND, THIRD = "http://svc-1:8000", "http://svc-2:8000", "http://svc-3:8000"


async def ask(scene: Scene, count: int, **options: Any) -> set[int]:
    return {(await scene.ask(**options)).status_code for _ in range(count)}


# --- drained ---


async def test_a_drained_target_gets_nothing_new_and_ends_what_it_has(engine: str) -> None:
    async with fleet_gateway(engine, hedge=None) as scene:
        runtime = scene.app.active_config().runtime
        scene.fleet[0].freeze()
        asked = scene.begin()
        await scene.settle()
        runtime.drain_target("svc", FIRST)
        assert scene.targets()[0].drained_since == pytest.approx(scene.clock.now(), abs=1)  # pyright: ignore[reportUnknownMemberType]
        assert await ask(scene, 9) == {200}
        assert scene.fleet.counts()[0] == 1
        scene.fleet[0].thaw()
        assert (await scene.answered(asked)).status_code == 200
        runtime.restore_target("svc", FIRST)
        assert await ask(scene, 9) == {200}
        assert scene.fleet.counts()[0] == 4
        for wrong in (("svc", "http://nowhere"), ("nothing", FIRST)):
            with pytest.raises(LookupError):
                runtime.drain_target(*wrong)


async def test_no_attempt_again_goes_to_a_drained_target(engine: str) -> None:
    async with fleet_gateway(engine) as scene:
        scene.app.active_config().runtime.drain_target("svc", SECOND)
        scene.fleet[0].behave(statuses(503)[0])
        assert await ask(scene, 9) == {200}
        assert scene.fleet.counts()[1] == 0


async def test_all_are_drained(engine: str) -> None:
    """Somebody has to answer."""
    async with fleet_gateway(engine) as scene:
        for url in scene.fleet.urls:
            scene.app.active_config().runtime.drain_target("svc", url)
        assert await ask(scene, 9) == {200}
        assert scene.fleet.counts() == [3, 3, 3]


# --- sessions ---


async def test_a_session_stays_at_its_target(engine: str) -> None:
    async with fleet_gateway(engine, balance=Sticky(), hedge=None) as scene:
        got = await scene.ask()
        assert "limen-target=" in got.headers["set-cookie"]
        at = scene.fleet.counts().index(1)
        for _ in range(10):
            assert "set-cookie" not in (await scene.ask()).headers
        assert scene.fleet.counts()[at] == 11
        scene.app.active_config().runtime.drain_target("svc", scene.fleet.urls[at])
        assert "set-cookie" not in (await scene.ask()).headers
        assert scene.fleet.counts()[at] == 12
        scene.client.cookies.clear()
        await scene.ask()
        assert scene.fleet.counts()[at] == 12


async def test_a_session_whose_target_fails_gets_another(engine: str) -> None:
    async with fleet_gateway(engine, balance=Sticky(), hedge=None) as scene:
        await scene.ask()
        at = scene.fleet.counts().index(1)
        scene.fleet[at].behave(statuses(503)[0])
        for _ in range(3):
            assert (await scene.ask()).status_code == 200
        assert scene.states().split()[at] == "out"
        got = await scene.ask()
        assert got.status_code == 200
        other = next(number for number in range(3) if number != at and scene.fleet.counts()[number])
        before = scene.fleet.counts()
        await ask(scene, 5)
        assert sum(scene.fleet.counts()) == sum(before) + 5
        assert scene.fleet.counts()[at] == before[at]
        del other


@pytest.mark.parametrize("cookie", ["", "nonsense", "a" * 5000])
async def test_a_cookie_that_names_no_target(engine: str, cookie: str) -> None:
    async with fleet_gateway(engine, balance=Sticky(), hedge=None) as scene:
        got = await scene.ask(headers={"cookie": f"limen-target={cookie}"})
        assert (got.status_code, "set-cookie" in got.headers) == (200, True)


async def test_a_key_has_its_target_and_moves_only_when_that_is_out(engine: str) -> None:
    async with fleet_gateway(engine, balance=Hash(header("x-tenant"))) as scene:
        for tenant in range(12):
            scene.forget()
            await ask(scene, 3, headers={"x-tenant": str(tenant)})
            assert sorted(scene.fleet.counts()) == [0, 0, 3]


# --- declarations that change ---


def declare(app: Gateway, upstream: Upstream, path: str) -> None:
    """Make a change, by which all is compiled again: the upstream of this name has to be the same everywhere."""
    app.forward(path, upstream=upstream, allow=anyone)


async def replace_upstream(scene: Scene, upstream: Upstream) -> None:
    """Let the gateway be declared anew, with ``upstream``."""
    router = scene.app.router
    router.routes[:] = [route for route in router.routes if not getattr(route, "path", "").startswith("/svc/")]
    scene.app._routes_seen = -1  # pyright: ignore[reportPrivateUsage] - the same number of routes is no change to it
    declare(scene.app, upstream, "/svc/{path:path}")
    await scene.settle()
    assert scene.upstream.upstream == upstream


async def test_states_stay_when_the_list_of_targets_changes(engine: str) -> None:
    fleet = Fleet(4, "svc")
    async with fleet_gateway(engine, fleet) as scene:
        await replace_upstream(scene, Upstream("svc", fleet.urls[:3], balance=RoundRobin()))
        fleet[0].behave(resetting)
        assert await ask(scene, 9) == {200}
        scene.app.active_config().runtime.drain_target("svc", SECOND)
        before = scene.targets()
        assert (scene.states(), before[1].drained_since > 0) == ("out in in", True)
        connections = [target.connections for target in fleet]
        await replace_upstream(scene, Upstream("svc", fleet.urls, balance=RoundRobin()))
        after = scene.targets()
        assert scene.states() == "out in in in"
        assert [(one.reason, one.since, one.drained_since) for one in after[:3]] == [
            (one.reason, one.since, one.drained_since) for one in before
        ]
        scene.forget()
        assert await ask(scene, 10) == {200}
        assert scene.fleet.counts() == [0, 0, 5, 5]
        assert [target.connections for target in fleet][:3] == [0, 0, 0]
        assert connections[2] == 1


@pytest.mark.parametrize("keeps_pools", [True, False])
async def test_exchanges_under_way_end_where_they_are(engine: str, keeps_pools: bool) -> None:
    fleet = Fleet(3, "svc")
    async with fleet_gateway(engine, fleet, hedge=None) as scene:
        for number, target in enumerate(fleet, 1):
            target.behave(saying(answer(number)))
            target.freeze()
        asked = [scene.begin("POST") for _ in range(3)]
        await scene.clock.advance(0.1)
        limits = Limits() if keeps_pools else Limits(connections=5)
        await replace_upstream(scene, upstream_of(fleet, hedge=None, limits=limits, ejection=None))
        assert sum(target.in_flight for target in scene.targets()) == (3 if keeps_pools else 0)
        await replace_upstream(scene, Upstream("svc", fleet.urls[1:], balance=RoundRobin(), hedge=None, limits=limits))
        for target in fleet:
            target.thaw()
        answers = await scene.all_answered(asked)
        assert sorted(one.json() for one in answers) == [1, 2, 3]
        scene.forget()
        assert await ask(scene, 6) == {200}
        assert fleet.counts() == [0, 3, 3]


async def test_what_an_exchange_from_before_tells_is_heard_after_a_change(engine: str) -> None:
    """Else a target would be out, and get requests all the same."""
    fleet = Fleet(3, "svc")
    async with fleet_gateway(engine, fleet, hedge=None, retry=None) as scene:
        fleet[0].behave(garbage)
        fleet[0].freeze()
        asked = [scene.begin("POST") for _ in range(9)]
        await scene.clock.advance(0.1)
        await replace_upstream(scene, upstream_of(fleet, hedge=None))
        fleet[0].thaw()
        answers = await scene.all_answered(asked)
        assert sorted(one.status_code for one in answers) == [200] * 6 + [502] * 3
        assert scene.states() == "out in in"
        scene.forget()
        assert await ask(scene, 9) == {200}
        assert fleet.counts()[0] == 0


async def test_a_change_while_an_attempt_pauses_or_two_race(engine: str) -> None:
    fleet = Fleet(3, "svc")
    async with fleet_gateway(engine, fleet) as scene:
        fleet[0].freeze()
        fleet[1].freeze()
        asked = scene.begin()
        await scene.clock.advance(1.1)
        assert fleet.counts() == [1, 1, 0]
        await replace_upstream(scene, Upstream("svc", fleet.urls[2:]))
        fleet[1].thaw()
        assert (await scene.answered(asked)).status_code == 200
        fleet[0].thaw()
        assert await ask(scene, 3) == {200}
        assert fleet.counts() == [1, 1, 3]


async def test_a_stop_while_attempts_race(engine: str) -> None:
    """Nothing is left of them; see also the end of each other test."""
    tasks = asyncio.all_tasks()
    fleet = Fleet(3, "svc")
    async with fleet_gateway(engine, fleet) as scene:
        fleet[0].freeze()
        fleet[1].freeze()
        asked = scene.begin()
        await scene.clock.advance(1.1)
        assert fleet.counts() == [1, 1, 0]
        await scene.app.active_config().runtime.aclose()
        got = await scene.answered(asked)
        assert got.status_code in (502, 503)
        fleet[0].behave(refusing)
    assert asyncio.all_tasks() == tasks
