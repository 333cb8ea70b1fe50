"""The header fields that cross the gateway, and those that are dropped. No I/O.

Header names are lower-case ``bytes`` everywhere. A forwarded head is built anew from what was parsed. A client cannot remove
a header that the gateway sets, because the gateway adds its own after everything else was dropped.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Final

Headers = list[tuple[bytes, bytes]]

NO_LINES: Final[Headers] = []
"""Stands for header lines that are not there, or not yet: nothing is ever added to it."""

# RFC 9110 section 7.6.1, with the historical names that it tells intermediaries to drop as well.
HOP_BY_HOP: Final = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)

# The gateway sets these itself. Values of a client are replaced, or trusted as ``limen.client.trust`` says.
_GATEWAY_FIELDS = frozenset(
    (
        b"content-length",
        b"expect",
        b"forwarded",
        b"host",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"x-forwarded-prefix",
        b"x-forwarded-proto",
        b"x-forwarded-server",
        b"x-real-ip",
        b"x-request-id",
    )
)

# Dropped from answers. The gateway writes its own Date, and two of them would be invalid. Server discloses software.
_FROM_UPSTREAM: Final = HOP_BY_HOP | {b"date", b"server", b"x-request-id"}

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
FORBIDDEN_IN_VALUE = re.compile(rb"[\x00\r\n]")
_ENTITY_TAG = re.compile(rb'(?:W/)?"[^"]*"')

# Some services obey these instead of the method and path that the gateway has checked, or take them for what the gateway
# says about the client. ``proxy`` becomes HTTP_PROXY under CGI.
_OVERRIDES = frozenset(
    (
        b"client-ip",
        b"front-end-https",
        b"proxy",
        b"true-client-ip",
        b"x-client-ip",
        b"x-cluster-client-ip",
        b"x-forwarded",
        b"x-forwarded-by",
        b"x-forwarded-client-cert",
        b"x-forwarded-email",
        b"x-forwarded-groups",
        b"x-forwarded-preferred-username",
        b"x-forwarded-scheme",
        b"x-forwarded-ssl",
        b"x-forwarded-uri",
        b"x-forwarded-user",
        b"x-host",
        b"x-http-method",
        b"x-http-method-override",
        b"x-method-override",
        b"x-original-forwarded-for",
        b"x-original-host",
        b"x-original-method",
        b"x-original-uri",
        b"x-original-url",
        b"x-rewrite-url",
        b"x-url-scheme",
    )
)

# Numbers: ``b"_" in name`` raises and clears a TypeError within, which is 1,600 instructions.
_UNDERSCORE: Final = 0x5F
_BLANK: Final = 0x20

_NO_NAMES: Final[frozenset[bytes]] = frozenset()
_FROM_CLIENT: Final = HOP_BY_HOP | _GATEWAY_FIELDS | _OVERRIDES

# Dropped from a request whose answer the gateway parses: the answer must not come compressed, or in part.
CODING_AND_RANGE_FIELDS: Final = frozenset((b"accept-encoding", b"range", b"if-range"))

# These describe the bytes of a representation (RFC 9110 section 8, RFC 9530), and are dropped when it is written anew.
CONTENT_FIELDS: Final = frozenset(
    (
        *(b"content-length", b"content-type", b"accept-ranges", b"digest", b"content-digest", b"repr-digest"),
        *(b"content-md5", b"signature", b"signature-input"),
    )
)

# With the validators: dropped when another representation replaces it.
REPRESENTATION_FIELDS: Final = CONTENT_FIELDS | {b"etag", b"last-modified"}

# Fields of which every line counts, so that one more line replaces none.
REPEATABLE_FIELDS: Final = frozenset((b"set-cookie", b"link", b"vary", b"www-authenticate"))


def nominated(headers: Iterable[tuple[bytes, bytes]]) -> frozenset[bytes]:
    """Return the names that ``Connection`` headers declare as hop-by-hop (RFC 9110 section 7.6.1)."""
    connection = [value for key, value in headers if key == b"connection"]
    if not connection:
        return _NO_NAMES
    return frozenset(name.strip().lower() for value in connection for name in value.split(b","))


def block(lines: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return header lines as bytes of a head, each with its CRLF; for lines that many requests share.

    Raises ValueError for anything that could break out of its line.
    """
    lines_bytes = b""
    for name, value in lines:
        if not TOKEN.fullmatch(name) or FORBIDDEN_IN_VALUE.search(value):
            raise ValueError(f"not a header line: {name!r}")
        lines_bytes += name + b": " + value + b"\r\n"
    return lines_bytes


