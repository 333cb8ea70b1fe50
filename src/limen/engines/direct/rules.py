"""The rules that a request's head must keep before anybody serves it, as pure functions: head in, fault or nothing out.

llhttp has refused most malformed input before; here is what it lets through (RFC 9112, sections 2, 3 and 6). Two readers
could understand differently what these rules refuse, so the connection ends with the refusal.
"""

import re
from functools import lru_cache
from typing import Final

import httptools

from limen.errors import Fault, Kind
from limen.http.headers import TOKEN, Head, trimmed

# A registered name, an IPv4 address or an IPv6 literal, and perhaps a port; RFC 3986 section 3.2.2 without
# sub-delimiters and percent-encoding, which no name that resolves has.
_HOST = re.compile(rb"(?:[A-Za-z0-9._~\-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?")
_ABSOLUTE = re.compile(rb"(https?)://([^/?#]*)([^#]*)", re.IGNORECASE)
_PORTS = {b"http": b":80", b"https": b":443"}

_LINE = re.compile(TOKEN.pattern + rb" [\x21-\x7e]+ HTTP/1\.[01]\r")
_PART_OF_LINE = re.compile(TOKEN.pattern + rb"(?: [\x21-\x7e]*(?: [\x21-\x7e]{0,8}\r?)?)?")

# A tunnel is not ours to build, and a trace would show what the gateway adds (RFC 9110, sections 9.3.6 and 9.3.8).
_NEVER: Final = frozenset((b"CONNECT", b"TRACE"))


@lru_cache(maxsize=1024)
def valid_host(value: bytes) -> bool:
    """Tell whether ``value`` may be a ``Host``."""
    match = _HOST.fullmatch(value)
    return match is not None and (match[1] is None or int(match[1]) < 65536)


def field(name: bytes, value: bytes) -> bytes:
    """Return the value of a header line as it counts: the parser leaves the white space that stands behind it.

    A transfer coding keeps a tab, and is refused for it by ``check``: the parser does not take such a body for chunked, and
    refuses it as well, but only once its head would have been served.
    """
    bare = trimmed(value)
    if bare is not value and b"\t" in value and name.lower() == b"transfer-encoding":
        return value
    return bare


def check(method: bytes, version: str, head: Head) -> Fault | None:
    """Return what is wrong with a head, its target aside; ``version`` is the parser's, such as ``1.1``."""
    hosts = head.all(b"host")
    codings = head.all(b"transfer-encoding")
    if version != "1.1":
        if version != "1.0":
            kind = Kind.BAD_REQUEST if version == "0.9" else Kind.VERSION_NOT_SUPPORTED
            return Fault(kind, cause=f"HTTP/{version}")
        if codings:
            return _bad("Transfer-Encoding does not exist in HTTP/1.0.")
        if not hosts:
            return _method(method)
    if len(hosts) != 1 or not valid_host(hosts[0]):
        return _bad("A request must have one valid Host.")
    if codings and (len(codings) != 1 or codings[0].lower() != b"chunked" or head.all(b"content-length")):
        return _bad("Transfer-Encoding must be chunked, once and alone.")
    return _method(method)


def refused_line(data: bytes) -> bytes:
    """Return what ``data`` holds from the line on for which the parser refuses it; ``data`` begins with a request."""
    least, most = 0, len(data)
    while least < most:  # how many bytes it takes to be refused
        middle = (least + most) // 2
        if _is_refused(data[:middle]):
            most = middle
        else:
            least = middle + 1
    return data[data.rfind(b"\n", 0, max(least - 1, 0)) + 1 :]


def is_request_line(line: bytes, *, whole: bool) -> bool:
    """Tell whether ``line``, without its LF, is a request line of HTTP/1, or may become one if it is not ``whole``."""
    return (_LINE if whole else _PART_OF_LINE).fullmatch(line) is not None


def _is_refused(data: bytes) -> bool:
    parser = httptools.HttpRequestParser(object())
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        return False
    except httptools.HttpParserError:
        return True
    return False


def origin(target: bytes, method: bytes, head: Head) -> tuple[bytes, bytes] | Fault:
    """Return a target that is not in plain origin-form as one that is, and the authority that it names.

    For absolute-form the authority must be that of ``Host``, in any case and with or without the scheme's own port;
    ``*`` passes for OPTIONS alone. Everything else is a fault.
    """
    if b"#" in target or not target.isascii():
        return Fault(Kind.BAD_PATH, "The target holds bytes that must be percent-encoded.")
    if target.startswith(b"/") or (target == b"*" and method == b"OPTIONS"):
        return target, b""
    match = _ABSOLUTE.fullmatch(target)
    if match is None:
        return _bad("The target must be a path.")
    scheme, authority, rest = match[1].lower(), match[2], match[3]
    if not valid_host(authority):
        return _bad("The authority of the target is not valid.")
    port = _PORTS[scheme]
    named = authority.lower().removesuffix(port)
    if any(host.lower().removesuffix(port) != named for host in head.all(b"host")):
        return _bad("The authority of the target and Host must be the same.")
    return (rest if rest.startswith(b"/") else b"/" + rest), authority


def weight(method: bytes, target: bytes, head: list[tuple[bytes, bytes]]) -> tuple[int, int]:
    """Return the bytes of the request line and of the head, as they are when written without needless spaces."""
    line = len(method) + len(target) + 12
    return line, line + sum(len(name) + len(value) + 4 for name, value in head) + 2


def begun(data: bytes, method: bytes, target: bytes, head: list[tuple[bytes, bytes]], *, before: int) -> int:
    """Return how much of a body has come with the end of its head, which ``data`` has brought.

    ``before`` is what had come of the head, -1 for nothing. As far as can be told without parsing again: spaces that the
    head need not have are taken for the body's.
    """
    if before < 0:
        # Other requests may have come whole before this one.
        before = -max(data.rfind(method + b" " + target + b" "), 0)
    return max(before + len(data) - weight(method, target, head)[1], 0)


def _method(method: bytes) -> Fault | None:
    return Fault(Kind.NOT_IMPLEMENTED) if method in _NEVER else None


def _bad(text: str) -> Fault:
    return Fault(Kind.BAD_REQUEST, text)
