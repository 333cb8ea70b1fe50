"""An attempt that raises what nobody foresaw, in its task or when the service is lost: the client gets 500, once."""

import asyncio
from typing import Any

import pytest

from limen import Gateway, Upstream, anyone
from limen.engines.direct.exchange import Exchange
from limen.engines.direct.timers import Timer, Timers
from limen.errors import Fault, Kind
from limen.http.headers import Head
from limen.routing.table import Match
from limen.upstream.error import UpstreamError
from limen.upstream.pool import Pool


class Mistake(Exception):
    """One of our own."""


class Peer:
    """The client of one exchange, which keeps what is written to it."""

    def __init__(self) -> None:
        """Connected."""
        self.loop = asyncio.get_running_loop()
        self.timer = Timer(Timers(self.loop))
        self.peer = b"127.0.0.1"
        self.written = b""
        self.completed_with: list[bool] = []
        self.done = asyncio.Event()

    def write(self, data: bytes) -> None:
        self.written += data

    def stalled(self) -> bool:
        return False

    def hold(self) -> None: ...

    def go_on(self) -> None: ...

    def rest_is_long(self) -> bool:
        return False

    def defaults(self) -> list[tuple[bytes, bytes]]:
        return []

    def completed(self, *, close: bool) -> None:
        self.completed_with.append(close)
        self.done.set()


@pytest.mark.parametrize("raising", ["acquire", "idle on the second attempt"])
async def test_it_is_a_500(raising: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    async def acquire(pool: Pool, *_: Any, **__: Any) -> Any:
        if raising == "acquire":
            raise Mistake
        # What was never sent is tried again: the second attempt meets the mistake.
        monkeypatch.setattr(Pool, "idle", idle)
        raise UpstreamError(Fault(Kind.UPSTREAM_REFUSED))

    def idle(pool: Pool) -> Any:
        raise Mistake

    monkeypatch.setattr(Pool, "acquire", acquire)
    app = Gateway()
    app.forward("/x", upstream=Upstream("svc", ["http://127.0.0.1:9"]), allow=anyone)
    live = app.live()
    found = live.table.match(b"GET", b"/x")
    assert isinstance(found, Match)
    peer = Peer()
    exchange = Exchange(
        peer,
        live.runtime,
        found,
        method=b"GET",
        path=b"/x",
        query=None,
        head=Head([(b"host", b"g")]),
        origin=b"",
        keep_alive=True,
        old=False,
        expects=False,
    )
    exchange.begin()
    await peer.done.wait()
    exchange.on_request_done()
    assert peer.written.startswith(b"HTTP/1.1 500 ")
    assert b'"internal_error"' in peer.written
    assert peer.completed_with == [False]
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [Mistake]
