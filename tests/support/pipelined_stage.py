"""What the property tests of pipelining share: a client that reads at once, a gateway with its service, and a strict look.

How requests are written, and what happens meanwhile, is each test's own.
"""

import asyncio
import json
from typing import Any

from conformance_answer import Answer, read_answer
from limen import Gateway
from limen.testing import ScriptedUpstream, drained, snapshot
from pipelined import GET, Kind, Service
from serving import Served


class Client(asyncio.Protocol):
    """Reads whatever comes, at once: a connection that is reset later takes nothing back."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.reader = asyncio.StreamReader(limit=1 << 20)

    def data_received(self, data: bytes) -> None:
        self.reader.feed_data(data)

    def eof_received(self) -> bool:
        self.ended.set()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()


class Stage:
    """A gateway and its service, and a second client that finds out how far they are."""

    def __init__(self, app: Gateway, service: Service, upstream: ScriptedUpstream, gateway: Served) -> None:
        self.service = service
        self.upstream = upstream
        self._app = app
        self._gateway = gateway
        self._count = 0

    async def open(self) -> None:
        """Connect the second client."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._gateway.port)

    def close(self) -> None:
        """Let it go."""
        self._writer.close()

    async def connect(self) -> tuple[asyncio.Transport, Client]:
        """Connect a client that reads at once."""
        return await asyncio.get_running_loop().create_connection(Client, "127.0.0.1", self._gateway.port)

    async def settle(self) -> None:
        """Return when the gateway has read what was written before, and an exchange has had the time to happen."""
        self._writer.write(GET.head(b"settled") + GET.framed(b"settled"))
        assert (await read_answer(self._reader, bodyless=False)).status == 200

    def token(self) -> bytes:
        """Return a token that no other request has; all are of one length, so that offsets mean the same each time."""
        self._count += 1
        return b"t%07d" % self._count

    async def drained(self) -> None:
        """Return when no connection to the service is in use or waited for."""
        await drained(self._app)

    def in_use(self) -> bool:
        """Tell whether a connection to the service is in use or waited for."""
        return not snapshot(self._app).drained


async def read_final(reader: asyncio.StreamReader, kind: Kind) -> Answer:
    """Read one answer to ``kind``, and before it the 100 (Continue) that it may wait for."""
    got = await read_answer(reader, bodyless=kind.method == b"HEAD")
    if got.status == 100 and b"expect: 100-continue" in kind.lines:
        got = await read_answer(reader, bodyless=kind.method == b"HEAD")
    return got


def judge(got: Answer, kind: Kind, token: bytes, others: set[bytes]) -> None:
    """See that ``got`` is the answer of ``kind`` to ``token``, whole and of nobody else."""
    assert got.whole, got
    assert got.status == kind.status, got
    assert got.header(b"connection") == ([b"close"] if kind.ends else []), got
    assert not any(other in b"".join((*got.lines, got.body)) for other in others), f"a stranger's answer: {got}"
    if kind.whose in ("echo", "id"):
        assert got.header(b"x-request-id") == [token], got
    if got.status == 307:
        assert got.header(b"location") == [kind.target(token)[:-1]], got
    if kind.method == b"HEAD" or got.status in (204, 307):
        assert not got.body, got
        return
    found: Any = got.problem()["code"] if kind.code else json.loads(got.body)
    if kind.code:
        assert found == kind.code, got
    elif kind.whose == "local":
        assert found == [kind.method.decode(), token.decode(), "" if kind.early else kind.content(token).decode()]
    else:
        content = b"" if kind.early else kind.content(token)
        said = {"method": kind.method.decode(), "target": kind.target(token).decode(), "body": content.decode()}
        assert found == said
