"""Clients that leave, and services that do, at any place of a pipeline: nothing is left, and nothing broken looks whole.

Each request that the service has seen, or that was answered, is in the access log, once; those that are there are the
first of those that were written. What the client did get is the beginning of the right answers, in their order.
"""

import asyncio
import logging
import re
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from typing import Any, Literal

import pytest
from fastapi import Request
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from limen.testing import ScriptedUpstream
from pipelined import GET, HELD, KEY, KINDS, LAST, POST, Kind, Service, build
from pipelined_stage import Stage, judge, read_final
from serving import serving, until

MANY = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
How = Literal["closes", "half-closes", "resets"]
HOWS: tuple[How, ...] = ("closes", "half-closes", "resets")

ASKS = replace(KEY, lines=(b"x-api-key: key_3_%b",))
"""Who calls is asked, and the answer to that is held back."""
MADE = Kind(b"GET", b"/made/held/%b")
BROKEN = [
    Kind(b"GET", b"/svc/before/%b", 502, "upstream_closed", whose="id"),
    Kind(b"GET", b"/svc/in-head/%b", 502, "upstream_closed", whose="id"),
    Kind(b"GET", b"/made/before/%b", 502, "upstream_closed", whose="id"),
    Kind(b"GET", b"/made/in-body/%b", 502, "upstream_closed", whose="id"),
    replace(POST, path=b"/svc/before/%b", status=502, code="upstream_closed", whose="id"),
]
"""Kinds whose service breaks off before anything of its answer has gone to the client."""
CUT = [Kind(b"GET", b"/svc/in-body/%b"), replace(POST, path=b"/svc/in-body/%b")]
"""Kinds whose service breaks off within a body that passes through: the connection to the client is cut."""
WAITS = [HELD, MADE, ASKS, *(kind for kind in KINDS if b"/held/" in kind.path)]
ANY = st.sampled_from([*KINDS, *KINDS, *WAITS, *WAITS, *WAITS, *BROKEN, *CUT, *LAST])


@dataclass(frozen=True)
class Leave:
    """Where in which request the client leaves, and how; what happens just before is as with a ``Cut`` elsewhere.

    ``settle`` lets the gateway read what was written, ``release`` gives so many of the answers that are held back, and
    then ``turns`` of the loop pass.
    """

    request: int
    at: int
    settle: bool
    release: int
    turns: int
    how: How


ASKED = st.lists(ANY, min_size=1, max_size=12)
LEAVES = st.builds(
    Leave,
    st.integers(0, 11),
    st.one_of(st.integers(0, 400), st.just(100_000)),
    st.booleans(),
    st.integers(0, 3),
    st.integers(0, 5),
    st.sampled_from(HOWS),
)


KNOWN = ("ClientDisconnect", "the application has ended before its answer was whole")
"""LocalReply to an endpoint that reads its body itself; and how uvicorn tells that an answer was cut on the ASGI engine."""


class Log(logging.Handler):
    """Counts the requests in the access log by their id, and keeps every error."""

    def __init__(self) -> None:
        super().__init__()
        self.settled = Counter[str]()
        self.errors: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == "limen.access":
            self.settled[re.findall(r" request_id=(\S+)", record.getMessage())[0]] += 1
        elif any(known in f"{record.getMessage()} {record.exc_info}" for known in KNOWN):
            pass
        elif record.levelno >= logging.ERROR:
            self.errors.append(f"{record.name}: {record.getMessage()} {record.exc_info}")


@dataclass
class Scene:
    """The stage, what is logged there, and what the connections to its gateway share."""

    stage: Stage
    log: Log
    shared: Any

    def idle(self) -> bool:
        """Tell whether only the second client is there, and waits for nothing but its next request."""
        waiting = re.search(r"<Timers (\d+) waiting>", repr(self.shared.timers))
        return (
            not self.stage.in_use()
            and not self.shared.running
            and self.shared.addresses.total() == 1
            and waiting is not None
            and int(waiting[1]) <= 1
        )


@pytest.fixture
async def scene(engine: str) -> AsyncGenerator[Scene]:
    """One for all examples on an engine."""
    assert engine
    service = Service()
    log = Log()
    access, root = logging.getLogger("limen.access"), logging.getLogger()
    level = access.level
    access.setLevel(logging.INFO)
    root.addHandler(log)
    shared: list[Any] = []
    try:
        async with ScriptedUpstream(service) as upstream:
            app = build(upstream.url)

            @app.get("/shared")
            def find(request: Request) -> None:
                shared.append(request.scope["state"]["limen.guard"])

            del find
            async with serving(app) as gateway:
                assert b" 200 " in await gateway.get(b"/shared")
                stage = Stage(app, service, upstream, gateway)
                await stage.open()
                yield Scene(stage, log, shared[0])
                stage.close()
    finally:
        root.removeHandler(log)
        access.setLevel(level)


