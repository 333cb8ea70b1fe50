"""The ``Via`` header and the detection of request loops. No I/O.

A gateway whose service is, by mistake, the gateway itself would call itself until it has no connection left. Each pass
adds the gateway's pseudonym to ``Via`` (RFC 9110 section 7.6.3), and a request with too many of them is refused. So ``Via``
of any sender is extended, never replaced: whoever forges it gains nothing but a refusal.
"""

from collections.abc import Iterable, Iterator

PSEUDONYM = b"limen"

MOST_PASSES = 4
"""How often a request may have passed gateways of one pseudonym before: as many as a regular chain has."""

MOST_BYTES = 4096
"""Bytes that are read of ``Via`` lines that name the pseudonym. No regular chain is as long, so more counts as a loop."""

_VERSIONS = {b"1.1": b"1.1", b"1.0": b"1.0"}


def line(version: bytes = b"1.1", pseudonym: bytes = PSEUDONYM) -> tuple[bytes, bytes]:
    """Return the line to add for a message received in HTTP ``version``, such as ``b"1.1"``; others count as 1.1."""
    return (b"via", _VERSIONS.get(version, b"1.1") + b" " + pseudonym)


def passes(values: Iterable[bytes], pseudonym: bytes = PSEUDONYM) -> int:
    """Return how many entries of the ``values`` of ``Via`` name ``pseudonym``, in any case, with a port or without.

    A malformed entry is not counted: it is not ours.
    """
    wanted = pseudonym.lower()
    return sum(
        wanted in (received_by := parts[1].lower(), received_by.rpartition(b":")[0])
        for value in values
        for entry in _entries(value)
        if len(parts := entry.split()) == 2
    )


def loops(values: Iterable[bytes], pseudonym: bytes = PSEUDONYM, most: int = MOST_PASSES) -> bool:
    """Tell whether a request has passed ``pseudonym`` more than ``most`` times: refuse it with 508 (RFC 5842)."""
    # Hardly any request has passed a gateway. Then this is all that is done with what may be 30 KiB.
    naming = [value for value in values if pseudonym.lower() in value.lower()]
    if not naming:
        return False
    return sum(map(len, naming)) > MOST_BYTES or passes(naming, pseudonym) > most


def _entries(value: bytes) -> Iterator[bytes]:
    """Yield the list members without their comments, in which commas, parentheses and quoted pairs mean nothing."""
    entry = bytearray()
    depth = 0
    quoted = False
    for byte in value:
        if quoted:
            quoted = False
        elif depth and byte == 0x5C:  # \
            quoted = True
        elif byte == 0x28:  # (
            depth += 1
        elif byte == 0x29 and depth:  # )
            depth -= 1
            # A comment separates words even without a space before it.
            entry += b" "
        elif not depth and byte == 0x2C:  # ,
            yield bytes(entry)
            entry.clear()
        elif not depth:
            entry.append(byte)
    yield bytes(entry)
