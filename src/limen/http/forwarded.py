"""``Forwarded`` (RFC 7239) and ``X-Forwarded-*`` as grammar: read into elements, written in one canonical form. No trust
and no I/O here: who is believed is said in ``limen.client.trust``.

Reading never raises. What is malformed becomes an element of which nothing is known, so that it ends a chain instead of
being skipped: whoever skipped it would take the element before it for something that it is not.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"'
# Blanks around the semicolon are not in the grammar but in the world, and change nothing.
_PAIR = re.compile(rb"[ \t]*(" + _TOKEN + rb")=(" + _TOKEN + rb"|" + _QUOTED + rb")[ \t]*(?:;[ \t]*|$)")
_PORT = rb"(?::(?:[0-9]{1,5}|_[A-Za-z0-9._\-]+))?"
_UNKNOWN = re.compile(rb"(?:unknown" + _PORT + rb"|unix:?)", re.IGNORECASE)
_HIDDEN = re.compile(rb"(_[A-Za-z0-9._\-]{1,255})" + _PORT)
_V4 = re.compile(rb"([0-9]{1,3}(?:\.[0-9]{1,3}){3})" + _PORT)
_BRACKETED = re.compile(rb"\[([0-9A-Fa-f:.]{2,45})\]" + _PORT)
_HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._~%!$&'()*+;=\-]{1,255})(?::[0-9]{1,5})?")
_JUST_TOKEN = re.compile(_TOKEN)
# One element and what ends it. A quote that is never closed makes the rest one malformed element. Nothing is tried twice.
_ELEMENT = re.compile(rb'((?:[^",]+|"(?:[^"\\]+|\\.)*+(?:"|\Z))*+)(?:,|\Z)', re.DOTALL)
_UNESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_ESCAPE = re.compile(rb'(["\\])')
_BLANK = b" \t"

MOST_ELEMENTS = 32
"""Elements of a chain that are looked at, from its end: more proxies of one's own than anybody has."""

# Bytes of a node that are looked at: a hidden name and its port fit. What is longer is none, and not worth remembering.
_MOST_NODE = 320

# Parameters of one element; the grammar knows four.
_MOST_PARAMETERS = 16


@dataclass(frozen=True, slots=True)
class Element:
    """What one proxy says of the request that it got.

    ``node`` is from whom: an address without port or brackets, ``unknown``, or a name with ``_`` before it; None when
    it was said badly. ``host`` and ``proto`` are what that request named; empty when not said, or badly.
    """

    node: bytes | None
    host: bytes = b""
    proto: bytes = b""


NOTHING = Element(None)


def latest(lines: Sequence[tuple[bytes, bytes]]) -> Iterator[Element]:
    """Yield the elements of ``Forwarded``, the last one first: who wants no more pays for no more."""
    for value in _values(lines, b"forwarded"):
        for part in reversed(_split(value)):
            yield _element(part)


def x_latest(lines: Sequence[tuple[bytes, bytes]]) -> Iterator[Element]:
    """Yield the elements that ``X-Forwarded-For`` makes, the last one first; they say from whom, and no more."""
    for value in _values(lines, b"x-forwarded-for"):
        for part in reversed(value.rsplit(b",", MOST_ELEMENTS)):
            yield Element(node(part.strip(_BLANK)))


def x_said(lines: Sequence[tuple[bytes, bytes]]) -> tuple[bytes, bytes]:
    """Return host and scheme as ``X-Forwarded-Host`` and ``-Proto`` say; empty when not said, or badly.

    Of several values the last counts, which is what the peer itself wrote.
    """
    return _host(_last(lines, b"x-forwarded-host")), _proto(_last(lines, b"x-forwarded-proto"))


def node(text: bytes) -> bytes | None:
    """Read a node name with its port, if any, bare IPv6 included; None for what is none.

    ``unix:`` is what nginx writes of a client on a Unix socket; nobody knows more of it.
    """
    return _node(text) if len(text) <= _MOST_NODE else None


@lru_cache(maxsize=4096)  # proxies are few, and clients come again: 10 us less for each
def _node(text: bytes) -> bytes | None:
    if _UNKNOWN.fullmatch(text):
        return b"unknown"
    for form in (_HIDDEN, _V4, _BRACKETED):
        if found := form.fullmatch(text):
            return found[1] if form is _HIDDEN else _address(found[1], v6=form is _BRACKETED)
    return _address(text, v6=True)


def write(element: Element) -> bytes:
    """Return ``element`` in canonical form: what is known, in the order for, host, proto, quoted where it must be."""
    name = element.node or b"unknown"
    if b":" in name:
        name = b"[" + name + b"]"
    parts = [b"for=" + _word(name)]
    if element.host:
        parts.append(b"host=" + _word(element.host))
    if element.proto:
        parts.append(b"proto=" + _word(element.proto))
    return b";".join(parts)


def client_of(lines: bytes) -> bytes:
    """Return the client that header lines of our own name in ``X-Forwarded-For``; empty where it is not known."""
    return lines.partition(b"x-forwarded-for: ")[2].partition(b"\r")[0].partition(b",")[0]


def _values(lines: Sequence[tuple[bytes, bytes]], name: bytes) -> Iterator[bytes]:
    return (value for key, value in reversed(lines) if key == name)


def _split(value: bytes) -> list[bytes]:
    """Split at the commas that are outside quotes; of many parts, those before the last ones may be left in one piece."""
    if b'"' not in value:
        return value.rsplit(b",", MOST_ELEMENTS)
    found: list[bytes] = _ELEMENT.findall(value + b",")
    return found[:-1]  # without the nothing behind the last comma


def _element(text: bytes) -> Element:
    """Read one element; a parameter given twice, or anything that is no parameter, makes it unknown as a whole."""
    found: dict[bytes, bytes] = {}
    at = 0
    while pair := _PAIR.match(text, at):
        name, value = pair[1].lower(), pair[2]
        if name in found or len(found) == _MOST_PARAMETERS:
            return NOTHING
        found[name] = _UNESCAPE.sub(rb"\1", value[1:-1]) if value.startswith(b'"') else value
        at = pair.end()
    if at < len(text) or not found:
        return NOTHING
    name = found.get(b"for", b"unknown")
    return Element(node(name), _host(found.get(b"host", b"")), _proto(found.get(b"proto", b"")))


def _address(text: bytes, *, v6: bool) -> bytes | None:
    if b"%" in text:  # a zone means something on one machine only
        return None
    try:
        address = ip_address(text.decode("ascii"))
    except ValueError:
        return None
    if isinstance(address, IPv6Address) is not v6:
        return None
    return str(getattr(address, "ipv4_mapped", None) or address).encode()


def _proto(text: bytes) -> bytes:
    lower = text.lower()
    return lower if lower in (b"http", b"https") else b""


def _host(text: bytes) -> bytes:
    return text if _HOST.fullmatch(text) else b""


def _last(lines: Sequence[tuple[bytes, bytes]], name: bytes) -> bytes:
    given = [value for key, value in lines if key == name]
    return given[-1].rpartition(b",")[2].strip(_BLANK) if given else b""


def _word(text: bytes) -> bytes:
    return text if _JUST_TOKEN.fullmatch(text) else b'"' + _ESCAPE.sub(rb"\\\1", text) + b'"'
