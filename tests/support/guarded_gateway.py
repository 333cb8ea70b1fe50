"""A small gateway with the test's own limits, a service that answers as its path says, and raw clients."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator

from fastapi import Request

from limen import Gateway, Upstream, anyone
from limen.client.limits import ClientLimits
from limen.engines.direct.worker_state import WorkerState
from limen.testing import Conversation, ScriptedUpstream
from serving import Served, serving

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
PING = b"GET /svc/ping HTTP/1.1\r\nhost: g\r\n\r\n"
HOLD = b"GET /svc/hold HTTP/1.1\r\nhost: g\r\n\r\n"
LAST = b"GET /svc/ping HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n"

# Both are refused, timed and limited alike: a route that a service answers, and one that the application does.
PATHS = (b"/svc/x", b"/local/raw")


class GuardedGateway:
    """A running gateway, the heads that reach its service, and the event that releases held answers."""

    def __init__(self, app: Gateway, served: Served, upstream: ScriptedUpstream) -> None:
        self.app = app
        self.served = served
        self.upstream = upstream
        self.arrived: asyncio.Queue[bytes] = asyncio.Queue()
        self.release = asyncio.Event()
        self.worker_states: set[WorkerState] = set()

    async def open(self, *, buffer: int = 0) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect; ``buffer`` bytes are all that the system then holds for this client."""
        sock = socket.socket()
        sock.setblocking(False)
        if buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.served.port))
        return await asyncio.open_connection(sock=sock, limit=buffer or 65536)

    async def serves(self) -> None:
        """Assert that another client is served."""
        got = await self.served.raw(LAST)
        assert got.startswith(b"HTTP/1.1 200 "), got
        assert got.endswith(b"ok"), got

    async def worker_state(self) -> WorkerState:
        """Return the state that the connections of this worker share."""
        await self.served.get(b"/local/shared")
        (found,) = self.worker_states
        return found

    async def script(self, conversation: Conversation) -> None:
        """``/svc/hold`` waits for ``release``, ``/svc/large`` does not fit into any buffer; all others answer ``ok``."""
        while True:
            head = await conversation.head()
            self.arrived.put_nowait(head)
            if b" /svc/hold" in head:
                await self.release.wait()
            if b" /svc/large" in head:
                await conversation.say(b"HTTP/1.1 200 OK\r\ncontent-length: 33554432\r\n\r\n" + bytes(33554432))
            elif b"POST " not in head:
                await conversation.say(OK)


@contextlib.asynccontextmanager
async def guarded_gateway(limits: ClientLimits | None = None) -> AsyncGenerator[GuardedGateway]:
    """Serve until the block ends."""
    async with ScriptedUpstream() as upstream:
        app = Gateway(limits=limits)
        app.forward("/svc/{path:path}", upstream=Upstream("svc", [upstream.url]), allow=anyone)

        @app.put("/local/raw")
        @app.post("/local/raw")
        async def raw(request: Request) -> int:
            return len(await request.body())

        @app.get("/local/shared")
        def worker_state(request: Request) -> None:
            gateway.worker_states.add(request.scope["state"]["limen.guard"])

        del raw, worker_state
        async with serving(app) as served:
            gateway = GuardedGateway(app, served, upstream)
            upstream.scripts[:] = [gateway.script]
            yield gateway
            gateway.release.set()


def refused(got: bytes, status: int, code: str) -> bool:
    """Tell whether ``got`` is one problem, and the end of its connection."""
    return (
        got.startswith(b"HTTP/1.1 %d " % status)
        and got.count(b"HTTP/1.1 ") == 1
        and b"\r\nconnection: close\r\n" in got
        and b'"code":"%b"' % code.encode() in got
    )
