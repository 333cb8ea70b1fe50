"""An answer reaches only the request that it belongs to, whatever goes wrong around it; and nothing is left behind.

``LIMEN_CROSS_TALK`` says how many answers; a million take some minutes on each engine.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cross_talk import FAULTS, Caller, Tally, service
from limen import Gateway, Limits, Timeouts, Upstream, anyone
from limen.testing import ScriptedUpstream, drained
from serving import serving, until

COUNT = int(os.environ.get("LIMEN_CROSS_TALK", "3000"))
CALLERS = 24


def sockets() -> int:
    """Return how many sockets this process has open; the event loop keeps a file or two of its own."""
    found = 0
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # that of the listing itself
            found += entry.readlink().name.startswith("socket:")
    return found


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts open files, which needs /proc")
@pytest.mark.timeout(300 + COUNT // 200)
async def test_every_answer_belongs_to_its_request(record_property: Callable[[str, object], None]) -> None:
    before, tasks = sockets(), len(asyncio.all_tasks())
    tally = Tally()
    async with ScriptedUpstream(service) as upstream:
        app = Gateway()
        patient = Timeouts(connect=30, first_byte=30, idle=30)
        behind = Upstream("svc", [upstream.url], timeouts=patient, limits=Limits(connections=16, waiting=256))
        app.forward("/svc/{path:path}", upstream=behind, allow=anyone)
        async with serving(app) as gateway:
            async with asyncio.TaskGroup() as group:
                for number in range(CALLERS):
                    group.create_task(Caller(number, gateway.port, tally, seed=COUNT).run(COUNT))
            assert not tally.wrong, tally.wrong[:3]
            await drained(app)
    record_property("answers", dict(tally.seen))
    assert tally.answers >= COUNT
    assert all(any(seen.startswith(f"{fault} ") for seen in tally.seen) for fault in FAULTS), tally.seen
    async with asyncio.timeout(20):
        await until(lambda: len(asyncio.all_tasks()) <= tasks)
        await until(lambda: sockets() <= before)
