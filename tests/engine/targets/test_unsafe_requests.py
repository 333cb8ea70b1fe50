"""What may not be repeated is not: only a key on a route that says that its service honours it changes that."""

import pytest

from fleets import fleet_gateway
from limen.testing import answer, resetting, saying, statuses

KEY = {"idempotency-key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize("fault", ["resets", "503"])
async def test_with_a_key_where_the_service_honours_it(engine: str, method: str, fault: str) -> None:
    async with fleet_gateway(engine, keyed=True) as scene:
        scene.fleet[0].behave(resetting if fault == "resets" else statuses(503)[0])
        for number in range(9):
            assert (await scene.ask(method, content=b"%d" % number, headers=KEY)).status_code == 200
        assert scene.fleet[0].count() == 3
        again = {bytes(one.body) for one in scene.fleet[0].received}
        assert again == {bytes(one.body) for target in list(scene.fleet)[1:] for one in target.received} & again
        assert all(one.value(b"idempotency-key") for target in scene.fleet for one in target.received)


async def test_with_a_key_a_late_target_is_not_waited_for(engine: str) -> None:
    async with fleet_gateway(engine, keyed=True) as scene:
        scene.fleet[0].freeze()
        asked = scene.begin("POST", content=b"once", headers=KEY)
        assert (await scene.answered(asked, within=1.2)).status_code == 200
        scene.fleet[0].thaw()


@pytest.mark.parametrize(
    "headers",
    [[], [("idempotency-key", "")], [("idempotency-key", "a"), ("idempotency-key", "b")], [("x-idempotency-key", "a")]],
)
async def test_without_one_key(engine: str, headers: list[tuple[str, str]]) -> None:
    async with fleet_gateway(engine, keyed=True) as scene:
        scene.fleet[0].behave(resetting)
        assert (await scene.ask("POST", content=b"once", headers=headers)).status_code == 502
        assert scene.fleet.counts() == [1, 0, 0]


async def test_with_a_key_where_the_route_says_nothing(engine: str) -> None:
    async with fleet_gateway(engine) as scene:
        scene.fleet[0].behave(resetting)
        assert (await scene.ask("POST", content=b"once", headers=KEY)).status_code == 502
        assert scene.fleet.counts() == [1, 0, 0]


async def test_a_method_that_nobody_knows_is_not_repeated(engine: str) -> None:
    async with fleet_gateway(engine) as scene:
        scene.fleet[0].behave(resetting)
        assert (await scene.ask("PATCH", content=b"once")).status_code == 502
        assert scene.fleet.counts() == [1, 0, 0]


async def test_a_post_on_a_connection_that_was_closed_meanwhile(engine: str) -> None:
    """The service may have read it: nobody knows."""
    async with fleet_gateway(engine) as scene:
        for target in scene.fleet:
            target.behave(saying(answer()), resetting, saying(answer()))
        for _ in range(3):
            assert (await scene.ask()).status_code == 200
        assert (await scene.ask("POST", content=b"once")).status_code == 502
        assert sum(scene.fleet.counts()) == 4
