"""An attempt that raises what nobody foresaw, in its task or when the service is lost: the client gets 500, once."""

import asyncio
from typing import Any

import pytest

from limen import Gateway, Upstream, anyone
from limen.engines.direct.downstream import Downstream
from limen.engines.direct.exchange import DirectExchange
from limen.engines.direct.timers import Timer, Timers
from limen.errors import Fault, Kind
from limen.exchange.outcome import Outcome
from limen.exchange.request import Request
from limen.http.headers import Head
from limen.pipeline.exchange import Exchange
from limen.routing.table import Match
from limen.upstream.error import UpstreamError
from limen.upstream.pool import Pool


class Mistake(Exception):
    """One of our own."""


class Peer(Downstream):
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
    active = app.active_config()
    found = active.table.match(b"GET", b"/x")
    assert isinstance(found, Match)
    peer = Peer()
    head = Head([(b"host", b"g")])
    request = Request(
        *(b"GET", b"/x", None, head),
        request_id="1",
        peer=peer.peer,
        client=peer.peer,
        scheme=b"http",
        host=b"g",
        origin=b"",
    )
    core = Exchange(active, found, request, Outcome(b"GET", b"/x", "1", peer.peer))
    exchange = DirectExchange(peer, core, active.runtime.body_memory, keep_alive=True, chunks=True, expects=False)
    exchange.begin()
    await peer.done.wait()
    exchange.body_ended()
    assert peer.written.startswith(b"HTTP/1.1 500 ")
    assert b'"internal_error"' in peer.written
    assert peer.completed_with == [False]
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [Mistake]
