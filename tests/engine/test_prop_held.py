"""Whatever one client sends, and however it is cut: what is kept of it stays below a bound, and all of it goes in the end.

What is kept is found by walking from the connection to everything that it can reach, so that a place that nobody has thought
of counts as well. Buffers of transports are bounded elsewhere, and do not count.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import Request
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from examples import part
from limen import Gateway, Upstream, anyone
from limen.client.limits import ClientLimits
from limen.engines.direct.input_buffer import MOST_WAITING, STEP, STRETCH
from limen.pipeline.steps import MOST_HELD
from limen.testing import Conversation, ScriptedUpstream
from memory_size import bytes_held
from serving import Served, serving, until

KiB = 1024
READ = 256 * KiB  # of the loop's, at once

LIMITS = ClientLimits(head=4 * KiB, request_line=2 * KiB, fields=40)

# A read that waits and what was left of the one before; the heads in line and the one that comes, each twice: as it came, and
# as it goes on; what waits of a body for its service, with the step that made it too much, on both sides of a join.
MOST = 2 * READ + 2 * (MOST_WAITING + 1) * (LIMITS.head + STEP) + 2 * (MOST_HELD + STRETCH) + 64 * KiB

TARGETS = st.sampled_from([b"/svc/x", b"/svc/hold", b"/local/raw", b"/nowhere", b"/svc//x"])


def _get(target: bytes, query: int, name: int, lines: int, value: int, times: int) -> bytes:
    fields = b"".join(b"x-%d-%b: %b\r\n" % (number, b"n" * name, b"v" * value) for number in range(lines))
    return b"GET %b?%b HTTP/1.1\r\nhost: g\r\n%b\r\n" % (target, b"q" * query, fields) * times


def _sized(target: bytes, size: int, announced: int) -> bytes:
    return b"POST %b HTTP/1.1\r\nhost: g\r\ncontent-length: %d\r\n\r\n" % (target, announced) + bytes(
        min(size, announced)
    )


def _chunked(target: bytes, size: int, count: int, extension: int, trailers: int) -> bytes:
    chunk = b"%x;%b\r\n%b\r\n" % (size, b"e" * extension, b"c" * size)
    last = b"0\r\n" + b"t: u\r\n" * trailers + b"\r\n"
    return b"PUT %b HTTP/1.1\r\nhost: g\r\ntransfer-encoding: chunked\r\n\r\n" % target + chunk * count + last


def _soup(size: int, piece: bytes) -> bytes:
    return piece * size


PIECES: st.SearchStrategy[bytes] = st.one_of(
    st.builds(
        _get,
        TARGETS,
        *(st.integers(0, 3000), st.integers(0, 200), st.integers(0, 50), st.integers(0, 5000)),
        st.sampled_from([1, 1, 2, 100, 1000]),
    ),
    st.builds(_sized, TARGETS, st.integers(0, 2048 * KiB), st.integers(0, 4096 * KiB)),
    st.builds(
        _chunked,
        TARGETS,
        *(st.integers(1, 64 * KiB), st.integers(0, 100), st.integers(0, 2000), st.integers(0, 3000)),
    ),
    st.builds(_soup, st.integers(1, 100 * KiB), st.sampled_from([b"a", b"\r\n", b"a: b\r\n", b"\0"])),
)
CUTS = st.lists(st.tuples(st.integers(1, 300 * KiB), st.integers(0, 6)), min_size=1, max_size=12)


class Service:
    """Answers what has no body, but for ``/svc/hold``, and reads nothing of a body, until it is let go."""

    def __init__(self) -> None:
        self.over = asyncio.Event()

    async def script(self, conversation: Conversation) -> None:
        while not self.over.is_set():
            head = await conversation.head()
            if b" /svc/hold" in head or head.startswith((b"POST ", b"PUT ")):
                await self.over.wait()
                return
            await conversation.say(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")


@asynccontextmanager
async def connected() -> AsyncGenerator[tuple[Served, asyncio.StreamWriter]]:
    """Connect to a gateway whose one client this is; in the end nothing is left of it."""
    service = Service()
    async with ScriptedUpstream(service.script) as upstream:
        app = Gateway(limits=LIMITS)
        app.forward("/svc/{path:path}", upstream=Upstream("svc", [upstream.url]), allow=anyone)

        @app.put("/local/raw")
        @app.post("/local/raw")
        async def raw(request: Request) -> int:
            total = 0
            async for chunk in request.stream():
                total += len(chunk)
            return total

        del raw
        bodies = app.active_config().runtime.body_memory
        async with serving(app) as served:
            _, writer = await asyncio.open_connection("127.0.0.1", served.port)
            await until(lambda: bool(served.connections))
            try:
                yield served, writer
            finally:
                writer.transport.abort()
                service.over.set()
            await until(lambda: not served.connections and not bodies.total)
            assert len(bodies) == 0


@settings(max_examples=part(20), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(PIECES, min_size=1, max_size=5), CUTS)
@example([_sized(b"/svc/hold", 2048 * KiB, 4096 * KiB)], [(256 * KiB, 6)])
@example([_sized(b"/local/raw", 2048 * KiB, 2048 * KiB)] * 2, [(256 * KiB, 3)])
@example([_get(b"/svc/hold", 10, 10, 30, 90, 1), _get(b"/svc/x", 1000, 10, 30, 60, 1000)], [(300 * KiB, 6)])
@example([_chunked(b"/svc/hold", 1, 100_000, 0, 0)], [(300 * KiB, 6)])
async def test_the_memory_for_input_of_a_client_is_bounded(pieces: list[bytes], cuts: list[tuple[int, int]]) -> None:
    data = b"".join(pieces)
    async with connected() as (served, writer):
        (protocol,) = served.connections
        bodies = protocol.state.bodies
        before = bytes_held([protocol])
        at = turn = 0
        while at < len(data) and served.connections:
            size, turns = cuts[turn % len(cuts)]
            turn += 1
            if turn > 60:
                size = len(data)
            writer.write(data[at : at + size])
            at += size
            for _ in range(turns):
                await asyncio.sleep(0)
            assert bytes_held([protocol]) - before <= MOST
            assert bodies.total <= MOST
        for turn in range(400):
            await asyncio.sleep(0)
            if turn < 10 or not turn % 40:
                assert bytes_held([protocol]) - before <= MOST
