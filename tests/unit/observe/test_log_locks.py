"""Who holds which lock of the log while he waits for another: threads that log at once never wait for one another."""

import logging
import threading
from collections.abc import Generator

import pytest

from limen.exchange.outcome import Outcome
from limen.observe.access import AccessLog
from limen.observe.handler import LineHandler

SECONDS = 10.0
"""Within which all is said, unless it never is."""


class Gate(logging.Handler):
    """Somebody else's handler: the first record that comes waits in it, and so does whoever brings it."""

    def __init__(self) -> None:
        """Nobody has come."""
        super().__init__()
        self.entered = threading.Event()
        self.opened = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        """Wait."""
        self.entered.set()
        self.opened.wait(SECONDS)


@pytest.fixture
def own() -> Generator[LineHandler]:
    """Return a handler of ours that writes to nowhere."""
    with open("/dev/null", "wb") as nowhere:
        made = LineHandler(descriptor=nowhere.fileno())
    yield made
    made.close()


def outcome(path: bytes) -> Outcome:
    found = Outcome(b"GET", path, "r-1", b"127.0.0.1")
    found.status = 200
    return found


def test_a_thread_that_logs_while_the_access_log_is_written_does_not_lock_it_out(
    own: LineHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One writes the access log, and is to hand a line to our handler; the other hands a record to it, which says first what
    the access log keeps. Whoever held the handler's lock for that would have the one wait for the other.
    """
    log, gate = AccessLog(), Gate()
    wants = threading.Event()
    monkeypatch.setattr(LineHandler, "flush_first", [wants.set, log.flush])
    access = logging.getLogger("limen.access")
    monkeypatch.setattr(access, "handlers", [gate, own])
    monkeypatch.setattr(access, "propagate", False)
    monkeypatch.setattr(access, "level", logging.INFO)
    access.manager._clear_cache()  # pyright: ignore - of who is enabled, which setting the level by itself would do
    said: list[str] = []

    def write() -> None:
        log._kept.extend((outcome(b"/1"), outcome(b"/2")))  # pyright: ignore[reportPrivateUsage] - as a loop would have kept them
        log.flush()
        said.append("the access log")

    def speak() -> None:
        own.handle(logging.LogRecord("other", logging.INFO, "", 0, "hello", None, None))
        said.append("the other")

    writes = threading.Thread(target=write, daemon=True)
    speaks = threading.Thread(target=speak, daemon=True)
    writes.start()
    assert gate.entered.wait(SECONDS)
    speaks.start()
    assert wants.wait(SECONDS)  # and nothing is between that and the lock of the access log
    gate.opened.set()
    for thread in (writes, speaks):
        thread.join(SECONDS)
    assert sorted(said) == ["the access log", "the other"]
