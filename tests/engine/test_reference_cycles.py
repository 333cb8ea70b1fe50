"""A closed connection leaves no reference cycle: the server runs the garbage collector rarely."""

import gc

import pytest
from fastapi import Depends

from limen import Gateway, Upstream, anyone
from limen.engines.asgi.guarded import Guarded
from limen.engines.direct import GatewayProtocol
from limen.engines.direct.exchange import DirectExchange
from limen.pipeline.exchange import Exchange
from limen.testing import ScriptedUpstream, saying
from limen.upstream.connection import Connection
from serving import serving, until

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
CLOSING = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"
GET = b"GET /svc/x HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n"


def count_live_objects() -> int:
    return sum(isinstance(one, GatewayProtocol | DirectExchange | Connection) for one in gc.get_objects())


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("answer", [ANSWER, CLOSING], ids=["kept", "closed"])
async def test_closed_connections_leave_no_reference_cycle(answer: bytes) -> None:
    app = Gateway()
    before = count_live_objects()
    async with ScriptedUpstream(saying(*[answer] * 20)) as upstream:
        app.forward("/svc/{path:path}", upstream=Upstream("svc", [upstream.url]), allow=anyone)
        async with serving(app) as gateway:
            for request in (GET, GET, b"bad\r\n\r\n", GET.replace(b"svc", b"nothing"), GET, GET):
                await gateway.raw(request)
            # One may be kept for the next request to the service.
            await until(lambda: count_live_objects() <= before + 1)


@pytest.mark.usefixtures("no_collector")
async def test_a_request_with_dependencies_leaves_no_reference_cycle() -> None:
    app = Gateway()

    def count() -> int:
        return sum(isinstance(one, Guarded | Exchange) for one in gc.get_objects())

    async with ScriptedUpstream(saying(*[ANSWER] * 20)) as upstream:
        service = Upstream("svc", [upstream.url])
        app.forward("/svc/{path:path}", upstream=service, allow=anyone, dependencies=[Depends(lambda: None)])
        async with serving(app) as gateway:
            for _ in range(4):
                await gateway.raw(GET)
            await until(lambda: count() == 0)
