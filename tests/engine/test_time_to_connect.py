"""``Timeouts(connect=)`` is the time of a request to get a connection, in all: a second attempt has what is left of it."""

import asyncio

import pytest

from limen import Gateway, Timeouts, Upstream, anyone
from limen.upstream.names import Addresses, Names
from serving import serving

CONNECT = 1.0


async def test_attempts_share_the_time_to_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    deadlines: list[float] = []

    async def addresses(names: Names, host: str, deadline: float) -> Addresses:
        deadlines.append(deadline)
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(Names, "addresses", addresses)
    app = Gateway()
    service = Upstream("svc", ["http://svc.internal"], timeouts=Timeouts(connect=CONNECT))
    app.forward("/svc/{path:path}", upstream=service, allow=anyone)
    async with serving(app) as served:
        answer = await served.get(b"/svc/x")
    assert answer.startswith(b"HTTP/1.1 504 ")
    assert b'"connect_timeout"' in answer
    first, second = deadlines
    # Had the second attempt a time of its own, it would begin when the first one's has passed.
    assert second < first + CONNECT
