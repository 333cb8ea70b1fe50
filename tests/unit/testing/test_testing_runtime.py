"""The state of a gateway that runs in the event loop of a test."""

import asyncio

from limen import Gateway, Upstream, anyone
from limen.runtime.snapshot import Snapshot
from limen.testing import drained, snapshot
from limen.upstream.snapshot import UpstreamSnapshot

BUSY = UpstreamSnapshot("one", 1, 2, 0)
LINE = UpstreamSnapshot("two", 3, 0, 4)


async def test_a_gateway_shows_each_of_its_services_and_is_drained() -> None:
    app = Gateway()
    app.forward("/one/{path:path}", upstream=Upstream("one", ["http://127.0.0.1:1"]), allow=anyone)
    app.forward("/two/{path:path}", upstream=Upstream("two", ["http://127.0.0.1:2"]), allow=anyone)
    assert [upstream.name for upstream in snapshot(app).upstreams] == ["one", "two"]
    async with asyncio.timeout(10):
        await drained(app)


def test_a_snapshot_sums_up() -> None:
    both = Snapshot((BUSY, LINE))
    assert (both.idle, both.busy, both.waiting, both.drained) == (4, 2, 4, False)
    assert not Snapshot((LINE,)).drained
    assert not Snapshot((BUSY,)).drained
    assert Snapshot((UpstreamSnapshot("one", 9, 0, 0),)).drained
