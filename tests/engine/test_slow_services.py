"""Slow services, and clients that do not read: what they hold, and for how long, on each engine."""

import asyncio
import socket

from limen import Gateway, Limits, Timeouts, Upstream, anyone
from limen.testing import Conversation, ScriptedUpstream
from serving import serving

PACE = 0.01  # seconds between two bytes of a service that drips
HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n"
CHUNKED = HEAD + b"\r\n"


def gateway(upstream: ScriptedUpstream, *, connections: int = 8, seconds: float = 10) -> Gateway:
    app = Gateway()
    service = Upstream(
        "svc",
        [upstream.url],
        timeouts=Timeouts(connect=10, first_byte=seconds, idle=seconds),
        limits=Limits(connections=connections),
    )
    app.forward("/svc/{path:path}", upstream=service, allow=anyone)
    return app


async def drip(conversation: Conversation, data: bytes) -> None:
    for i in range(len(data)):
        if conversation.writer.is_closing():
            return
        await conversation.say(data[i : i + 1])
        await asyncio.sleep(PACE)


async def test_bytes_of_a_head_do_not_renew_its_timeout() -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.head()
        # Far longer than the time for a head; it ends, so that a gateway that waits for it is found out.
        await drip(conversation, HEAD + b"x: " + b"y" * 200 + b"\r\n\r\n0\r\n\r\n")

    async with ScriptedUpstream(script) as upstream, serving(gateway(upstream, seconds=0.2)) as served:
        answer = await served.get(b"/svc/x")
        assert answer.startswith(b"HTTP/1.1 504 ")
        assert b'"answer_timeout"' in answer


async def test_bytes_without_content_do_not_renew_the_timeout_for_content() -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.say(CHUNKED + b"2\r\nok\r\n")
        await drip(conversation, b"2;" + b"a" * 200 + b"\r\nok\r\n0\r\n\r\n")

    async with ScriptedUpstream(script) as upstream, serving(gateway(upstream, seconds=0.2)) as served:
        answer = await served.get(b"/svc/x")
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert not answer.endswith(b"0\r\n\r\n")  # cut: it must not look whole


async def test_a_client_that_does_not_read_holds_no_connection_for_a_small_answer() -> None:
    content = bytes(65536)

    async def script(conversation: Conversation) -> None:
        while True:
            await conversation.head()
            await conversation.say(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(content))
            await conversation.say(content)

    async with ScriptedUpstream(script) as upstream, serving(gateway(upstream, connections=1)) as served:
        silent: list[socket.socket] = []
        for _ in range(20):
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # before it connects: nobody takes its answer
            client.connect(("127.0.0.1", served.port))
            client.send(b"GET /svc/x HTTP/1.1\r\nhost: g\r\n\r\n")
            silent.append(client)
        answer = await served.get(b"/svc/x")
        assert answer.endswith(content)
        assert len(upstream.requests) == 21
        assert upstream.connections == 1
        for client in silent:
            client.close()


async def test_small_chunks_reach_the_client_together() -> None:
    count = 200_000

    async def script(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.say(CHUNKED + b"1\r\nx\r\n" * count + b"0\r\n\r\n")

    async with ScriptedUpstream(script) as upstream, serving(gateway(upstream)) as served:
        answer = await served.client.get("/svc/x")
        assert answer.content == b"x" * count
        raw = await served.get(b"/svc/x")
        # 11 bytes for a chunk of the client's, of which there are far fewer than of the service's.
        assert len(raw) < count * 1.1
