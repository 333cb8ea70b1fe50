"""The access log: one line for each request, on the logger ``limen.access``. Query strings, tokens and bodies never get here.

Writing a line while the request waits would cost more than most of the work for it. So:

1. ``add`` keeps the outcome and schedules ``_turn``; if too many are kept, it writes some at once
2. ``_turn`` writes a bounded number of lines, some milliseconds later
3. a line goes to ``limen.observe.handler`` as bytes if that is the only handler; else it becomes a record of the standard
   library, so that other handlers get what any logger gives, with the time when the request ended

Of a client's data only the method, the path, the ids of the request and of the caller, and the address of the connection are
logged, all of them escaped and bounded. The target and the number of attempts are logged where a service was asked.
"""

import asyncio
import atexit
import logging
import sys
import threading
import traceback
from collections import deque
from time import localtime, strftime, time
from typing import Final

from limen.exchange.outcome import Outcome
from limen.observe.escape import escaped, quoted
from limen.observe.handler import LineHandler

MOST_PATH: Final = 256
"""Characters of a path that are logged."""

MOST_CALLER: Final = 128
"""Characters of a caller's id that are logged."""

MOST_CAUSE: Final = 200
"""Characters of a cause that are logged."""

MOST_KEPT: Final = 1024
"""Outcomes that are kept until their lines are written; above it, each ``add`` writes some."""

LINES: Final = 128
"""Lines that are written in one turn of the loop."""

DELAY: Final = 0.05
"""Seconds for which an outcome is kept, so that many lines are written together."""

_MOST_METHOD: Final = 32
_MOST_PEER: Final = 64
_MOST_TARGET: Final = 256

_log: Final = logging.getLogger("limen.access")
_INFO: Final = logging.INFO
_WARNING: Final = logging.WARNING
_METHODS: Final = {
    method.encode(): method for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
}
_MILLISECONDS: Final = [f",{number:03d} " for number in range(1000)]


# Numbers as text, computed once: formatting them is the most expensive part of a line.
_TENTHS: Final = [f"{number // 10}.{number % 10}ms" for number in range(2000)]
_STATUSES: Final = [str(number) for number in range(600)]

# Caches of callers, peers and targets as they are shown, these with the one attempt that is the rule. A cache is cleared when
# it holds so many.
_MOST_KNOWN: Final = 4096
_callers: Final[dict[str, str]] = {}
_peers: Final[dict[bytes, str]] = {}
_targets: Final[dict[str, str]] = {}


def level_of(outcome: Outcome) -> int:
    """Return WARNING when the gateway or a service failed, or the answer was cut, else INFO."""
    return _WARNING if outcome.cut or (outcome.status >= 500 and outcome.code) else _INFO


def shown(outcome: Outcome) -> tuple[str, str]:
    """Return method and path as they may be logged."""
    return shown_method(outcome.method), shown_path(outcome.path)


def shown_method(method: bytes) -> str:
    """Return a method as it may be logged: an unknown one may be long, under other servers."""
    return _METHODS.get(method) or escaped(method.decode("latin-1"), _MOST_METHOD) or "-"


def shown_path(path: bytes) -> str:
    """Return a path as it may be logged."""
    return escaped(path.decode("latin-1"), MOST_PATH) or "-"


def message(outcome: Outcome) -> str:
    """Return the line without time and level."""
    tenths = int(outcome.seconds * 10000 + 0.5)
    milliseconds = _TENTHS[tenths] if tenths < len(_TENTHS) else f"{tenths // 10}.{tenths % 10}ms"
    status = _STATUSES[outcome.status] if 0 <= outcome.status < len(_STATUSES) else str(outcome.status)
    method, path = shown_method(outcome.method), shown_path(outcome.path)
    caller = _callers.get(outcome.caller)
    if caller is None:
        caller = _shown_caller(outcome.caller)
    peer = _peers.get(outcome.peer)
    if peer is None:
        peer = _shown_peer(outcome.peer)
    asked = ""
    attempts = outcome.attempts
    if attempts == 1:
        asked = _targets.get(outcome.target) or _shown_target(outcome.target)
    elif attempts:
        asked = _asked(outcome.target, attempts)
    cut = " cut=true" if outcome.cut else ""
    code = f" code={outcome.code}" if outcome.code else ""
    cause = f" cause={quoted(outcome.cause, MOST_CAUSE)}" if outcome.cause else ""
    return (
        f"{method} {path} {status} {milliseconds} route={outcome.route}"
        f" upstream={outcome.upstream}{asked} request_id={outcome.request_id} caller={caller} peer={peer}{cut}{code}{cause}"
    )


def _shown_caller(caller: str) -> str:
    if len(_callers) >= _MOST_KNOWN:
        _callers.clear()
    shown = escaped(caller, MOST_CALLER) or "-"
    if len(caller) <= MOST_CALLER:
        _callers[caller] = shown
    return shown


