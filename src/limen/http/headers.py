"""The head of a message as it crosses the gateway: what is dropped, what is added. Bytes in, bytes out; no I/O.

Header names are lower-case ``bytes`` everywhere. What is forwarded is built anew from what was parsed; a client cannot
remove a header that the gateway sets, because the gateway adds its own after everything else was dropped.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Final

Headers = list[tuple[bytes, bytes]]

# RFC 9110 section 7.6.1, with the historical names that intermediaries are told to drop as well.
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

# The gateway states these itself: what a client says of them is replaced, or believed as ``limen.client.trust`` says.
_OWN = frozenset(
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

# The server in front writes its own Date; two of them would be an invalid message. Server names software: not told.
_FROM_UPSTREAM: Final = HOP_BY_HOP | {b"date", b"server", b"x-request-id"}

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
BREAKS = re.compile(rb"[\x00\r\n]")

# What some services obey in place of the method and the path that the gateway has checked, or believe about the client as
# if the gateway had said it. ``proxy`` becomes HTTP_PROXY under CGI.
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

# As a number: looking for a byte as bytes raises and clears a TypeError within, which is 1,600 instructions.
_UNDERSCORE: Final = 0x5F
_BLANK: Final = 0x20

_NONE: Final[frozenset[bytes]] = frozenset()
_FROM_CLIENT: Final = HOP_BY_HOP | _OWN | _OVERRIDES

# Of a request whose answer has to be read: it must not come compressed, or in part.
OF_THE_ENCODING: Final = frozenset((b"accept-encoding", b"range", b"if-range"))

# What describes the bytes of a representation that the gateway has written anew (RFC 9110 section 8, RFC 9530).
OF_THE_BYTES: Final = frozenset(
    (
        *(b"content-length", b"content-type", b"accept-ranges", b"digest", b"content-digest", b"repr-digest"),
        *(b"content-md5", b"signature", b"signature-input"),
    )
)

# What describes one that the gateway has replaced by another.
OF_THE_ORIGINAL: Final = OF_THE_BYTES | {b"etag", b"last-modified"}

# Names of which several lines say several things.
SEVERAL: Final = frozenset((b"set-cookie", b"link", b"vary", b"www-authenticate"))


def nominated(headers: Iterable[tuple[bytes, bytes]]) -> frozenset[bytes]:
    """Return the names that ``Connection`` headers declare as hop-by-hop (RFC 9110 section 7.6.1)."""
    given = [value for key, value in headers if key == b"connection"]
    if not given:
        return _NONE
    return frozenset(name.strip().lower() for value in given for name in value.split(b","))


def block(lines: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return header lines as they stand in a head, each with its end.

    Raises ValueError for anything that could break out of its line. What is the same for many requests is made once.
    """
    made = b""
    for name, value in lines:
        if not TOKEN.fullmatch(name) or BREAKS.search(value):
            raise ValueError(f"not a header line: {name!r}")
        made += name + b": " + value + b"\r\n"
    return made


def to_upstream(client: Sequence[tuple[bytes, bytes]], *, strip: Collection[bytes]) -> Headers:
    """Return those header lines of the client that the service behind gets.

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
    """Tell whether no header of this ``name`` reaches a service as the client sent it; see ``to_upstream``."""
    return name in _FROM_CLIENT or name in strip or _UNDERSCORE in name


def to_client(upstream: Sequence[tuple[bytes, bytes]], *, bodyless: bool) -> Headers:
    """Return the header lines for the client.

    ``bodyless`` is for 204 and 304, which never have content: a length there would only mislead (RFC 9110 section 8.6).
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
    """Return a field value without the white space at its ends, which is no part of it (RFC 9110 section 5.5)."""
    if value and (value[-1] <= _BLANK or value[0] <= _BLANK):
        return value.strip(b" \t")
    return value


class Head:
    """The header lines of a request, and a quick way to those of one name."""

    __slots__ = ("_found", "_single", "lines")

    def __init__(self, lines: Headers) -> None:
        """Index ``lines``, which must not change any more."""
        self.lines = lines
        self._found = dict(lines)
        # Nearly every head names each header once: then one look finds it, which is 0.3 us less than going through all.
        self._single = len(self._found) == len(lines)

    def all(self, name: bytes) -> list[bytes]:
        """Return every value of ``name`` in order."""
        value = self._found.get(name)
        if value is None:
            return []
        return [value] if self._single else values(self.lines, name)

    def none(self, names: frozenset[bytes]) -> bool:
        """Tell whether none of ``names`` is there."""
        return names.isdisjoint(self._found)


def is_json(content_type: bytes) -> bool:
    """Tell whether a media type is JSON: ``application/json`` or any ``application/*+json`` (RFC 6839)."""
    essence = content_type.partition(b";")[0].strip().lower()
    return essence == b"application/json" or (essence.startswith(b"application/") and essence.endswith(b"+json"))


def weakened(lines: Headers) -> Headers:
    """Return ``lines`` with a tag that holds weakly, for bytes that were written anew (RFC 9110 section 8.8.1)."""
    return [
        (name, b"W/" + value if name == b"etag" and not value.startswith(b"W/") else value) for name, value in lines
    ]
