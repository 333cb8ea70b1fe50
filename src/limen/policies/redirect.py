"""``Redirect``: sends the client to another address, which may hold parameters of the path.

The sender of a request writes such a part of the address. It stays within the declared path or query: it can name neither
another host, nor another parameter of the query.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from limen.errors import Fault, Kind
from limen.exchange.policy import Environment, RouteFacts
from limen.exchange.request import Request
from limen.http.replies import Reply
from limen.routing.matcher import raw_values
from limen.routing.pattern import Pattern

STATUSES = (301, 302, 303, 307, 308)

_PARAMETER = re.compile(r"\{([^{}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# RFC 3986 section 3.3 and 3.4, percent-encoding included; a backslash is a slash to browsers.
_LITERAL = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?#]|%[0-9A-Fa-f]{2})*")
_AUTHORITY = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9\-.]*[A-Za-z0-9])?)(?::[0-9]{1,5})?")
_OTHER_HOST = re.compile(rb"/[/\\]")
# What ends a parameter of a query, or means a blank in one. A path has neither '#' nor '?'.
_QUERY_SEPARATORS = re.compile(rb"[&=+;]")


@dataclass(frozen=True, slots=True)
class Redirect:
    """Sends the client to ``location``, a path such as ``/new/{name}`` or an address such as ``https://docs.example/{path}``.

    ``{name}`` is replaced by a path parameter of the route as the client wrote it, percent-encoding included. Within a query,
    characters that separate parameters are encoded. The host is always as declared.

    ``status`` is 307 unless given: 301 and 308 are permanent, 302, 303 and 307 are not; 307 and 308 keep method and body,
    303 asks for a GET, and with 301 and 302 clients differ. ``query`` says whether the query of the request is kept, after
    that of ``location``, if it has one.

    It answers when the route is known and before the caller is, so it stands only on routes with ``allow=anyone``: any other
    rule would go unasked. The nearest one on a route replaces all others.

    Raises ValueError that says what to mend.
    """

    rank: ClassVar[int] = 200
    adds: ClassVar[bool] = False

    location: str
    status: int = field(default=307, kw_only=True)
    query: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        """Refuse a location that is no address, or that would let a client choose the host."""
        where = f"Redirect({self.location!r})"
        if self.status not in STATUSES:
            raise ValueError(f"Redirect: status={self.status!r} is none of {', '.join(map(str, STATUSES))}")
        path = self.location
        if path.startswith(("http://", "https://")):
            # The host ends at the first slash of the path: a parameter in it, or right behind it, would choose the host.
            authority, slash, path = path.partition("://")[2].partition("/")
            if "@" in authority:  # messages repeat the address
                raise ValueError(
                    "Redirect: a location must not hold a user name or a password, nor any '@' before its path"
                )
            if not slash or not _AUTHORITY.fullmatch(authority):
                raise ValueError(f"{where}: write the host in full, without a parameter, and a '/' after it")
        elif not path.startswith("/") or path.startswith("//"):
            raise ValueError(f"{where}: begin with one '/', or with https:// or http://")
        pieces = _PARAMETER.split(path)
        if not all(_LITERAL.fullmatch(piece) for piece in pieces[::2]):
            raise ValueError(
                f"{where}: an address has letters, digits, {{name}} and the characters of a URL; percent-encode all else"
            )
        for name in pieces[1::2]:
            if not _NAME.fullmatch(name):
                raise ValueError(f"{where}: {{{name}}} is no path parameter; write {{name}}")
        before, _, fragment = self.location.partition("#")
        if "{" in fragment or "#" in fragment or before.count("?") > 1:
            raise ValueError(f"{where}: one '?' and one '#' at most, and no parameter after '#'")

    @property
    def names(self) -> frozenset[str]:
        """The path parameters that it needs."""
        return frozenset(_PARAMETER.findall(self.location))

    @property
    def name(self) -> str:
        """One name for all: a route has one of them."""
        return "redirect"

    def check(self, facts: RouteFacts) -> Iterator[str]:
        """Yield what is wrong on the route of ``facts``."""
        if not facts.public:
            yield f"Redirect answers before the caller is known: the rule of {facts.route} would go unasked; say allow=anyone"
        if missing := self.names - facts.path_params:
            yield f"Redirect({self.location!r}): the path of {facts.route} has no parameter {sorted(missing)[0]!r}"

    def live(self, environment: Environment) -> "LiveRedirect":
        """Return the live policy, which answers."""
        return LiveRedirect(self)


class LiveRedirect:
    """Answers with the address that a declaration gives for a request."""

    __slots__ = ("_fragment", "_parts", "_patterns", "_query", "_status")

    def __init__(self, declared: Redirect) -> None:
        """Split the address into literal bytes and parameters, each with whether it is within the query."""
        before, mark, fragment = declared.location.partition("#")
        self._status = declared.status
        self._query = declared.query
        self._fragment = (mark + fragment).encode()
        self._patterns: dict[str, Pattern] = {}  # by route
        self._parts: list[bytes | tuple[str, bool]] = []
        in_query = False
        for index, piece in enumerate(_PARAMETER.split(before)):
            if index % 2:
                self._parts.append((piece, in_query))
            elif piece:
                in_query = in_query or "?" in piece
                self._parts.append(piece.encode())

    def arrive(self, request: Request) -> Reply | Fault:
        """Answer. A path that would turn into another host is refused, though the router lets none come here."""
        raw = self._raw_parameters(request)
        location = b"".join(
            part if isinstance(part, bytes) else _encode_parameter(raw[part[0]], in_query=part[1])
            for part in self._parts
        )
        if _OTHER_HOST.match(location):
            return Fault(Kind.BAD_PATH)
        if self._query and request.query is not None:
            location += (b"&" if b"?" in location else b"?") + request.query
        lines = [
            (b"location", location + self._fragment),
            (b"content-length", b"0"),
            (b"x-request-id", request.request_id.encode()),
        ]
        return Reply(self._status, lines, b"")

    def _raw_parameters(self, request: Request) -> dict[str, bytes]:
        """Return the path parameters as the client wrote them. Decoded, ``%2F`` would be a slash."""
        pattern = self._patterns.get(request.route)
        if pattern is None:
            pattern = self._patterns[request.route] = Pattern.parse(request.route)
        return raw_values(pattern, request.path)


def _encode_parameter(raw: bytes, *, in_query: bool) -> bytes:
    """Return a raw parameter as it stands in the address; ``in_query`` says that it is within the query."""
    return _QUERY_SEPARATORS.sub(lambda found: b"%%%02X" % ord(found[0]), raw) if in_query else raw
