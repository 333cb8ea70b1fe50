"""The clients of ``bench.soak``, well-behaved and not, and the responses that each must get. ``WrongResponse`` is a bug."""

import asyncio
import random
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bench.soak_service import FAULTS, content

_TIMEOUT = 15.0
_KiB = 1024
_TROUBLE_SHARE = 0.1
"""The share of requests whose service fails, and of those that the client aborts; issue 4 asks for 10 % in all, at least."""


class WrongResponse(Exception):
    """A response that no gateway may give."""


@dataclass(frozen=True)
class Response:
    """One response as it was received; ``whole`` is False when it broke off."""

    status: int
    head: bytes
    body: bytes
    whole: bool

    def field(self, name: bytes) -> bytes:
        """Return the value of ``name``."""
        return self.head.partition(b"\r\n" + name + b": ")[2].partition(b"\r\n")[0]


class Connection:
    """A client's connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *parts: bytes, pause: float = 0.0) -> None:
        """Write ``parts``, with ``pause`` seconds after each."""
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()
            if pause:
                await asyncio.sleep(pause)

    async def read_response(self, *, slowly: bool = False) -> Response:
        """Read one response, or the part of it that arrives."""
        reader, body = self.reader, b""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            return Response(0, b"", error.partial, whole=False)
        status = int(head[9:12])
        lower = head.lower()
        try:
            if b"\r\ntransfer-encoding: chunked" in lower:
                while size := int(await reader.readline() or b"-", 16):
                    body += (await reader.readexactly(size + 2))[:-2]
                await reader.readexactly(2)
            else:
                bytes_left = int(lower.partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0])
                while bytes_left:
                    piece = await reader.read(min(bytes_left, 65536))
                    if not piece:
                        return Response(status, head, body, whole=False)
                    bytes_left -= len(piece)
                    body += piece
                    if slowly:
                        await asyncio.sleep(0.002)
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            return Response(status, head, body, whole=False)
        return Response(status, head, body, whole=True)

    def abort(self) -> None:
        """Drop the connection."""
        self.writer.transport.abort()


def request(method: bytes, path: bytes, *lines: bytes, body: bytes = b"") -> bytes:
    """Return a request."""
    return b"\r\n".join([method + b" " + path + b" HTTP/1.1", b"Host: soak", *lines, b"", b""]) + body


MALFORMED = (
    b"GET /echo/x HTTP/1.1\r\nHost : soak\r\n\r\n",
    b"GET /echo/x HTTP/1.1\r\nHost: soak\r\nX: a\r\n b\r\n\r\n",
    b"GET /echo/x HTTP/1.1\r\nHost: soak\r\nX: a\0b\r\n\r\n",
    b"POST /up/x HTTP/1.1\r\nHost: soak\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /up/x HTTP/1.1\r\nHost: soak\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    b"POST /up/x HTTP/1.1\r\nHost: soak\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET /echo/x HTTP/9.9\r\nHost: soak\r\n\r\n",
)


class Clients:
    """Concurrent clients, each of which does one action after another; ``done`` counts them by name."""

    def __init__(self, port: int, *, seed: int) -> None:
        self.port = port
        self.done: Counter[str] = Counter()
        self.failures: list[str] = []
        self._random = random.Random(seed)
        self._mark = 0
        self._actions: dict[str, tuple[float, Callable[[Connection], Awaitable[bool]]]] = {
            "get": (30, self._get),
            "pipelined": (8, self._pipelined),
            "post": (12, self._post),
            "upload": (6, self._upload),
            "download": (8, self._download),
            "slow": (6, self._slow),
            "held": (8, self._held),
            "refused": (6, self._refused),
            "malformed": (4, self._malformed),
            "closing service": (3, self._closing_service),
            "extra bytes": (3, self._extra),
        }
        trouble = sum(weight for weight, _ in self._actions.values()) * _TROUBLE_SHARE
        self._actions["fault"] = (trouble, self._fault)
        self._actions["abort"] = (trouble, self._abort)

    async def run(self, count: int, seconds: float) -> None:
        """Run ``count`` clients for ``seconds``; at the end all of them have disconnected."""
        until = asyncio.get_running_loop().time() + seconds
        await asyncio.gather(*(self._client(until) for _ in range(count)))

    async def _client(self, until: float) -> None:
        connection: Connection | None = None
        names = list(self._actions)
        weights = [weight for weight, _ in self._actions.values()]
        while asyncio.get_running_loop().time() < until and not self.failures:
            name = self._random.choices(names, weights)[0]
            try:
                async with asyncio.timeout(_TIMEOUT):
                    connection = connection or Connection(*await asyncio.open_connection("127.0.0.1", self.port))
                    reusable = await self._actions[name][1](connection)
            except (WrongResponse, OSError, asyncio.IncompleteReadError, TimeoutError) as error:
                self.failures.append(f"{name}: {type(error).__name__}: {error or 'no answer in time'}")
                reusable = False
            self.done[name] += 1
            if not reusable and connection is not None:
                connection.abort()
                connection = None
        if connection is not None:
            connection.abort()

    def _new_mark(self) -> bytes:
        self._mark += 1
        return b"m%d" % self._mark

    async def _expect(self, connection: Connection, mark: bytes, body: bytes, *, slowly: bool = False) -> None:
        response = await connection.read_response(slowly=slowly)
        received_mark = response.field(b"x-mark")
        if (response.status, received_mark, response.body, response.whole) != (200, mark, body, True):
            received = f"{response.status} {received_mark!r} {response.body[:80]!r} {response.whole}"
            raise WrongResponse(f"the answer to {mark!r} is {received}")

    async def _get(self, connection: Connection) -> bool:
        mark = self._new_mark()
        await connection.send(request(b"GET", b"/echo/" + mark))
        await self._expect(connection, mark, mark + b" 0 0")
        return True

    async def _pipelined(self, connection: Connection) -> bool:
        marks = [self._new_mark() for _ in range(4)]
        await connection.send(b"".join(request(b"GET", b"/echo/" + mark) for mark in marks))
        for mark in marks:
            await self._expect(connection, mark, mark + b" 0 0")
        return True

    async def _post(self, connection: Connection) -> bool:
        mark = self._new_mark()
        body = content(mark, self._random.randrange(1, 3000))
        await connection.send(request(b"POST", b"/up/" + mark, b"Content-Length: %d" % len(body), body=body))
        await self._expect(connection, mark, b"%b %d %d" % (mark, len(body), zlib.crc32(body)))
        return True

    async def _upload(self, connection: Connection) -> bool:
        mark = self._new_mark()
        body = content(mark, self._random.randrange(64 * _KiB, 300 * _KiB))
        await connection.send(request(b"POST", b"/up/" + mark, b"Transfer-Encoding: chunked"))
        for start in range(0, len(body), 20_000):
            piece = body[start : start + 20_000]
            await connection.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        await connection.send(b"0\r\n\r\n")
        await self._expect(connection, mark, b"%b %d %d" % (mark, len(body), zlib.crc32(body)))
        return True

    async def _download(self, connection: Connection) -> bool:
        mark, size = self._new_mark(), self._random.randrange(32 * _KiB, 400 * _KiB)
        await connection.send(request(b"GET", b"/down/%b/%d" % (mark, size)))
        await self._expect(connection, mark, content(mark, size), slowly=self._random.random() < 0.3)
        return True

    async def _slow(self, connection: Connection) -> bool:
        mark = self._new_mark()
        whole = request(b"GET", b"/slow/" + mark)
        await connection.send(whole[:9], whole[9:30], whole[30:], pause=0.01)
        await self._expect(connection, mark, mark)
        return True

    async def _held(self, connection: Connection) -> bool:
        mark = self._new_mark()
        valid = self._random.random() < 0.7
        body = b'{"a":1}' if valid else b'{"a":"x"}'
        lines = (b"Content-Type: application/json", b"Content-Length: %d" % len(body))
        await connection.send(request(b"POST", b"/held/" + mark, *lines, body=body))
        if valid:
            await self._expect(connection, mark, b"%b %d %d" % (mark, len(body), zlib.crc32(body)))
        elif (response := await connection.read_response()).status != 422:
            raise WrongResponse(f"a body that does not fit was answered {response}")
        return True

    async def _refused(self, connection: Connection) -> bool:
        """A refusal before the body was read; the body, which looks like a request, must not become one (H, CL.0)."""
        body = request(b"GET", b"/echo/smuggled")
        await connection.send(request(b"POST", b"/guarded/up/x", b"Content-Length: %d" % len(body), body=body))
        response = await connection.read_response()
        if response.status != 401:
            raise WrongResponse(f"a caller without a token was answered {response}")
        if b"\r\nconnection: close" in response.head.lower():
            return False
        return await self._get(connection)

    async def _malformed(self, connection: Connection) -> bool:
        await connection.send(self._random.choice(MALFORMED))
        response = await connection.read_response()
        if not 400 <= response.status < 600 and response.status:
            raise WrongResponse(f"a malformed request was answered {response}")
        rest = await connection.reader.read()
        if b"x-mark" in response.head + rest:
            raise WrongResponse(f"a malformed request reached the service: {response} {rest[:100]!r}")
        return False

    async def _closing_service(self, connection: Connection) -> bool:
        mark = self._new_mark()
        await connection.send(request(b"GET", b"/last/" + mark))
        await self._expect(connection, mark, mark)
        return True

    async def _extra(self, connection: Connection) -> bool:
        mark = self._new_mark()
        await connection.send(request(b"GET", b"/extra/" + mark))
        await self._expect(connection, mark, mark)
        return await self._get(connection)

    async def _fault(self, connection: Connection) -> bool:
        kind = self._random.choice(list(FAULTS))
        await connection.send(request(b"GET", b"/fault-%b/%b" % (kind, self._new_mark())))
        response = await connection.read_response()
        if response.status == 502 and response.whole:
            return True
        if response.whole or response.status not in (0, 200):
            raise WrongResponse(f"the fault {kind!r} was answered {response}")
        return False

    async def _abort(self, connection: Connection) -> bool:
        mark, kind = self._new_mark(), self._random.randrange(4)
        if kind == 0:
            await connection.send(request(b"GET", b"/wait/" + mark)[:-5])
        elif kind == 1:
            await connection.send(request(b"POST", b"/up/" + mark, b"Content-Length: 100000", body=b"x" * 5000))
        elif kind == 2:
            await connection.send(request(b"GET", b"/wait/" + mark), pause=0.01)
        else:
            await connection.send(request(b"GET", b"/down/%b/3000000" % mark))
            await connection.reader.readexactly(1000)
        return False
