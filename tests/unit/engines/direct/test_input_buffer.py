"""What was read of a client and is not parsed yet: where a step ends, and when the socket is read."""

import asyncio
import math
from collections import deque
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from limen.engines.direct.input_buffer import MOST_WAITING, SMALL, STEP, STRETCH, InputBuffer
from limen.fairness.body_memory import BodyMemory
from limen.fairness.scheduler import LONG_READ, READ_COST, ROUND, LoopScheduler
from turning import Loop, turns_on

HEAD = b"GET /x HTTP/1.1\r\nhost: g\r\n\r\n"


class Transport:
    """Is read, or not."""

    def __init__(self) -> None:
        self.reads = True

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        assert self.reads
        self.reads = False

    def resume_reading(self) -> None:
        assert not self.reads
        self.reads = True


class Parser:
    """Takes steps; each head that ends in one puts a request in line, as long as one before it is not answered."""

    def __init__(self) -> None:
        self.steps: list[bytes] = []
        self.line = 0
        self.busy = False
        self.left = 0
        self.large = False
        self.chunked = False
        self.deaf = False
        self.client: tuple[str, int] = ("192.0.2.1", 1)

    def parse(self, data: bytes) -> None:
        self.steps.append(data)
        self.left = max(self.left - len(data), 0)
        for _ in range(data.count(b"\r\n\r\n")):
            if self.busy:
                self.line += 1
            self.busy = True

    def parses(self) -> bool:
        return not self.deaf

    def content_left(self) -> int:
        return self.left

    def is_chunked(self) -> bool:
        return self.chunked

    def chunks_are_large(self) -> bool:
        return self.large

    def is_full(self) -> bool:
        return self.line >= MOST_WAITING

    def may_begin(self) -> bool:
        return self.line > 0 and not self.busy

    def begin_next(self) -> bool:
        if not self.may_begin():
            return False
        self.line -= 1
        self.busy = True
        return True


class Requests:
    """The queue, of which the parser here knows how long it is."""

    def __init__(self, parser: Parser, line: "deque[Any]") -> None:
        self.waiting = line
        self.is_full = parser.is_full


class Connection:
    """Shows its parser, which here knows the line as well, and is told."""

    def __init__(self, parser: Parser, line: "deque[Any]") -> None:
        self.parser = parser
        self.requests = Requests(parser, line)
        self.client = parser.client
        self.parses = parser.parses
        self.may_begin = parser.may_begin
        self.begin_next = parser.begin_next


class Made:
    """One of everything."""

    def __init__(self, most: int = 1 << 20, beside: "Made | None" = None, parser: Parser | None = None) -> None:
        """With ``beside``, another connection of the same loop."""
        self.loop = Loop() if beside is None else beside.loop
        self.parser = parser or Parser()
        self.transport = Transport()
        self.bodies = BodyMemory(most)
        # Work takes no time here: what a round is full of is what it lets others do later.
        turns = self.turns = turns_on(self.loop, lambda: 0.0) if beside is None else beside.turns
        transport: Any = self.transport
        self.line: deque[Any] = deque()
        connection: Any = Connection(self.parser, self.line)
        self.buffer = InputBuffer(connection, transport, turns, self.bodies)

    def answer(self) -> None:
        """The request that runs is answered."""
        self.parser.busy = False
        self.buffer.schedule()
        self.loop.run()


def test_what_is_kept_for_its_turn_is_counted() -> None:
    made = Made()
    made.buffer.keep(HEAD)
    assert not made.transport.reads
    assert made.bodies.total == len(HEAD)
    made.loop.turn()
    assert made.parser.steps == [HEAD]
    assert made.transport.reads
    assert made.bodies.total == 0


def test_one_small_request_does_not_wait_for_all_that_have_more() -> None:
    order: list[str] = []

    class Named(Parser):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        def parse(self, data: bytes) -> None:
            order.append(self.name)

    first = Made()
    for name, size in (("large", SMALL + 1), ("small", SMALL)):
        made = Made(beside=first, parser=Named(name))
        made.buffer.keep(b"x" * size)
    first.loop.run()
    assert order == ["small", "large"]