def held(kind: Kind) -> bool:
    """Tell whether the service holds something back."""
    return b"/held/" in kind.path or kind.lines == ASKS.lines


async def leave_and_check(scene: Scene, kinds: list[Kind], leave: Leave) -> None:
    """Write the requests up to where the client leaves, and see what is left of them."""
    stage, log = scene.stage, scene.log
    log.errors.clear()
    asked = [(stage.token(), kind) for kind in kinds]
    texts = [kind.head(token) + kind.framed(token) for token, kind in asked]
    last = min(leave.request, len(asked) - 1)
    data = b"".join(texts[:last]) + texts[last][: leave.at]
    waits = [token for token, kind in asked if held(kind)]
    transport, client = await stage.connect()
    try:
        transport.write(data)
        if leave.settle:
            await stage.settle()
        for token in waits[: leave.release]:
            stage.service.gates[token].set()
        for _ in range(leave.turns):
            await asyncio.sleep(0)
        if leave.how == "closes":
            transport.close()
        elif leave.how == "half-closes":
            if not transport.is_closing():  # the gateway may have ended the connection meanwhile
                transport.write_eof()
        else:
            transport.abort()
        async with asyncio.timeout(10):
            await stage.settle()
            # Behind sixteen in line nothing is read, and so a half-close is not seen before some of them are answered.
            for token in waits:
                stage.service.gates[token].set()
            await client.ended.wait()
            await stage.drained()
            await until(scene.idle)
    finally:
        for token in waits:
            stage.service.gates[token].set()
        transport.abort()
    client.reader.feed_eof()
    whole = await received(client.reader, asked)
    await stage.settle()
    assert not stage.upstream.errors
    assert not log.errors, log.errors
    named = {token for token, kind in asked if kind.whose in ("echo", "id")}
    seen = {token for token, _ in asked if any(token in head for head in stage.upstream.requests)}
    stage.upstream.requests.clear()
    async with asyncio.timeout(10):
        await until(lambda: all(log.settled[token.decode()] for token in seen & named | whole))
        # One that runs may be recorded some turns later than one that waits behind it.
        await until(lambda: in_order(counted(log, asked)))
    assert all(count <= 1 for count in counted(log, asked)), (log.settled, asked)


async def received(reader: asyncio.StreamReader, asked: list[tuple[bytes, Kind]]) -> set[bytes]:
    """Read what the client got; return whose answers are whole."""
    tokens = {token for token, _ in asked}
    whole = set[bytes]()
    for token, kind in asked:
        try:
            got = await read_final(reader, kind)
        except asyncio.IncompleteReadError:
            break
        if not got.whole:
            break
        assert kind not in CUT, f"it looks whole: {got}"
        if got.status == 400 and kind.ends != "bad chunk":
            assert kind.status == 400, got
        judge(got, kind, token, tokens - {token})
        if kind.whose in ("echo", "id"):
            whole.add(token)
        if kind.ends:
            break
    assert await reader.read() == b"", "more came than was asked for"
    return whole


def counted(log: Log, asked: list[tuple[bytes, Kind]]) -> list[int]:
    """Return how many lines of the access log each has whose token is its id."""
    return [log.settled[token.decode()] for token, kind in asked if kind.whose in ("echo", "id")]


def in_order(counts: list[int]) -> bool:
    """Tell whether only those are in the log that were written before the others."""
    return counts == sorted(counts, reverse=True)


@MANY
@given(ASKED, LEAVES)
@example([ASKS, GET, POST], Leave(2, 400, settle=True, release=0, turns=0, how="resets"))
@example([MADE, GET], Leave(1, 400, settle=True, release=1, turns=3, how="closes"))
async def test_nothing_is_left_of_a_client_that_leaves(scene: Scene, kinds: list[Kind], leave: Leave) -> None:
    await leave_and_check(scene, kinds, leave)


@pytest.mark.parametrize("how", HOWS)
async def test_a_client_that_leaves_as_a_held_answer_becomes_whole_leaves_nothing(scene: Scene, how: How) -> None:
    for kind in (HELD, MADE, ASKS, replace(POST, path=b"/svc/held/%b")):
        for turns in range(8):
            for behind in ([GET, GET], [POST, HELD], [ASKS], list[Kind]()):
                await leave_and_check(
                    scene, [kind, *behind], Leave(9, 400, settle=True, release=1, turns=turns, how=how)
                )


@pytest.mark.parametrize("how", HOWS)
async def test_a_client_that_leaves_with_more_in_line_than_is_read_leaves_nothing(scene: Scene, how: How) -> None:
    for behind in (15, 16, 17, 40):
        for release, turns in ((0, 0), (1, 0), (1, 3), (1, 6)):
            kinds = [HELD, *[GET] * behind]
            await leave_and_check(scene, kinds, Leave(99, 400, settle=True, release=release, turns=turns, how=how))
