"""A fault leaves no reference cycle: an exception refers to frames, which refer to what it was raised for."""

import asyncio
import gc

import pytest

from engines import Engine
from limen import Gateway, Timeouts, Upstream, anyone
from limen.engines.asgi import body as asgi_body
from limen.engines.asgi.body import RequestBody, Watch
from limen.engines.direct import GatewayProtocol
from limen.engines.direct.exchange import DirectExchange
from limen.testing import Conversation, ScriptedUpstream
from limen.upstream.connection import Connection
from limen.upstream.request_sender import UpstreamAnswer
from serving import serving, until

CUT = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort"
GET = b"GET /svc/x HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n"
KINDS = UpstreamAnswer | Connection | DirectExchange | GatewayProtocol | RequestBody | Watch


async def silent(conversation: Conversation) -> None:
    """Take a request, and wait for the gateway to give up."""
    await conversation.head()
    await conversation.reader.read()


def count_live_objects() -> int:
    return sum(isinstance(one, KINDS) for one in gc.get_objects())


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n", CUT], ids=["none", "nonsense", "cut"])
async def test_a_failed_answer_leaves_no_reference_cycle(engine: Engine, answer: bytes) -> None:
    async def says(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.say(answer)

    app = Gateway()
    before = count_live_objects()
    async with ScriptedUpstream(*[says] * 10) as upstream:
        app.forward("/svc/{path:path}", upstream=Upstream("svc", [upstream.url]), allow=anyone)
        async with serving(app, engine) as gateway:
            for _ in range(5):
                await gateway.raw(GET)
            await until(lambda: count_live_objects() <= before)


@pytest.mark.usefixtures("no_collector")
async def test_a_timeout_leaves_no_reference_cycle(engine: Engine) -> None:
    app = Gateway()
    before = count_live_objects()
    async with ScriptedUpstream(silent) as upstream:
        service = Upstream("svc", [upstream.url], timeouts=Timeouts(first_byte=0.05))
        app.forward("/svc/{path:path}", upstream=service, allow=anyone)
        async with serving(app, engine) as gateway:
            got = await gateway.raw(GET)
            assert got.startswith(b"HTTP/1.1 504 ")
            await until(lambda: count_live_objects() <= before)


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("lines", [b"\r\n", b"content-length: 9\r\n\r\nhalf"], ids=["waiting", "uploading"])
@pytest.mark.parametrize("watched", [False, True], ids=["unwatched", "watched"])
async def test_a_client_that_leaves_leaves_no_reference_cycle(
    engine: Engine, lines: bytes, watched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if watched:
        # As if it left just when asgi begins to look whether it is still there: then it is noticed twice.
        monkeypatch.setattr(asgi_body, "_WATCH_AFTER", 0.0)
    app = Gateway()
    before = count_live_objects()
    async with ScriptedUpstream() as upstream:
        arrived = asyncio.Event()

        async def waits(conversation: Conversation) -> None:
            await conversation.head()
            arrived.set()
            await conversation.reader.read()

        upstream.scripts[:] = [waits]
        app.forward("/svc/{path:path}", upstream=Upstream("svc", [upstream.url]), allow=anyone)
        async with serving(app, engine) as gateway:
            _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            writer.write(b"POST /svc/x HTTP/1.1\r\nhost: g\r\n" + lines)
            await arrived.wait()
            writer.close()
            await until(lambda: count_live_objects() <= before)
