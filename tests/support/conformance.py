"""The steps that conformance cases are made of. A case is a tuple of them, and the tuple is the timeline.

``Says``, ``Gets``, ``Begins`` and ``Leaves`` are the client's; ``Sees``, ``Reads``, ``Answers``, ``HangsUp`` and ``Freed``
are the service's; ``Logs``, ``Waiting`` and ``Turns`` are
the gateway's. To add a case is to add one entry to a table::

    "a name": (Says(get(b"/svc/x")), Sees(b"GET /svc/x HTTP/1.1"), Answers(OK), Gets(200, b"ok")),
"""

import contextlib
from dataclasses import KW_ONLY, dataclass
from typing import Any

from conformance_answer import Answer
from conformance_stage import Stage, Step
from engines import Engine
from serving import until

Case = tuple[Step, ...]

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def request(start: bytes, *lines: bytes, body: bytes = b"", host: bytes = b"g") -> bytes:
    """Return a request; a ``body`` brings its length along."""
    length = (b"Content-Length: %d" % len(body),) if body else ()
    return b"\r\n".join((start + b" HTTP/1.1", b"Host: " + host, *lines, *length, b"", body))


def get(target: bytes, *lines: bytes) -> bytes:
    """Return a GET."""
    return request(b"GET " + target, *lines)


def answer(body: bytes, *lines: bytes, status: bytes = b"200 OK") -> bytes:
    """Return an answer with its length."""
    return b"\r\n".join((b"HTTP/1.1 " + status, *lines, b"content-length: %d" % len(body), b"", body))


def json_answer(body: bytes, *lines: bytes, status: bytes = b"200 OK", kind: bytes = b"application/json") -> bytes:
    """Return an answer with JSON of that ``kind``."""
    return answer(body, b"content-type: " + kind, *lines, status=status)


@dataclass(frozen=True)
class Says:
    """The client sends ``parts``, one after the other."""

    parts: tuple[bytes, ...]
    by: int = 0

    def __init__(self, *parts: bytes, by: int = 0) -> None:
        object.__setattr__(self, "parts", parts)
        object.__setattr__(self, "by", by)

    async def play(self, stage: Stage) -> None:
        await stage.send(self.parts, self.by)


@dataclass(frozen=True)
class Gets:
    """The client gets an answer.

    ``has`` are header lines, ``lacks`` names of some; ``code``, ``detail`` and ``members`` are those of a problem;
    ``hides`` is nowhere in the content. ``closed`` says that the connection ends
    with the answer, ``cut`` that it ends before.
    """

    status: int
    body: bytes | None = None
    _: KW_ONLY
    has: tuple[bytes, ...] = ()
    lacks: tuple[bytes, ...] = ()
    code: str = ""
    detail: str = ""
    members: dict[str, Any] | None = None
    hides: bytes = b""
    head_only: bool = False
    closed: bool = False
    cut: bool = False
    by: int = 0

    async def play(self, stage: Stage) -> None:
        client = await stage.client(self.by)
        got = await client.answer(bodyless=self.head_only)
        assert got.status == self.status, got
        assert got.whole is not self.cut, got
        assert self.body is None or got.body == self.body, got
        for line in self.has:
            assert got.lines.count(line) == 1, (line, got)
        for name in self.lacks:
            assert not got.header(name), (name, got)
        self._check_problem(got)
        if self.cut or self.closed:
            assert await client.ended() == b"", "nothing follows the last answer"

    def _check_problem(self, got: Answer) -> None:
        if self.code or self.detail or self.members:
            wanted = {"code": self.code, "detail": self.detail, **(self.members or {})}
            found = got.problem()
            assert found == found | {name: value for name, value in wanted.items() if value}, got
        assert not self.hides or self.hides not in got.body, got


@dataclass(frozen=True)
class Begins:
    """The client gets the head of an answer, which is not whole yet."""

    status: int
    by: int = 0

    async def play(self, stage: Stage) -> None:
        head = await (await stage.client(self.by)).reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 %d " % self.status), head


@dataclass(frozen=True)
class Leaves:
    """The client closes its connection; ``reset`` is without a farewell."""

    reset: bool = False
    by: int = 0

    async def play(self, stage: Stage) -> None:
        (await stage.client(self.by)).leave(reset=self.reset)


@dataclass(frozen=True)
class Sees:
    """A request reaches the service. ``body`` None leaves its content unread, for ``Reads``.

    ``has`` are whole header lines, in this order if they follow one another; ``lacks`` are beginnings of lines.
    """

    start: bytes = b""
    has: tuple[bytes, ...] = ()
    lacks: tuple[bytes, ...] = ()
    body: bytes | None = b""
    connections: int = 0

    async def play(self, stage: Stage) -> None:
        _, head = await stage.arrival()
        first, *lines = head[:-4].split(b"\r\n")
        assert first == self.start or not self.start, head
        for line in self.has:
            assert lines.count(line) == 1, (line, lines)
        for beginning in self.lacks:
            assert not any(line.lower().startswith(beginning) for line in lines), (beginning, lines)
        if self.body is not None:
            assert await stage.content(head) == self.body
        if self.connections:
            assert stage.upstream.connections == self.connections


@dataclass(frozen=True)
class Reads:
    """The service reads exactly these bytes of the request's content, with their framing."""

    data: bytes

    async def play(self, stage: Stage) -> None:
        assert await stage.conversation.reader.readexactly(len(self.data)) == self.data


@dataclass(frozen=True)
class Answers:
    """The service sends ``data``."""

    data: bytes

    async def play(self, stage: Stage) -> None:
        await stage.conversation.say(self.data)


@dataclass(frozen=True)
class HangsUp:
    """The service closes its connection; ``reset`` is without a farewell."""

    reset: bool = False

    async def play(self, stage: Stage) -> None:
        if self.reset:
            stage.conversation.reset()
        else:
            stage.conversation.writer.close()


@dataclass(frozen=True)
class Freed:
    """The gateway closes its connection to the service, which may get some more content before."""

    async def play(self, stage: Stage) -> None:
        with contextlib.suppress(ConnectionError):
            await stage.conversation.reader.read()
        await stage.drained()


@dataclass(frozen=True)
class Logs:
    """The log comes to have a line with all of ``words``."""

    words: tuple[str, ...]

    def __init__(self, *words: str) -> None:
        object.__setattr__(self, "words", words)

    async def play(self, stage: Stage) -> None:
        await until(lambda: any(all(word in line for word in self.words) for line in stage.log.lines))


@dataclass(frozen=True)
class Waiting:
    """So many requests come to wait for a connection to the service."""

    count: int

    async def play(self, stage: Stage) -> None:
        await until(lambda: stage.snapshot().waiting == self.count)


@dataclass(frozen=True)
class On:
    """``step`` on one engine only: a difference for good, with its ``why``."""

    engine: Engine
    why: str
    step: Step

    async def play(self, stage: Stage) -> None:
        if stage.engine == self.engine:
            await self.step.play(stage)


@dataclass(frozen=True)
class Turns:
    """The gateway does whatever it has at hand; what happens after this has not happened at once."""

    async def play(self, stage: Stage) -> None:
        await stage.turns()
