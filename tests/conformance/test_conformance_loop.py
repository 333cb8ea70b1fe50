"""A gateway whose service is, by mistake, itself: the circle is noticed, and not only when there is no connection left."""

from engines import Engine
from limen import Gateway, Limits, Upstream, anyone
from limen.testing import Conversation, ScriptedUpstream
from serving import Served, serving


async def test_a_looping_request_is_refused(engine: Engine) -> None:
    loops: list[Served] = []

    async def back(conversation: Conversation) -> None:
        """Stand for the gateway's own address, which is known only once it listens."""
        head = await conversation.head()
        await conversation.say(await loops[0].raw(head.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")))

    async with ScriptedUpstream(back) as upstream:
        app = Gateway()
        behind = Upstream("itself", [upstream.url], limits=Limits(connections=16, waiting=0))
        app.forward("/x", upstream=behind, allow=anyone)
        async with serving(app, engine) as gateway:
            loops.append(gateway)
            got = await gateway.client.get("/x")
            assert got.status_code in (502, 508), got
            assert got.json()["code"] not in ("pool_exhausted", "upstream_refused"), got.json()
            assert len(upstream.requests) < 16


async def test_one_gateway_behind_another_is_no_loop(engine: Engine) -> None:
    async with ScriptedUpstream() as upstream:

        async def script(conversation: Conversation) -> None:
            await conversation.request()
            await conversation.say(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

        upstream.scripts[:] = [script]
        inner, outer = Gateway(), Gateway()
        inner.forward("/x", upstream=Upstream("svc", [upstream.url]), allow=anyone)
        async with serving(inner, engine) as behind:
            outer.forward("/x", upstream=Upstream("inner", [f"http://127.0.0.1:{behind.port}"]), allow=anyone)
            async with serving(outer, engine) as gateway:
                assert (await gateway.client.get("/x")).content == b"ok"