def test_connections_stand_in_line_with_those_of_their_network() -> None:
    order: list[int] = []

    class Numbered(Parser):
        def parse(self, data: bytes) -> None:
            order.append(self.client[1])

    first = Made()
    for number, host in enumerate(("192.0.2.1", "192.0.2.2", "192.0.2.3", "198.51.100.1")):
        parser = Numbered()
        parser.client = (host, number)
        made = Made(beside=first, parser=parser)
        made.buffer.keep(HEAD)
    first.loop.run()
    assert order == [0, 3, 1, 2]


def test_a_step_ends_with_the_first_head_in_it() -> None:
    made = Made()
    made.buffer.take(HEAD * 100)
    made.loop.run()
    assert made.parser.steps == [HEAD] * (1 + MOST_WAITING)  # one runs, and the line is full
    assert not made.transport.reads
    assert made.bodies.total == len(HEAD) * 100  # until all of it is parsed
    while made.buffer.pending():
        made.answer()
        assert made.parser.line <= MOST_WAITING
    assert made.parser.steps == [HEAD] * 100
    assert made.transport.reads is False  # the line is full still
    assert made.bodies.total == 0
    made.answer()
    assert made.transport.reads


def test_few_steps_at_once_and_the_rest_in_turns() -> None:
    made = Made()
    made.parser.left = 10 * STRETCH
    made.buffer.take(bytes(4 * STRETCH))
    assert list(map(len, made.parser.steps)) == [STRETCH] * 2
    assert not made.transport.reads
    made.loop.run()
    assert list(map(len, made.parser.steps)) == [STRETCH] * 4
    assert made.transport.reads


def test_what_is_no_head_and_has_no_length_goes_in_small_steps() -> None:
    made = Made()
    made.buffer.take(b"1\r\na\r\n" * 5000)
    made.loop.run()
    assert b"".join(made.parser.steps) == b"1\r\na\r\n" * 5000
    assert max(map(len, made.parser.steps)) == STEP
    made.parser.large = True
    made.buffer.take(b"a" * 100_000)
    made.loop.run()
    assert max(map(len, made.parser.steps)) == STRETCH


def test_after_a_long_read_the_socket_is_not_read_before_its_turn() -> None:
    made = Made()
    made.parser.left = 10 * LONG_READ
    made.buffer.take(bytes(LONG_READ - 1))
    assert made.transport.reads
    made.buffer.take(bytes(LONG_READ))
    assert list(map(len, made.parser.steps)) == [LONG_READ - 1, LONG_READ]  # parsed at once, all the same
    assert not made.transport.reads
    made.loop.run()
    assert made.transport.reads


def test_input_that_is_thrown_away_has_its_turns_as_well() -> None:
    made = Made()
    made.parser.deaf = True
    made.buffer.count_discarded(LONG_READ - 1)
    assert made.transport.reads
    made.buffer.count_discarded(LONG_READ)
    assert not made.transport.reads
    made.loop.run()
    assert made.transport.reads


def test_of_a_hundred_long_reads_few_are_made_in_one_turn_of_the_loop() -> None:
    first = Made()
    all_of_them = [first, *(Made(beside=first) for _ in range(99))]
    for made in all_of_them:
        made.parser.left = STRETCH
        made.buffer.take(bytes(STRETCH))
    turns = 0
    while not all(made.transport.reads for made in all_of_them):
        before = sum(made.transport.reads for made in all_of_them)
        first.loop.turn()
        turns += 1
        assert 0 < sum(made.transport.reads for made in all_of_them) - before <= math.ceil(ROUND / READ_COST)
    assert turns >= 100 // math.ceil(ROUND / READ_COST)


def test_where_a_turn_has_no_time_left_nothing_is_parsed_at_once() -> None:
    made = Made()
    made.turns.charge(ROUND)
    made.buffer.take(HEAD)
    assert (made.parser.steps, made.transport.reads) == ([], False)
    made.loop.run()
    assert (made.parser.steps, made.transport.reads) == ([HEAD], True)


