"""``Redirect``: the client is sent to another address, which may be made of the path's parameters.

Whoever writes the path of a request writes a part of the address, so what they write stays within the path, or the query,
that was declared: it can name neither another host, nor another parameter of the query.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from limen.errors import Fault, Kind
from limen.exchange.policy import Environment, RouteFacts
from limen.exchange.request import Request
from limen.http.replies import Reply
from limen.routing.path import Pattern

STATUSES = (301, 302, 303, 307, 308)

_PARAMETER = re.compile(r"\{([^{}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# RFC 3986 section 3.3 and 3.4, percent-encoding included; a backslash is a slash to browsers.
_LITERAL = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?#]|%[0-9A-Fa-f]{2})*")
_AUTHORITY = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9\-.]*[A-Za-z0-9])?)(?::[0-9]{1,5})?")
_ELSEWHERE = re.compile(rb"/[/\\]")
# What ends a parameter of a query, or stands for a blank in one; a path has neither '#' nor '?'.
_ENDS = re.compile(rb"[&=+;]")


@dataclass(frozen=True, slots=True)
class Redirect:
    """Sends the client to ``location``, a path such as ``/new/{name}`` or an address such as ``https://docs.example/{path}``.

    ``{name}`` stands for a path parameter of the route, and is put in as the client wrote it, percent-encoding included.
    Within a query, what would separate parameters there is encoded. The host is always as declared.

    ``status`` is 307 unless given: 301 and 308 are permanent, 302, 303 and 307 are not; 307 and 308 keep method and body,
    303 asks for a GET, and with 301 and 302 clients do as they like. ``query`` says whether the query of the request goes
    with it, after that of ``location``, if it has one.

    It has its say when the route is known and before the caller is, so it stands on routes with ``allow=anyone`` alone: any
    other rule would go unasked. The nearest one on a route takes the place of all others.

    Raises ValueError that says what to mend.
    """

    rank: ClassVar[int] = 200
    adds: ClassVar[bool] = False

    location: str
    status: int = field(default=307, kw_only=True)
    query: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        """Refuse what is no address, and what would let a client choose the host."""
        where = f"Redirect({self.location!r})"
        if self.status not in STATUSES:
            raise ValueError(f"Redirect: status={self.status!r} is none of {', '.join(map(str, STATUSES))}")
        path = self.location
        if path.startswith(("http://", "https://")):
            # What is before the path's own slash is the host: a parameter there, or right behind it, would choose it.
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
        """The parameters that it needs."""
        return frozenset(_PARAMETER.findall(self.location))

    @property
    def name(self) -> str:
        """One name: a route has one of them."""
        return "redirect"

    def check(self, facts: RouteFacts) -> Iterator[str]:
        """Yield what is wrong with it on the route of ``facts``."""
        if not facts.public:
            yield f"Redirect answers before the caller is known: the rule of {facts.route} would go unasked; say allow=anyone"
        if missing := self.names - facts.path_params:
            yield f"Redirect({self.location!r}): the path of {facts.route} has no parameter {sorted(missing)[0]!r}"

    def live(self, environment: Environment) -> "LiveRedirect":
        """Return what answers."""
        return LiveRedirect(self)


class LiveRedirect:
    """Answers with the address that a declaration makes of a request."""

    __slots__ = ("_fragment", "_parts", "_patterns", "_query", "_status")

    def __init__(self, declared: Redirect) -> None:
        """Take the address apart: literal bytes, and parameters, each with whether it is within the query."""
        before, mark, fragment = declared.location.partition("#")
        self._status = declared.status
        self._query = declared.query
        self._fragment = (mark + fragment).encode()
        self._patterns: dict[str, Pattern] = {}  # of the routes that it stands on
        self._parts: list[bytes | tuple[str, bool]] = []
        within = False
        for index, piece in enumerate(_PARAMETER.split(before)):
            if index % 2:
                self._parts.append((piece, within))
            elif piece:
                within = within or "?" in piece
                self._parts.append(piece.encode())

    def arrive(self, request: Request) -> Reply | Fault:
        """Answer; a path that would make another host of a path is refused, though the router lets none come here."""
        raw = self._raw(request)
        location = b"".join(
            part if isinstance(part, bytes) else _written(raw[part[0]], within=part[1]) for part in self._parts
        )
        if _ELSEWHERE.match(location):
            return Fault(Kind.BAD_PATH)
        if self._query and request.query is not None:
            location += (b"&" if b"?" in location else b"?") + request.query
        lines = [
            (b"location", location + self._fragment),
            (b"content-length", b"0"),
            (b"x-request-id", request.request_id.encode()),
        ]
        return Reply(self._status, lines, b"")

    def _raw(self, request: Request) -> dict[str, bytes]:
        """Return the path parameters as the client wrote them: decoded, ``%2F`` would be a slash."""
        pattern = self._patterns.get(request.route)
        if pattern is None:
            pattern = self._patterns[request.route] = Pattern.parse(request.route)
        pieces = request.path[1:].split(b"/")
        return {
            segment.text: b"/".join(pieces[index:]) if segment.tail else pieces[index]
            for index, segment in enumerate(pattern.segments)
            if segment.parameter
        }


def _written(raw: bytes, *, within: bool) -> bytes:
    """Return a raw parameter as it stands in the address; ``within`` is in its query."""
    return _ENDS.sub(lambda found: b"%%%02X" % ord(found[0]), raw) if within else raw
