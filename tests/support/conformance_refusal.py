"""More steps for conformance cases: what a refused client gets, and what only a look at the whole answer can tell.

They stand apart from ``conformance`` because they judge: a rule may leave the gateway a choice, and the step knows it.
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass

from conformance import OK, Answers, Case, Gets, Says, Sees, Turns, answer, get
from conformance_answer import Answer
from conformance_stage import Stage

DATE = re.compile(rb"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT")


@dataclass(frozen=True)
class Refused:
    """The client gets a problem document with one of ``statuses``, and the connection ends with it."""

    statuses: tuple[int, ...]
    head_only: bool = False

    def __init__(self, *statuses: int, head_only: bool = False) -> None:
        object.__setattr__(self, "statuses", statuses or (400,))
        object.__setattr__(self, "head_only", head_only)

    async def play(self, stage: Stage) -> None:
        client = await stage.client()
        got = await client.answer(bodyless=self.head_only)
        assert got.status in self.statuses, got
        if not self.head_only:
            assert got.problem()["code"], got
        assert got.header(b"connection") == [b"close"], got
        assert await client.ended() == b"", "nothing follows a refusal"


@dataclass(frozen=True)
class GoesOn:
    """The client's next request is served, refused or not read: what it sent before was odd. A hang would be wrong."""

    async def play(self, stage: Stage) -> None:
        client = await stage.client()
        client.open = False
        client.writer.write(get(b"/local/ping"))
        try:
            got = await client.answer()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        if got.status == 400:
            assert got.header(b"connection") == [b"close"], got
            assert await client.ended() == b""
        else:
            assert (got.status, got.body) == (200, b'"pong"'), got


@dataclass(frozen=True)
class Checks:
    """The client gets an answer with one of ``statuses`` of which ``holds`` is true."""

    statuses: tuple[int, ...]
    holds: Callable[[Answer], bool]

    async def play(self, stage: Stage) -> None:
        got = await (await stage.client()).answer()
        assert got.status in self.statuses, got
        assert got.whole, got
        assert self.holds(got), got


@dataclass(frozen=True)
class SeesHost:
    """A request reaches the service, under the service's own ``Host``, whatever the client called it."""

    start: bytes

    async def play(self, stage: Stage) -> None:
        _, head = await stage.arrival()
        first, *lines = head[:-4].split(b"\r\n")
        assert first == self.start, head
        hosts = [line for line in lines if line.startswith(b"host:")]
        assert hosts == [b"host: " + stage.upstream.url.removeprefix("http://").encode()], head


def refused(*parts: bytes, statuses: tuple[int, ...] = (400,)) -> Case:
    """Return a case of a request that must not get through, and after which the connection is closed."""
    return (Says(*parts), Refused(*statuses), Turns())


def served(*parts: bytes, start: bytes = b"", body: bytes = b"", has: tuple[bytes, ...] = ()) -> Case:
    """Return a case of a request that gets through, and of another behind it on the same connection."""
    return (
        Says(*parts),
        Sees(start, body=body, has=has),
        Answers(OK),
        Gets(200, b"ok"),
        Says(get(b"/svc/next")),
        Sees(b"GET /svc/next HTTP/1.1"),
        Answers(answer(b"next")),
        Gets(200, b"next"),
    )


def dated(answer: Answer) -> bool:
    """Tell whether an answer has one date (RFC 9110 section 6.6.1), and names no software."""
    dates = answer.header(b"date")
    return len(dates) == 1 and DATE.fullmatch(dates[0]) is not None and not answer.header(b"server")
