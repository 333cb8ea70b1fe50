"""Traffic in which every answer says whose it is, and much goes wrong: what must never happen is a stranger's answer.

The path of a request is its token, and says how the service will fail it; so whoever reads the answer knows what it may
be. Randomness comes from a seed: a run can be had again.
"""

import asyncio
import contextlib
import random
from collections import Counter
from dataclasses import dataclass, field

from conformance_answer import Answer, read_answer
from limen.testing import Conversation

FAULTS = ("reset", "head", "short", "chunks", "extra", "garbage", "slow", "interim", "close", "late")
"""``slow``, ``interim``, ``extra``, ``late`` and ``close`` still answer in full; the others never do."""

WHOLE = frozenset(("none", "slow", "interim", "extra", "close", "late"))
STRAY = b"HTTP/1.1 200 OK\r\nx-token: stray\r\ncontent-length: 5\r\n\r\nstray"


def content(token: bytes) -> bytes:
    """Return what the service answers to ``token``: its size varies with it."""
    return token * (1 + token[-1] % 9)


async def service(conversation: Conversation) -> None:
    """Echo the token of each request, failing as it says."""
    while True:
        head = await conversation.reader.readuntil(b"\r\n\r\n")
        token = head.split(b" ", 2)[1].removeprefix(b"/svc/")
        length = head.lower().partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0]
        if length and await conversation.reader.readexactly(int(length)) != token * 3:
            raise AssertionError(f"the content of another request came with {token!r}")
        try:
            if not await _answer(conversation, token, token.split(b"-")[0].decode()):
                return
        except RuntimeError:
            return  # uvloop's word for a transport that is closed: the gateway left


async def _answer(conversation: Conversation, token: bytes, fault: str) -> bool:
    """Answer as ``fault`` says; tell whether the connection goes on."""
    body = content(token)
    head = b"HTTP/1.1 200 OK\r\nx-token: %b\r\ncontent-length: %d\r\n\r\n" % (token, len(body))
    match fault:
        case "reset":
            conversation.reset()
        case "head":
            await conversation.say(head[: 10 + token[-1] % 30])
            conversation.reset()
        case "short":
            await conversation.say(head + body[:-1])
            return False
        case "chunks":
            chunked = b"HTTP/1.1 200 OK\r\nx-token: %b\r\ntransfer-encoding: chunked\r\n\r\n" % token
            await conversation.say(chunked + b"%x\r\n%b\r\n" % (len(body), body) + b"zz\r\n")
        case "garbage":
            await conversation.say(b"\x16\x03\x01garbage" + token)
        case "extra":
            await conversation.say(head + body + STRAY)  # one write: what comes later cannot be told from an answer
        case "slow":
            for part in (head[:7], head[7:], body[:1], body[1:]):
                await conversation.say(part)
                await asyncio.sleep(0.001)
        case "interim":
            await conversation.say(b"HTTP/1.1 103 Early Hints\r\nx-token: no\r\n\r\n" + head + body)
        case "close":
            await conversation.say(head.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n") + body)
            return False
        case "late":
            await conversation.say(head + body + b"\0")
        case _:
            conversation.writer.write(head + body)
    return fault in ("none", "slow", "interim", "extra", "late", "garbage", "chunks")


@dataclass
class Tally:
    """What happened, over all clients."""

    answers: int = 0
    seen: Counter[str] = field(default_factory=Counter[str])
    wrong: list[str] = field(default_factory=list[str])

    def take(self, token: bytes, got: Answer) -> None:
        """Judge one answer to ``token``."""
        self.answers += 1
        fault = token.split(b"-")[0].decode()
        named = got.header(b"x-token")
        whose = named == [token] and (content(token) if got.whole else content(token)[: len(got.body)]) == got.body
        if got.status == 200:
            good = whose and (fault in WHOLE if got.whole else fault in ("short", "chunks"))
        else:
            good = got.status == 502 and not named and fault not in WHOLE and token not in got.body
        if not good:
            self.wrong.append(f"{token!r} got {got}")
        self.seen[f"{fault} {got.status}{'' if got.whole else ' cut'}"] += 1


class Caller:
    """One client: bursts of pipelined requests on a connection, one in twenty of which it walks away from."""

    def __init__(self, number: int, port: int, tally: Tally, seed: int) -> None:
        self._random = random.Random(f"{seed} {number}")
        self._number = number
        self._port = port
        self._tally = tally
        self._sent = 0

    async def run(self, most: int) -> None:
        """Go on until all callers together have had ``most`` answers."""
        while self._tally.answers < most and not self._tally.wrong:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            try:
                while self._tally.answers < most and await self._burst(reader, writer):
                    pass
            except (ConnectionError, asyncio.IncompleteReadError):
                self._tally.seen["connection lost"] += 1
            finally:
                writer.transport.abort()
                with contextlib.suppress(ConnectionError):
                    await writer.wait_closed()

    async def _burst(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Send some requests and read their answers; tell whether the connection goes on."""
        requests = [self._request() for _ in range(self._random.choice((1, 1, 1, 2, 4)))]
        data = b"".join(said for _, said in requests)
        leaves = self._random.random() < 0.05
        if leaves and self._random.random() < 0.5:
            data = data[: self._random.randrange(1, len(data))]
        writer.write(data)
        if leaves:
            self._tally.seen["left"] += 1
            if self._random.random() < 0.5:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(self._random.randrange(1, 300)), 0.01)
            return False
        for token, _ in requests:
            got = await read_answer(reader, bodyless=False)
            self._tally.take(token, got)
            if not got.whole or got.header(b"connection") == [b"close"]:
                return False
        return True

    def _request(self) -> tuple[bytes, bytes]:
        self._sent += 1
        fault = self._random.choice(FAULTS) if self._random.random() < 0.1 else "none"
        token = b"%b-%d-%d-%08x" % (fault.encode(), self._number, self._sent, self._random.getrandbits(32))
        if self._random.random() < 0.3:
            body = token * 3
            return token, b"POST /svc/%b HTTP/1.1\r\nhost: g\r\ncontent-length: %d\r\n\r\n%b" % (token, len(body), body)
        return token, b"GET /svc/%b HTTP/1.1\r\nhost: g\r\n\r\n" % token
