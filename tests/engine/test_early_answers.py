"""A service refuses an upload after its head, and hangs up: each client gets that answer (RFC 9112, 9.5 and 9.6)."""

import asyncio

import pytest

from limen import Gateway, Upstream, anyone
from limen.testing import Conversation, ScriptedUpstream
from serving import serving

ANSWER = b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 15\r\nconnection: close\r\n\r\n" + b'{"max":"128 MB"}'[:15]
SIZE = 2_000_000
CHUNK = b"%x\r\n%b\r\n" % (50_000, b"x" * 50_000)


async def hasty(conversation: Conversation) -> None:
    """Answer to the head, and close while the content comes."""
    await conversation.head()
    await conversation.say(ANSWER)


@pytest.mark.parametrize("chunked", [False, True])
async def test_every_client_gets_an_early_answer(chunked: bool) -> None:
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % SIZE
    content = CHUNK * 40 + b"0\r\n\r\n" if chunked else b"x" * SIZE
    async with ScriptedUpstream(hasty) as upstream:
        app = Gateway()
        app.forward("/{path:path}", upstream=Upstream("svc", [upstream.url]), allow=anyone)
        async with serving(app) as served:
            for _ in range(20):
                reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
                writer.write(b"PUT /up HTTP/1.1\r\nHost: g\r\n%b\r\n\r\n" % framing + content)
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 413 "), head
                assert await reader.readexactly(15) == ANSWER[-15:]
                writer.transport.abort()
        assert upstream.connections == 20