def _shown_target(target: str) -> str:
    if len(_targets) >= _MOST_KNOWN:
        _targets.clear()
    shown = _targets[target] = _asked(target, 1)
    return shown


def _asked(target: str, attempts: int) -> str:
    return f" target={escaped(target.replace(' [', '['), _MOST_TARGET) or '-'} attempts={attempts}"


def _shown_peer(peer: bytes) -> str:
    if len(_peers) >= _MOST_KNOWN:
        _peers.clear()
    shown = _peers[peer] = escaped(peer.decode("latin-1"), _MOST_PEER) or "-"
    return shown


class AccessLog:
    """The outcomes of one process whose lines are not written yet."""

    def __init__(self) -> None:
        """Keep nothing yet."""
        self._kept: deque[Outcome] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None  # in which ``_turn`` is scheduled
        self._lock = threading.RLock()  # other threads that log call ``flush`` first
        self._writing = False
        self._second = -1
        self._stamp = ""

    def add(self, outcome: Outcome) -> None:
        """Keep ``outcome`` for its line; if no loop runs, write it at once."""
        # While ``_turn`` is scheduled, the level is not checked here: the log was enabled a moment ago, and ``_turn`` checks.
        if self._loop is None and not _log.isEnabledFor(level_of(outcome)):
            return
        if len(outcome.path) > MOST_PATH:
            outcome.path = outcome.path[: MOST_PATH + 1]  # to hold no more memory than that
        outcome.ended_at = time()
        self._kept.append(outcome)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
            return
        if self._loop is not loop:
            self._loop = loop
            loop.call_later(DELAY, self._turn, loop)
        elif len(self._kept) >= MOST_KEPT:
            self._write(LINES)

    def flush(self) -> None:
        """Write everything that is kept."""
        self._loop = None  # it may have stopped before ``_turn``; if not, ``_turn`` finds nothing to do
        while self._kept and self._write(MOST_KEPT):
            pass

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is loop:
            self._loop = None
        self._write(LINES)
        if self._kept and self._loop is None:
            self._loop = loop
            loop.call_soon(self._turn, loop)

    def _write(self, most: int) -> bool:
        """Write at most ``most`` lines; False if this is a call from within itself, by a handler that logs."""
        with self._lock:
            if self._writing:
                return False
            self._writing = True
            try:
                handler = _only_handler()
                if handler is None:
                    self._write_records(most)
                else:
                    self._write_lines(handler, most)
            finally:
                self._writing = False
        return True

    def _write_lines(self, handler: LineHandler, most: int) -> None:
        least = max(_log.getEffectiveLevel(), handler.level, logging.root.manager.disable + 1)
        kept = self._kept
        head = f"{handler.process} limen.access "
        information, warning = f"INFO{head}", f"WARNING{head}"
        lines: list[str] = []
        while kept and most > 0:
            most -= 1
            outcome = kept.popleft()
            level = level_of(outcome)
            if level < least:
                continue
            second = int(outcome.ended_at)
            if second != self._second:
                self._second = second
                self._stamp = strftime("%Y-%m-%d %H:%M:%S", localtime(second))
            milliseconds: str = _MILLISECONDS[int((outcome.ended_at - second) * 1000)]
            lines.append(f"{self._stamp}{milliseconds}{information if level == _INFO else warning}{message(outcome)}\n")
        if lines:
            handler.writer.put("".join(lines).encode(errors="backslashreplace"), len(lines))

    def _write_records(self, most: int) -> None:
        kept = self._kept
        while kept and most > 0:
            most -= 1
            outcome = kept.popleft()
            level = level_of(outcome)
            if not _log.isEnabledFor(level):
                continue
            record = _log.makeRecord(_log.name, level, "(limen)", 0, message(outcome), (), None, "settle")
            late = record.created - outcome.ended_at
            record.created = outcome.ended_at
            record.msecs = float(int((outcome.ended_at - int(outcome.ended_at)) * 1000))
            record.relativeCreated -= late * 1000
            try:
                _log.handle(record)
            except Exception:
                # Another library's handler failed. The request that is served just now must not fail for it.
                if logging.raiseExceptions and sys.stderr is not None:
                    traceback.print_exc()

    def __repr__(self) -> str:
        """Show how many outcomes are kept."""
        return f"<AccessLog {len(self._kept)} kept>"


def _only_handler() -> LineHandler | None:
    """Return the LineHandler if it is the only handler of ``limen.access`` and there is no filter; else None."""
    only: LineHandler | None = None
    if _log.filters or _log.disabled:
        return None
    logger: logging.Logger | None = _log
    while logger is not None:
        for handler in logger.handlers:
            if only is not None or not isinstance(handler, LineHandler):
                return None
            only = handler
        logger = logger.parent if logger.propagate else None
    return only if only is not None and only.accepts_lines() else None


LOG: Final = AccessLog()
LineHandler.flush_first.append(LOG.flush)
atexit.register(LOG.flush)