def to_upstream(client: Sequence[tuple[bytes, bytes]], *, strip: Collection[bytes]) -> Headers:
    """Return the header lines of the client that are forwarded to the service.

    ``strip`` names what the route withholds (identity headers, consumed credentials). Names with an underscore are
    dropped: WSGI and CGI services read ``request_user_id`` as ``request-user-id``.
    """
    named = nominated(client)
    return [
        (name, value)
        for name, value in client
        if name not in _FROM_CLIENT and name not in named and name not in strip and _UNDERSCORE not in name
    ]


def withheld(name: bytes, strip: Collection[bytes]) -> bool:
    """Tell whether ``to_upstream`` drops headers of this ``name``."""
    return name in _FROM_CLIENT or name in strip or _UNDERSCORE in name


def to_client(upstream: Sequence[tuple[bytes, bytes]], *, bodyless: bool) -> Headers:
    """Return the header lines of the service that are forwarded to the client.

    ``bodyless`` is for 204 and 304, which never have content, so ``Content-Length`` is dropped (RFC 9110 section 8.6).
    """
    named = nominated(upstream)
    return [
        (name, value)
        for name, value in upstream
        if name not in _FROM_UPSTREAM and name not in named and not (bodyless and name == b"content-length")
    ]


def values(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    """Return every value of ``name`` in order."""
    return [value for key, value in headers if key == name]


def trimmed(value: bytes) -> bytes:
    """Return a field value without the white space at its ends, which is not part of it (RFC 9110 section 5.5)."""
    if value and (value[-1] <= _BLANK or value[0] <= _BLANK):
        return value.strip(b" \t")
    return value


class Head:
    """The header lines of a request, indexed by name."""

    __slots__ = ("_by_name", "_unique", "lines")

    def __init__(self, lines: Headers) -> None:
        """Index ``lines``, which must not change any more."""
        self.lines = lines
        self._by_name = dict(lines)
        # Nearly every head has each header once. Then one look-up is enough, which is 0.3 us less than a scan of all lines.
        self._unique = len(self._by_name) == len(lines)

    def all(self, name: bytes) -> list[bytes]:
        """Return every value of ``name`` in order."""
        value = self._by_name.get(name)
        if value is None:
            return []
        return [value] if self._unique else values(self.lines, name)

    def none(self, names: frozenset[bytes]) -> bool:
        """Tell whether there is no header with one of ``names``."""
        return names.isdisjoint(self._by_name)


def is_json(content_type: bytes) -> bool:
    """Tell whether a media type is JSON: ``application/json`` or any ``application/*+json`` (RFC 6839)."""
    essence = content_type.partition(b";")[0].strip().lower()
    return essence == b"application/json" or (essence.startswith(b"application/") and essence.endswith(b"+json"))


def weakened(lines: Headers, kept: frozenset[bytes] = frozenset()) -> Headers:
    """Return ``lines`` with a tag that holds weakly, for bytes that were written anew (RFC 9110 section 8.8.1).

    A tag among ``kept`` stays as it is.
    """
    return [
        (name, b"W/" + value if name == b"etag" and value not in kept and not value.startswith(b"W/") else value)
        for name, value in lines
    ]


def entity_tags(values: list[bytes]) -> frozenset[bytes]:
    """Return the tags in lists of them, such as those of ``If-None-Match``; a weak one with its ``W/``."""
    return frozenset(tag for value in values for tag in _ENTITY_TAG.findall(value))
