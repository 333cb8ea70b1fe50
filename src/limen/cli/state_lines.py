"""The messages about targets between a supervisor and its workers: JSON, one message on a line, over a socket of their own.

A worker tells the state of one aspect of one target, with a number that grows. The supervisor passes it on with the number of
the last message that it has read from the receiver: one that crosses a newer message of the receiver's own is ignored there.
So every process ends with the state that the supervisor has read last, whatever crossed on the way::

    worker → supervisor    {"v":1,"n":7,"upstream":"orders","target":"http://orders-1:8000","aspect":"drain","value":{...}}
    supervisor → worker    {"v":1,"seen":7,"upstream":"orders", ... "value":{...}}
    supervisor → worker    {"v":1,"checks":true}

A line that is too long, no JSON, of another version or of an unknown kind is ignored. The supervisor does not look into a
value. Nothing here does I/O, and nothing that serves is imported.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, cast

VERSION: Final = 1

LONGEST_LINE: Final = 4096
"""Bytes of a message, its end included."""

MOST_STATES: Final = 12_288
"""States that a process keeps: three aspects of some thousand targets. Above it, the one that was told longest ago goes."""

GATHER: Final = 0.005
"""Seconds between two times that changes are sent: a state that flutters is sent at most so often, with its last value."""

Key = tuple[str, str, str]
"""The name of an upstream, the key of a target, the aspect."""

Value = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class StateMessage:
    """``number`` is the sender's own (``n``), or the last one that was read from the receiver (``seen``)."""

    number: int
    key: Key
    value: Value


@dataclass(frozen=True, slots=True)
class ChecksMessage:
    """Whether the receiver checks targets actively."""

    mine: bool


Message = StateMessage | ChecksMessage


class Lines:
    """Cuts what is read into lines, and skips those that are too long."""

    __slots__ = ("_begun", "_skips")

    def __init__(self) -> None:
        """Begin at the begin of a line."""
        self._begun = b""
        self._skips = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the lines that ``data`` completes, without their ends."""
        *ended, rest = data.split(b"\n")
        for part in ended:
            line, self._begun = self._begun + part, b""
            skipped, self._skips = self._skips, False
            if not skipped and len(line) < LONGEST_LINE:
                yield line
        self._begun += rest
        if len(self._begun) >= LONGEST_LINE:
            self._begun, self._skips = b"", True


def encode_state(number: int, key: Key, value: Value, *, to_worker: bool) -> bytes:
    """Return the line of a state; nothing if it would be too long."""
    upstream, target, aspect = key
    numbered = {"v": VERSION, "seen" if to_worker else "n": number}
    return _encoded({**numbered, "upstream": upstream, "target": target, "aspect": aspect, "value": value})


def encode_checks(*, mine: bool) -> bytes:
    """Return the line that says whether the worker checks."""
    return _encoded({"v": VERSION, "checks": mine})


def decode(line: bytes, *, from_worker: bool) -> Message | None:
    """Return the message; None if it is not understood."""
    try:
        read: object = json.loads(line)
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        return None
    if not isinstance(read, dict):
        return None
    fields = cast("dict[str, object]", read)
    if fields.get("v") != VERSION:
        return None
    if isinstance(mine := fields.get("checks"), bool):
        return None if from_worker else ChecksMessage(mine)
    number = fields.get("n" if from_worker else "seen")
    upstream, target, aspect, value = (fields.get(name) for name in ("upstream", "target", "aspect", "value"))
    if not isinstance(number, int) or not isinstance(value, dict):
        return None
    if not isinstance(upstream, str) or not isinstance(target, str) or not isinstance(aspect, str):
        return None
    return StateMessage(number, (upstream, target, aspect), cast("dict[str, object]", value))


def keep(states: dict[Key, Value], key: Key, value: Value) -> None:
    """Keep ``value`` as the one that was told last, within ``MOST_STATES``."""
    states.pop(key, None)
    if len(states) >= MOST_STATES:
        del states[next(iter(states))]
    states[key] = value


def _encoded(fields: Mapping[str, object]) -> bytes:
    line = json.dumps(fields, separators=(",", ":")).encode() + b"\n"
    return line if len(line) <= LONGEST_LINE else b""
