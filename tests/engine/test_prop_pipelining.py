"""Whatever is pipelined on one connection, and however it is cut: each request gets its own answer, whole, in its turn.

The service holds some answers back until the gateway has read what comes behind them; whether it has is known from an
exchange on another connection of the same loop. When all is said, nothing is left of any request.
"""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from conformance_answer import read_answer
from limen.testing import ScriptedUpstream
from pipelined import FAREWELL, GET, HELD, KEY, KINDS, LAST, TOO_LONG, Kind, Service, build
from pipelined_stage import Stage, judge, read_final
from serving import serving

MANY = settings(
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


async def talk(stage: Stage, asked: list[tuple[bytes, Kind, list[Cut]]]) -> asyncio.StreamReader:
    """Write all requests as they are cut; return everything that came until the gateway ended the connection."""
    data, steps = b"", list[tuple[int, Cut]]()
    most = 0
    for token, kind, cuts in asked:
        head, body = kind.head(token), kind.framed(token)
        steps += [(len(data) + min(cut.at, len(head + body)), cut) for cut in cuts]
        most = most or (len(data + head) + len(body) * (not kind.early) if kind.ends in ("close", "1.0") else 0)
        data += head + body
    held = [token for token, kind, _ in asked if b"/held/" in kind.path]
    transport, client = await stage.connect()
    try:
        at = 0
        for offset, cut in sorted(steps, key=lambda step: step[0]):
            # Whoever writes on after a request that is to be the last may find the connection reset.
            if most and offset > most:
                break
            transport.write(data[at:offset])
            at = offset
            if cut.settle:
                await stage.settle()
            if cut.release and held:
                stage.service.gates[held.pop(0)].set()
            for _ in range(cut.turns):
                await asyncio.sleep(0)
        transport.write(data[at:])
        await stage.settle()
        for token in held:
            stage.service.gates[token].set()
        async with asyncio.timeout(10):
            await client.ended.wait()
            await stage.drained()
    finally:
        for token, _, _ in asked:
            stage.service.gates[token].set()
        transport.abort()
    client.reader.feed_eof()
    assert not stage.upstream.errors
    return client.reader


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


async def answered(stage: Stage, chosen: list[tuple[Kind, list[Cut]]]) -> None:
    """Ask for all of ``chosen`` and a farewell, and read the answers up to the one that ends the connection."""
    asked = [(stage.token(), kind, cuts) for kind, cuts in (*chosen, (FAREWELL, list[Cut]()))]
    tokens = {token for token, _, _ in asked}
    reader = await talk(stage, asked)
    for token, kind, _ in asked:
        judge(await read_final(reader, kind), kind, token, tokens - {token})
        if kind.ends:
            break
    assert await reader.read() == b"", "more came than was asked for"


@MANY
@given(ASKED)
@example([(HELD, []), (replace(TOO_LONG, chunked=True), [Cut(400, settle=True, release=True, turns=0)])])
@example([(GET, []), (BAD_CHUNK, [])])
@example([(GET, []), (HELD, []), (BAD_CHUNK, [Cut(0, settle=True, release=False, turns=0)])])
@example([(TOO_LONG, []), (GET, [Cut(1, settle=True, release=False, turns=0)])])
@example([(replace(KEY, chunked=True), []), (BAD_CHUNK, [])])
async def test_each_request_gets_its_own_answer_in_its_turn(stage: Stage, chosen: list[tuple[Kind, list[Cut]]]) -> None:
    await answered(stage, chosen)


async def test_a_body_goes_on_just_when_its_turn_comes(stage: Stage) -> None:
    """In one turn of the loop the answer in front becomes whole and the rest of the body comes, whatever it is worth."""
    for kind in (kind for kind in (*KINDS, *LAST) if kind.chunked):
        for turns in range(6):
            where = Cut(len(kind.head(stage.token())), settle=True, release=True, turns=turns)
            await answered(stage, [(HELD, []), (kind, [where])])


async def test_a_bad_body_behind_an_answer_that_is_ready_cuts_nothing_off(stage: Stage) -> None:
    """Whether the 204 was on its way already is a matter of turns; the answer in front of it is whole in any case."""
    ready = Kind(b"OPTIONS", b"*", chunked=True, ends="bad chunk")
    for turns in range(6):
        where = Cut(len(ready.head(stage.token())), settle=True, release=True, turns=turns)
        held, late = stage.token(), stage.token()
        reader = await talk(stage, [(held, HELD, []), (late, ready, [where])])
        judge(await read_final(reader, HELD), HELD, held, {late})
        assert (await read_answer(reader, bodyless=False)).status in (204, 400)
        assert await reader.read() == b""
