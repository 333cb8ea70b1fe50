"""The grammar of ``Forwarded`` (RFC 7239) and ``X-Forwarded-*``: parsed into elements, written in one canonical form. No I/O.

``limen.client.trust`` decides which elements are trusted. Parsing never raises. A malformed element becomes ``MALFORMED``,
which ends a chain: if it were skipped, the element before it would be taken for that of another proxy.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"'
# Blanks around the semicolon are not in the grammar, but proxies write them, and they change nothing.
_PAIR = re.compile(rb"[ \t]*(" + _TOKEN + rb")=(" + _TOKEN + rb"|" + _QUOTED + rb")[ \t]*(?:;[ \t]*|$)")
_PORT = rb"(?::(?:[0-9]{1,5}|_[A-Za-z0-9._\-]+))?"
_UNKNOWN = re.compile(rb"(?:unknown" + _PORT + rb"|unix:?)", re.IGNORECASE)
_HIDDEN = re.compile(rb"(_[A-Za-z0-9._\-]{1,255})" + _PORT)
_V4 = re.compile(rb"([0-9]{1,3}(?:\.[0-9]{1,3}){3})" + _PORT)
_BRACKETED = re.compile(rb"\[([0-9A-Fa-f:.]{2,45})\]" + _PORT)
_HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._~%!$&'()*+;=\-]{1,255})(?::[0-9]{1,5})?")
_WHOLE_TOKEN = re.compile(_TOKEN)
# One element and its end. An unclosed quote makes the rest one malformed element. The pattern never backtracks.
_ELEMENT = re.compile(rb'((?:[^",]+|"(?:[^"\\]+|\\.)*+(?:"|\Z))*+)(?:,|\Z)', re.DOTALL)
_UNESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_ESCAPE = re.compile(rb'(["\\])')
_BLANK = b" \t"

MOST_ELEMENTS = 32
"""Elements of a chain that are read, from its end: more proxies than anybody runs."""

# Bytes of a node that is parsed: an obfuscated identifier and its port fit. Longer ones are malformed, and not cached.
_MOST_NODE = 320

# Parameters of one element; the grammar knows four.
_MOST_PARAMETERS = 16


@dataclass(frozen=True, slots=True)
class Element:
    """The statement of one proxy about the request that it received.

    ``node`` is the sender: an address without port or brackets, ``unknown``, or an obfuscated identifier, which begins with
    ``_``; None when malformed. ``host`` and ``proto`` are those of the request; empty when missing or malformed.
    """

    node: bytes | None
    host: bytes = b""
    proto: bytes = b""


MALFORMED = Element(None)


def forwarded_elements(lines: Sequence[tuple[bytes, bytes]]) -> Iterator[Element]:
    """Yield the elements of ``Forwarded``, the last one first. Elements are parsed only when they are asked for."""
    for value in _values(lines, b"forwarded"):
        for part in reversed(_split(value)):
            yield _element(part)


def x_forwarded_elements(lines: Sequence[tuple[bytes, bytes]]) -> Iterator[Element]:
    """Yield the elements of ``X-Forwarded-For``, the last one first; they have a node only."""
    for value in _values(lines, b"x-forwarded-for"):
        for part in reversed(value.rsplit(b",", MOST_ELEMENTS)):
            yield Element(parse_node(part.strip(_BLANK)))


def x_forwarded_host_proto(lines: Sequence[tuple[bytes, bytes]]) -> tuple[bytes, bytes]:
    """Return the values of ``X-Forwarded-Host`` and ``-Proto``; empty when missing or malformed.

    Of several values the last counts, which is what the peer itself wrote.
    """
    return _host(_last(lines, b"x-forwarded-host")), _proto(_last(lines, b"x-forwarded-proto"))


def parse_node(text: bytes) -> bytes | None:
    """Parse a node with or without a port, bare IPv6 included; None when malformed.

    ``unix:``, which nginx writes for a client on a Unix socket, becomes ``unknown``.
    """
    return _node(text) if len(text) <= _MOST_NODE else None


@lru_cache(maxsize=4096)  # proxies are few, and clients return: 10 us less for each
def _node(text: bytes) -> bytes | None:
    if _UNKNOWN.fullmatch(text):
        return b"unknown"
    for form in (_HIDDEN, _V4, _BRACKETED):
        if match := form.fullmatch(text):
            return match[1] if form is _HIDDEN else _address(match[1], v6=form is _BRACKETED)
    return _address(text, v6=True)


def serialize(element: Element) -> bytes:
    """Return ``element`` in canonical form: for, host, proto in this order, quoted where necessary."""
    name = element.node or b"unknown"
    if b":" in name:
        name = b"[" + name + b"]"
    parts = [b"for=" + _word(name)]
    if element.host:
        parts.append(b"host=" + _word(element.host))
    if element.proto:
        parts.append(b"proto=" + _word(element.proto))
    return b";".join(parts)


def _values(lines: Sequence[tuple[bytes, bytes]], name: bytes) -> Iterator[bytes]:
    return (value for key, value in reversed(lines) if key == name)


def _split(value: bytes) -> list[bytes]:
    """Split at commas outside quotes; the first part may hold all elements before the last MOST_ELEMENTS."""
    if b'"' not in value:
        return value.rsplit(b",", MOST_ELEMENTS)
    parts: list[bytes] = _ELEMENT.findall(value + b",")
    return parts[:-1]  # without the empty one after the last comma


def _element(text: bytes) -> Element:
    """Parse one element; a repeated parameter, or anything that is no parameter, makes the whole element malformed."""
    parameters: dict[bytes, bytes] = {}
    at = 0
    while pair := _PAIR.match(text, at):
        name, value = pair[1].lower(), pair[2]
        if name in parameters or len(parameters) == _MOST_PARAMETERS:
            return MALFORMED
        parameters[name] = _UNESCAPE.sub(rb"\1", value[1:-1]) if value.startswith(b'"') else value
        at = pair.end()
    if at < len(text) or not parameters:
        return MALFORMED
    node = parse_node(parameters.get(b"for", b"unknown"))
    return Element(node, _host(parameters.get(b"host", b"")), _proto(parameters.get(b"proto", b"")))


def _address(text: bytes, *, v6: bool) -> bytes | None:
    if b"%" in text:  # a zone has a meaning on one machine only
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
    values = [value for key, value in lines if key == name]
    return values[-1].rpartition(b",")[2].strip(_BLANK) if values else b""


def _word(text: bytes) -> bytes:
    return text if _WHOLE_TOKEN.fullmatch(text) else b'"' + _ESCAPE.sub(rb"\\\1", text) + b'"'
