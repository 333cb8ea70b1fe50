"""The access log: when its lines are written, where they go, and what is in them."""

import asyncio
import logging
import os
import re
from collections.abc import Generator
from typing import Any

import pytest

from limen.exchange.outcome import Outcome
from limen.observe.access import LINES, LOG, MOST_KEPT, MOST_PATH, message
from limen.observe.handler import LineHandler
from limen.testing import flush_log

ACCESS = logging.getLogger("limen.access")


def outcome(number: int = 0, *, path: bytes = b"/x", status: int = 200) -> Outcome:
    made = Outcome(b"GET", path, f"id-{number}", b"192.0.2.1")
    made.status = status
    made.seconds = 0.01234
    return made


class Kept(logging.Handler):
    """Somebody else's handler."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def kept() -> Generator[Kept]:
    handler = Kept()
    ACCESS.addHandler(handler)
    ACCESS.setLevel(logging.INFO)
    yield handler
    flush_log()
    ACCESS.removeHandler(handler)
    ACCESS.setLevel(logging.NOTSET)


class Pipe:
    """Our own handler, alone on the logger, and what comes out of it."""

    def __init__(self) -> None:
        self._reading, writing = os.pipe()
        self.handler = LineHandler(descriptor=writing)
        os.close(writing)

    def add(self, made: Outcome) -> None:
        """Record it; pytest listens on loggers that have no parent when a test begins, and ours must be alone."""
        ACCESS.propagate = False
        LOG.add(made)

    def text(self) -> str:
        self.handler.flush()
        os.set_blocking(self._reading, False)
        try:
            return os.read(self._reading, 1 << 20).decode()
        except BlockingIOError:
            return ""

    def close(self) -> None:
        self.handler.close()
        os.close(self._reading)


@pytest.fixture
def pipe() -> Generator[Pipe]:
    made = Pipe()
    ACCESS.addHandler(made.handler)
    ACCESS.setLevel(logging.INFO)
    yield made
    flush_log()
    ACCESS.removeHandler(made.handler)
    ACCESS.setLevel(logging.NOTSET)
    ACCESS.propagate = True
    made.close()


def test_a_line() -> None:
    made = outcome()
    made.route, made.upstream, made.caller = "/x/{id}", "svc", "7"
    assert message(made) == ("GET /x 200 12.3ms route=/x/{id} upstream=svc request_id=id-0 caller=7 peer=192.0.2.1")
    made.attempts = 1  # no connection to any target has come about
    assert " upstream=svc target=- attempts=1 request_id=id-0 " in message(made)
    made.attempts, made.target = 2, "unix:/run/a b\n" + "c" * 300
    assert " upstream=svc target=unix:/run/a\\x20b\\nccc" in message(made)
    assert "c... attempts=2 request_id=id-0 " in message(made)
    made.cut, made.code, made.cause = True, "upstream_closed", "reset by 'peer'\n\x85" + "y" * 300
    line = message(made)
    assert " peer=192.0.2.1 cut=true code=upstream_closed cause='reset by" in line
    assert line.isascii()
    assert line.isprintable()
    assert line.endswith("y...'")


def test_what_a_client_chooses_is_escaped_and_bounded() -> None:
    made = Outcome(b"BREW\n" * 100, b"/\x9b31m \r\n200" + b"p" * 9000, "id", b"fe80::1%\x1b")
    made.caller = "\u2028ada lovelace" + "c" * 500
    line = message(made)
    assert line.isascii()
    assert line.isprintable()
    words = line.split(" ")
    assert [word.partition("=")[0] for word in words[4:]] == ["route", "upstream", "request_id", "caller", "peer"]
    assert len(words[1]) == MOST_PATH
    assert words[1].startswith("/\\x9b31m\\x20\\r\\n200ppp")
    assert words[1].endswith("...")


async def test_lines_wait_for_others_and_some_are_written_in_each_turn(kept: Kept) -> None:
    for number in range(MOST_KEPT - 1):
        LOG.add(outcome(number))
    assert kept.records == []
    LOG.add(outcome(MOST_KEPT - 1))  # so many are kept, and no more
    assert len(kept.records) == LINES
    counts = {len(kept.records)}
    while len(kept.records) < MOST_KEPT:
        await asyncio.sleep(0)
        counts.add(len(kept.records))
    assert counts <= set(range(0, MOST_KEPT + 1, LINES))  # never more in one turn
    ids = re.findall(r"request_id=id-(\d+)", " ".join(record.getMessage() for record in kept.records))
    assert ids == [str(number) for number in range(MOST_KEPT)]


async def test_a_record_has_the_time_when_its_request_ended(kept: Kept) -> None:
    made = outcome()
    LOG.add(made)
    flush_log()
    (record,) = kept.records
    assert record.created == made.ended_at > 0
    assert record.msecs == int(made.ended_at % 1 * 1000)
    assert (record.name, record.levelno, record.args) == ("limen.access", logging.INFO, ())


def test_without_a_loop_a_line_is_written_at_once(kept: Kept) -> None:
    LOG.add(outcome())
    assert len(kept.records) == 1


def test_a_loop_that_ended_before_its_turn_loses_nothing(kept: Kept) -> None:
    async def one() -> None:
        LOG.add(outcome())

    asyncio.run(one())
    asyncio.run(one())
    assert kept.records == []
    flush_log()
    assert len(kept.records) == 2


@pytest.mark.parametrize(
    ("status", "code", "cut", "level"),
    [
        (200, "", False, "INFO"),
        (404, "not_found", False, "INFO"),
        (499, "client_closed", False, "INFO"),
        (503, "", False, "INFO"),  # the service's own
        (503, "upstream_refused", False, "WARNING"),
        (200, "upstream_closed", True, "WARNING"),
    ],
)
def test_levels(pipe: Pipe, status: int, code: str, cut: bool, level: str) -> None:
    made = outcome(status=status)
    made.code, made.cut = code, cut
    pipe.add(made)
    assert re.fullmatch(rf"[0-9-]{{10}} [0-9:]{{8}},[0-9]{{3}} {level} limen\.access GET /x {status} .*\n", pipe.text())
    ACCESS.setLevel(logging.WARNING)
    pipe.add(made)
    assert bool(pipe.text()) == (level == "WARNING")


async def test_off_is_absent() -> None:
    ACCESS.setLevel(logging.WARNING)
    try:
        before = repr(LOG)
        LOG.add(outcome())
        assert repr(LOG) == before == "<AccessLog 0 kept>"
    finally:
        ACCESS.setLevel(logging.NOTSET)


async def test_a_finished_line_looks_like_a_record(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    made = outcome()
    with monkeypatch.context() as nothing:
        nothing.setattr(ACCESS, "makeRecord", None)  # no record is made of it
        pipe.add(made)
        fast = pipe.text()
    extra = Kept()
    ACCESS.addHandler(extra)  # now it is a record
    pipe.add(made2 := outcome())
    slow = pipe.text()
    ACCESS.removeHandler(extra)
    (record,) = extra.records
    assert re.sub("[0-9:,]{8,}", "", fast, count=2) == re.sub("[0-9:,]{8,}", "", slow, count=2)
    assert pipe.handler.format(record) + "\n" == slow
    record.created, record.msecs = made.ended_at, float(int(made.ended_at % 1 * 1000))
    assert pipe.handler.format(record) + "\n" == fast
    assert made2.ended_at >= made.ended_at


async def test_what_is_said_later_is_written_later(pipe: Pipe) -> None:
    pipe.add(outcome(1))
    ACCESS.error("said %s", "\x1b[31mlater\u2028")
    pipe.add(outcome(2))
    first, second, third = pipe.text().splitlines()
    assert "request_id=id-1 " in first
    assert second.endswith("ERROR limen.access said \\x1b[31mlater\\u2028")
    assert "request_id=id-2 " in third


def test_a_handler_that_raises_ends_no_request(capsys: pytest.CaptureFixture[str]) -> None:
    class Broken(logging.Handler):
        def handle(self, record: logging.LogRecord) -> Any:
            raise LookupError("no room")

    handler = Broken()
    ACCESS.addHandler(handler)
    ACCESS.setLevel(logging.INFO)
    try:
        LOG.add(outcome())
    finally:
        ACCESS.removeHandler(handler)
        ACCESS.setLevel(logging.NOTSET)
    assert "LookupError: no room" in capsys.readouterr().err


def test_uvicorns_own_access_lines_of_websockets_are_left_out(pipe: Pipe) -> None:
    record = logging.LogRecord(
        "uvicorn.error", logging.INFO, "", 0, '%s - "WebSocket %s" [accepted]', ("a", "/?t=1"), None
    )
    pipe.handler.handle(record)
    record = logging.LogRecord("uvicorn.error", logging.INFO, "", 0, "connection open", (), None)
    pipe.handler.handle(record)
    assert pipe.text().endswith("INFO uvicorn connection open\n")


def test_a_target_that_is_one_address_of_a_name_is_one_word() -> None:
    outcome = Outcome(b"GET", b"/x", "id", b"127.0.0.1")
    for attempts in (1, 2, 11):
        outcome.target, outcome.attempts = "http://orders:8000 [10.0.0.7]", attempts
        assert f" target=http://orders:8000[10.0.0.7] attempts={attempts} " in message(outcome)
