"""Whatever is pipelined on one connection, and however it is cut: each request gets its own answer, whole, in its turn.

The service holds some answers back until the gateway has read what comes behind them; whether it has is known from an
exchange on another connection of the same loop. When all is said, nothing is left of any request.
"""

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from conformance_answer import read_answer
from limen import Gateway
from limen.testing import ScriptedUpstream
from pipelined import FAREWELL, GET, HELD, KEY, KINDS, LAST, TOO_LONG, Kind, Service, build
from serving import Served, serving, until

MANY = settings(
    max_examples=500,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
BAD_CHUNK = next(kind for kind in LAST if kind.ends == "bad chunk")


@dataclass(frozen=True)
class Cut:
    """Where a request is cut, and what happens before the rest of it is written.

    ``settle`` lets the gateway read what was written; ``release`` lets the service give the next answer that it holds;
    ``turns`` of the loop pass.
    """

    at: int
    settle: bool
    release: bool
    turns: int


# Most heads are shorter than 200 bytes; what is cut near its beginning is still a piece of the read before.
PLACES = st.one_of(st.integers(0, 20), st.integers(0, 400))
CUTS = st.lists(st.builds(Cut, PLACES, st.booleans(), st.booleans(), st.integers(0, 4)), max_size=2)
# It is behind an answer that is held back that the others have to wait.
WAITS = [kind for kind in KINDS if b"/held/" in kind.path]
ANY = st.sampled_from([*KINDS, *KINDS, *KINDS, *WAITS, *WAITS, *WAITS, *LAST])
ASKED = st.lists(st.tuples(ANY, CUTS), min_size=1, max_size=12)


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
        self._app = app
        self._service = service
        self._upstream = upstream
        self._gateway = gateway
        self._count = 0

    async def open(self) -> None:
        """Connect the second client."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._gateway.port)

    def close(self) -> None:
        """Let it go."""
        self._writer.close()

    async def settle(self) -> None:
        """Return when the gateway has read what was written before, and an exchange has had the time to happen."""
        self._writer.write(GET.head(b"settled") + GET.framed(b"settled"))
        assert (await read_answer(self._reader, bodyless=False)).status == 200

    def token(self) -> bytes:
        """Return a token that no other request has; all are of one length, so that offsets mean the same each time."""
        self._count += 1
        return b"t%07d" % self._count

    async def talk(self, asked: list[tuple[bytes, Kind, list[Cut]]]) -> asyncio.StreamReader:
        """Write all requests as they are cut; return everything that came until the gateway ended the connection."""
        data, steps = b"", list[tuple[int, Cut]]()
        most = 0
        for token, kind, cuts in asked:
            head, body = kind.head(token), kind.framed(token)
            steps += [(len(data) + min(cut.at, len(head + body)), cut) for cut in cuts]
            most = most or (len(data + head) + len(body) * (not kind.early) if kind.ends in ("close", "1.0") else 0)
            data += head + body
        held = [token for token, kind, _ in asked if b"/held/" in kind.path]
        transport, client = await asyncio.get_running_loop().create_connection(Client, "127.0.0.1", self._gateway.port)
        try:
            at = 0
            for offset, cut in sorted(steps, key=lambda step: step[0]):
                # Whoever writes on after a request that is to be the last may find the connection reset.
                if most and offset > most:
                    break
                transport.write(data[at:offset])
                at = offset
                if cut.settle:
                    await self.settle()
                if cut.release and held:
                    self._service.gates[held.pop(0)].set()
                for _ in range(cut.turns):
                    await asyncio.sleep(0)
            transport.write(data[at:])
            await self.settle()
            for token in held:
                self._service.gates[token].set()
            async with asyncio.timeout(10):
                await client.ended.wait()
                await until(lambda: not self._busy())
        finally:
            for token, _, _ in asked:
                self._service.gates[token].set()
            transport.abort()
        client.reader.feed_eof()
        assert not self._upstream.errors
        return client.reader

    def _busy(self) -> int:
        """Return how many connections to the service are in use or waited for."""
        return sum(int(count) for count in re.findall(r"(\d+) (?:busy|waiting)", repr(self._app.live().runtime)))


@pytest.fixture
async def stage(engine: str) -> AsyncGenerator[Stage]:
    """One for all examples on an engine."""
    assert engine
    service = Service()
    async with ScriptedUpstream(service) as upstream:
        app = build(upstream.url)
        async with serving(app) as gateway:
            made = Stage(app, service, upstream, gateway)
            await made.open()
            yield made
            made.close()


async def check(reader: asyncio.StreamReader, kind: Kind, token: bytes, others: set[bytes]) -> None:
    """Read one answer, which must be that of ``kind`` to ``token``."""
    got = await read_answer(reader, bodyless=kind.method == b"HEAD")
    if got.status == 100 and b"expect: 100-continue" in kind.lines:
        got = await read_answer(reader, bodyless=False)
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


async def answered(stage: Stage, chosen: list[tuple[Kind, list[Cut]]]) -> None:
    """Ask for all of ``chosen`` and a farewell, and read the answers up to the one that ends the connection."""
    asked = [(stage.token(), kind, cuts) for kind, cuts in (*chosen, (FAREWELL, list[Cut]()))]
    tokens = {token for token, _, _ in asked}
    reader = await stage.talk(asked)
    for token, kind, _ in asked:
        await check(reader, kind, token, tokens - {token})
        if kind.ends:
            break
    assert await reader.read() == b"", "more came than was asked for"


@pytest.mark.timeout(120)
@MANY
@given(ASKED)
@example([(HELD, []), (replace(TOO_LONG, chunked=True), [Cut(400, settle=True, release=True, turns=0)])])
@example([(GET, []), (BAD_CHUNK, [])])
@example([(GET, []), (HELD, []), (BAD_CHUNK, [Cut(0, settle=True, release=False, turns=0)])])
@example([(TOO_LONG, []), (GET, [Cut(1, settle=True, release=False, turns=0)])])
@example([(replace(KEY, chunked=True), []), (BAD_CHUNK, [])])
async def test_each_request_gets_its_own_answer_in_its_turn(stage: Stage, chosen: list[tuple[Kind, list[Cut]]]) -> None:
    await answered(stage, chosen)


@pytest.mark.timeout(120)
async def test_a_body_goes_on_just_when_its_turn_comes(stage: Stage) -> None:
    """In one turn of the loop the answer in front becomes whole and the rest of the body comes, whatever it is worth."""
    for kind in (kind for kind in (*KINDS, *LAST) if kind.chunked):
        for turns in range(6):
            where = Cut(len(kind.head(stage.token())), settle=True, release=True, turns=turns)
            await answered(stage, [(HELD, []), (kind, [where])])


@pytest.mark.timeout(120)
async def test_a_bad_body_behind_an_answer_that_is_ready_cuts_nothing_off(stage: Stage) -> None:
    """Whether the 204 was on its way already is a matter of turns; the answer in front of it is whole in any case."""
    ready = Kind(b"OPTIONS", b"*", chunked=True, ends="bad chunk")
    for turns in range(6):
        where = Cut(len(ready.head(stage.token())), settle=True, release=True, turns=turns)
        held, late = stage.token(), stage.token()
        reader = await stage.talk([(held, HELD, []), (late, ready, [where])])
        await check(reader, HELD, held, {late})
        assert (await read_answer(reader, bodyless=False)).status in (204, 400)
        assert await reader.read() == b""
