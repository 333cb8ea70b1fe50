"""What a client can do by being slow, or by who it is: no target is blamed for it, and nobody else waits for it."""

import asyncio
from collections.abc import AsyncGenerator

from fleets import fleet_gateway
from limen import Gateway, Timeouts, Upstream, anyone
from limen.testing import Conversation, Script, ScriptedTarget, answer, refusing, saying, serving, statuses

OK = answer(b"ok")
PIECE = b"%0600d" % 7


async def trickle(seconds: int) -> AsyncGenerator[bytes]:
    """Send a body that is just fast enough, a piece each second."""
    for _ in range(seconds):
        yield PIECE
        await asyncio.sleep(1)


def keeping(bodies: list[bytes], seconds: float = 0.0) -> Script:
    """Return a script that keeps each body that came whole, and answers after ``seconds``."""

    async def script(conversation: Conversation) -> None:
        await conversation.head()
        bodies.append(await conversation.body())
        await asyncio.sleep(seconds)
        await conversation.say(OK)

    return script


async def test_an_upload_that_begins_at_a_second_target_may_last_as_long_as_at_the_first(engine: str) -> None:
    bodies: list[bytes] = []
    timeouts = Timeouts(connect=2, first_byte=5, idle=30)
    async with fleet_gateway(engine, 2, timeouts=timeouts) as scene:
        scene.fleet[0].behave(refusing)
        scene.fleet[1].behave(keeping(bodies, 1.0))
        asked = scene.begin("POST", content=trickle(12))
        assert (await scene.answered(asked, within=20)).status_code == 200
        assert bodies == [PIECE * 12]
        assert [target.state for target in scene.targets()] == ["in", "in"]


async def test_a_probe_whose_body_comes_slowly_keeps_nobody_from_finding_out(engine: str) -> None:
    async with fleet_gateway(engine, 3) as scene:
        scene.fleet[0].behave(statuses(503)[0])
        for _ in range(9):
            assert (await scene.ask()).status_code == 200
        assert scene.states() == "out in in"
        scene.fleet[0].behave(saying(OK))
        await scene.clock.advance(2.1)
        slow = scene.begin("PUT", content=trickle(30))
        await scene.clock.advance(1.0)
        assert scene.states() == "probing in in"
        await scene.clock.advance(2.1)
        for _ in range(6):
            assert (await scene.ask()).status_code == 200
        assert (scene.states(), slow.done()) == ("in in in", False)
        assert (await scene.answered(slow, within=40)).status_code == 200


async def test_what_a_slow_upload_takes_is_not_learned(engine: str) -> None:
    async with fleet_gateway(engine, 3) as scene:
        await scene.learn()
        for _ in range(6):
            assert (await scene.answered(scene.begin("PUT", content=trickle(6)), within=10)).status_code == 200
        scene.fleet[0].freeze()
        for _ in range(3):
            assert (await scene.answered(scene.begin("GET"), within=0.1)).status_code == 200


async def test_a_body_that_streams_is_hedged_from_its_end_on(engine: str) -> None:
    async with fleet_gateway(engine, 3) as scene:
        await scene.learn()
        bodies: list[bytes] = []
        for target in scene.fleet:
            target.behave(keeping(bodies))
        assert (await scene.answered(scene.begin("PUT", content=trickle(3)), within=5)).status_code == 200
        assert bodies == [PIECE * 3]
        assert sum(scene.fleet.counts()) == 1, "nobody asked a second target while the client took its time"


async def test_a_client_that_authenticates_its_connection_has_it_to_itself_at_the_fallback_too(engine: str) -> None:
    backup = ScriptedTarget(saying(OK))
    app = Gateway()
    app.forward(
        "/mail/{path:path}",
        upstream=Upstream("mail", ["http://mail:8000"]),
        fallback=Upstream("backup", ["http://backup:8000"]),
        allow=anyone,
    )
    services = {"mail": ScriptedTarget(refusing), "backup": backup}
    async with serving(app, services=services, engine="direct" if engine == "direct" else "asgi") as client:
        known = {"authorization": "Negotiate alice", "connection": "close"}
        assert (await client.get("/mail/x", headers=known)).status_code == 200
        assert (await client.get("/mail/x")).status_code == 200
        assert [request.connection for request in backup.received] == [1, 2]