def test_chunks_wait_for_a_turn_however_few_they_are() -> None:
    made = Made()
    made.parser.chunked = True
    made.buffer.take(b"1\r\na\r\n" * 300)
    assert made.parser.steps == []
    assert not made.transport.reads
    made.loop.run()
    assert b"".join(made.parser.steps) == b"1\r\na\r\n" * 300
    assert made.transport.reads


def test_who_does_not_want_more_stops_the_parsing_and_the_reading() -> None:
    made = Made()
    made.buffer.pause()
    assert not made.transport.reads
    made.buffer.take(HEAD)  # it was on its way already
    made.loop.run()
    assert made.parser.steps == []
    assert repr(made.buffer) == f"<InputBuffer {len(HEAD)} bytes wait, not read>"
    made.buffer.resume()
    made.loop.run()
    assert made.parser.steps == [HEAD]
    assert made.transport.reads


def test_a_rest_that_is_put_back_is_parsed_before_all_else() -> None:
    made = Made()
    made.buffer.pause()
    made.buffer.take(b"second\r\n\r\n")
    made.buffer.put_back(b"first\r\n\r\n")
    made.buffer.resume()
    made.loop.run()
    assert made.parser.steps == [b"first\r\n\r\n", b"second\r\n\r\n"]


def test_nothing_is_parsed_or_counted_after_the_end() -> None:
    made = Made()
    made.buffer.take(HEAD * 20 + b"x" * 10)
    made.buffer.close()
    made.loop.run()
    assert len(made.parser.steps) == 2
    assert (made.bodies.total, made.buffer.pending()) == (0, False)
    made.buffer.pause()  # a cycle of uvicorn's may ask late


PARTS = st.lists(st.sampled_from([HEAD, b"\r\n", b"\r\n\r\n", b"x" * 5000, b"a\r\n\r", b"\n"]), max_size=20)


@given(PARTS, st.lists(st.tuples(st.integers(1, 9000), st.booleans()), max_size=20))
def test_all_bytes_are_parsed_once_and_in_order_however_they_come(
    parts: list[bytes], reads: list[tuple[int, bool]]
) -> None:
    made = Made()
    sent = rest = b"".join(parts)
    for size, answered in [*reads, (len(sent) + 1, False)]:
        made.buffer.take(rest[:size])
        rest = rest[size:]
        assert made.parser.line <= MOST_WAITING + 1
        if answered:
            made.answer()
    while made.buffer.pending():
        made.answer()
    assert b"".join(made.parser.steps) == sent
    assert made.bodies.total == 0


DOES = st.lists(st.sampled_from(["long", "short", "head", "pause", "resume", "turn", "answer", "refuse"]), max_size=30)


@given(DOES)
def test_whatever_happened_the_socket_is_read_again_once_nothing_stands_against_it(does: list[str]) -> None:
    made = Made(1 << 30)
    for one in does:
        match one:
            case "pause":
                made.buffer.pause()
            case "resume":
                made.buffer.resume()
            case "turn":
                made.loop.turn()
            case "answer":
                made.parser.busy = False
                made.buffer.schedule()
            case "refuse":
                made.parser.deaf = True
                made.buffer.clear()
                made.buffer.schedule()
            case kind if made.transport.reads:
                data = {"long": bytes(LONG_READ), "short": b"x" * 2000}.get(kind, HEAD)
                made.parser.left = 0 if kind == "head" else len(data)
                if made.parser.deaf:
                    made.buffer.count_discarded(len(data))
                else:
                    made.buffer.take(data)
            case _:
                pass
    made.buffer.resume()
    for _ in range(2 * len(does) + 2):
        made.answer()
    assert made.transport.reads
    assert not made.buffer.pending()


async def test_the_loop_of_a_server_will_do() -> None:
    parser, bodies = Parser(), BodyMemory(1 << 20)
    transport: Any = Transport()
    connection: Any = Connection(parser, deque())
    buffer = InputBuffer(connection, transport, LoopScheduler(asyncio.get_running_loop()), bodies)
    buffer.take(HEAD * 5)
    for _ in range(10):
        await asyncio.sleep(0)
    assert parser.steps == [HEAD] * 5
