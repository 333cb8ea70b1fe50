"""How an answer is cut into reads changes nothing: neither for the client, nor in the log, nor for what is used again.

Each answer is played whole, and then cut at every byte, on both engines; all of it must come to the same.
"""

import asyncio
import logging
import re
import runpy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from answers import BAD, GOOD, SHORT
from conformance import Answers, Case, Says
from conformance_answer import Answer, read_answer
from engines import ENGINES
from in_memory_gateway import InMemoryGateway
from limen.testing import flush_log

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
INTERIM = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

# The tables of other modules here, which pytest does not put where they could be imported from.
SERVICE, ANSWERS = (
    runpy.run_path(str(Path(__file__).with_name(f"test_conformance_{name}.py"))) for name in ("service", "answers")
)
BAD_CHUNKS: dict[str, bytes] = SERVICE["BAD_CHUNKS"]
CASES: dict[str, Case] = SERVICE["CASES"] | ANSWERS["CASES"]

# Cuts of one answer; a longer one is cut at both its ends.
MOST = 44

BEHIND_AN_INTERIM = {
    "no answer": b"nonsense\r\n\r\n",
    "an empty line": b"\r\n" + OK,
    "two lengths": BAD["two lengths"],
    "a bad chunk": CHUNKED + b"zz\r\n",
    "more than announced": OK + b"x",
    "another answer": OK + OK,
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "half": OK[:-1],
    "101": BAD["bare 101"],
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\nuntil the end",
}
FIRST_CHUNKS = {
    **{f"a first chunk, {name}": CHUNKED + bad for name, bad in BAD_CHUNKS.items()},
    **{f"a second chunk, {name}": CHUNKED + b"2\r\nok\r\n" + bad for name, bad in BAD_CHUNKS.items()},
    "no chunk at all": CHUNKED,
    "half a first chunk": CHUNKED + b"5\r\nhal",
    "more than announced": OK + b"x",
    "an answer behind it": OK + OK,
    "an answer behind chunks": CHUNKED + b"2\r\nok\r\n0\r\n\r\n" + OK,
}


def scripted_answer(case: Case) -> tuple[bytes, bytes] | None:
    """Return the method of the first request of ``case``, and the bytes that answer it; None where it goes on otherwise."""
    method, answer = b"", b""
    for step in case:
        if isinstance(step, Says):
            if method:
                break
            method = b"".join(step.parts).split(b" ")[0]
        elif isinstance(step, Answers):
            answer += step.data
    return (method, answer) if method in (b"GET", b"HEAD") and answer else None


def corpus() -> dict[tuple[bytes, bytes], str]:
    """Return every answer once, by method and bytes, with a name."""
    found: dict[tuple[bytes, bytes], str] = {}
    for name, good in GOOD.items():
        found.setdefault((good.method, good.answer), name)
    for name, answer in (BAD | SHORT | FIRST_CHUNKS).items():
        found.setdefault((b"GET", answer), name)
    for name, answer in BEHIND_AN_INTERIM.items():
        found.setdefault((b"GET", INTERIM + answer), f"behind an interim answer, {name}")
    for name, case in CASES.items():
        if (one := scripted_answer(case)) is not None:
            found.setdefault(one, name)
    return found


CORPUS = {name: one for one, name in corpus().items() if one[1]}


@dataclass(frozen=True)
class Observation:
    """What two requests came to, one after the other, to a service that answers both the same."""

    answers: tuple[Answer, ...]
    closed: bool
    log: tuple[str, ...]
    connections: tuple[int, ...]
    """How many requests each connection to the service has seen."""
    violations: tuple[str, ...]


class Log(logging.Handler):
    """The access log, without what is new each time."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(re.sub(r"request_id=\S+|[\d.]+ms", "", record.getMessage()))


@dataclass
class ObservedGateway:
    """A gateway without sockets on one engine, and what it logs."""

    gateway: InMemoryGateway
    log: Log

    def observe(self, method: bytes, target: bytes, answer: bytes, cut: int = 0) -> Observation:
        request = method + b" " + target + b" HTTP/1.1\r\nHost: g\r\n\r\n"
        run = self.gateway.run([request, request], answer=answer, cut=cut)
        flush_log()
        lines, self.log.lines = tuple(self.log.lines), []
        read = self.gateway.loop.run_until_complete(_answers(run.answer, bodyless=method == b"HEAD"))
        seen = tuple(part.count(b" HTTP/1.1\r\n") for part in run.connections)
        return Observation(tuple(read), run.closed, lines, seen, run.violations)


async def _answers(data: bytes, *, bodyless: bool) -> list[Answer]:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    found: list[Answer] = []
    while not reader.at_eof():
        one = await read_answer(reader, bodyless=bodyless)
        lines = tuple(line for line in one.lines if not line.startswith((b"x-request-id", b"content-length")))
        body = re.sub(rb'"request_id":"[^"]+"', b"", one.body)
        found.append(Answer(one.status, lines, body, one.whole))
    return found


@pytest.fixture(autouse=True)
def known() -> None:
    """Nothing is known to be wrong, and no test here is of one engine."""


@pytest.fixture(scope="module")
def observed_gateways() -> Iterator[list[ObservedGateway]]:
    """Both engines."""
    log, logger = Log(), logging.getLogger("limen.access")
    made = [ObservedGateway(InMemoryGateway(engine), log) for engine in ENGINES]
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(log)
    yield made
    logger.removeHandler(log)
    logger.setLevel(level)
    for observed in made:
        observed.gateway.close()


def cuts(answer: bytes) -> list[int]:
    """Return where ``answer`` is cut: at every byte, but for a few within a word, where one is as good as another."""
    within = re.finditer(rb"[A-Za-z0-9]{4,}|y{4,}", answer)
    left_out = {at for word in within for at in range(word.start() + 2, word.end() - 1)}
    found = [at for at in range(1, len(answer)) if at not in left_out]
    return found if len(found) <= MOST else [*found[: MOST // 2], *found[-MOST // 2 :]]


@pytest.mark.parametrize("name", CORPUS)
def test_how_an_answer_is_cut_changes_nothing(observed_gateways: list[ObservedGateway], name: str) -> None:
    method, answer = CORPUS[name]
    whole = [observed.observe(method, b"/x", answer) for observed in observed_gateways]
    assert not whole[0].violations
    assert whole[0] == whole[1], "the engines differ"
    assert len(whole[0].log) == len(whole[0].answers) > 0
    for observed, wanted in zip(observed_gateways, whole, strict=True):
        for cut in cuts(answer):
            assert observed.observe(method, b"/x", answer, cut) == wanted, (answer[:cut], answer[cut:])
