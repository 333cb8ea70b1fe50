"""Requests are shared among the targets of an upstream, and one target is as it was before there were several."""

from fleets import fleet_gateway
from limen.upstream.balance import LeastRequests


async def test_three_targets_get_as_much_each(engine: str) -> None:
    async with fleet_gateway(engine) as scene:
        for _ in range(30):
            assert (await scene.ask()).status_code == 200
        assert scene.fleet.counts() == [10, 10, 10]
        assert [target.connections for target in scene.fleet] == [1, 1, 1]


async def test_by_default_no_target_is_left_out(engine: str) -> None:
    async with fleet_gateway(engine, balance=LeastRequests()) as scene:
        for _ in range(20):
            asked = [scene.begin() for _ in range(6)]
            assert {one.status_code for one in await scene.all_answered(asked)} == {200}
        assert sum(scene.fleet.counts()) == 120
        assert min(scene.fleet.counts()) >= 20
