"""``Respond``: a fixed answer, without a request to a service."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from limen.exchange.policy import Environment, RouteFacts
from limen.exchange.request import Request
from limen.http.declared import field_name, field_value, kept_of_answers
from limen.http.replies import Reply

_BODYLESS = (204, 205)


@dataclass(frozen=True, slots=True)
class Respond:
    """Answers every request with ``status`` and ``content``. No service is asked, and the caller is not identified.

    ``content`` is text (``text/plain; charset=utf-8``), bytes (``application/octet-stream``) or any other value, which
    becomes JSON (``application/json``); None is no content. ``media_type`` replaces these types. ``headers`` are more fields.

    It answers when the route is known and before the caller is, so it stands only on routes with ``allow=anyone``: any other
    rule would go unasked. The nearest one on a route replaces all others. ``Redirect`` sends the client to another address.

    As ``fallback=`` of a route it is no policy: it answers where the service does not, and callers are identified as always.
    """

    rank: ClassVar[int] = 300
    adds: ClassVar[bool] = False

    status: int
    content: object = field(default=None, repr=False, compare=False)
    media_type: str = field(default="", kw_only=True)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], kw_only=True, repr=False, compare=False)
    lines: tuple[tuple[bytes, bytes], ...] = field(init=False, repr=False)
    body: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check the answer, and encode it."""
        if not 200 <= self.status <= 599 or self.status == 304:
            raise ValueError(
                f"Respond: status={self.status!r} is no status of a fixed answer; use 200 to 599 without 304"
            )
        if self.content is not None and self.status in _BODYLESS:
            raise ValueError(f"Respond: an answer with status {self.status} has no content; leave it out")
        if self.content is None and self.media_type:
            raise ValueError(f"Respond: media_type={self.media_type!r} is for content, and there is none; leave it out")
        body, kind = _encoded(self.content)
        lines: list[tuple[bytes, bytes]] = []
        try:
            if body is not None:
                lines.append((b"content-type", field_value(b"content-type", self.media_type or kind)))
            for given, value in self.headers.items():
                name = field_name(given)
                if name == b"content-type":
                    raise ValueError("'content-type' is said by media_type=")
                if (why := kept_of_answers(name)) is not None:
                    raise ValueError(f"{given!r} {why}; leave it out")
                lines.append((name, field_value(name, value)))
        except (TypeError, ValueError) as error:
            raise ValueError(f"Respond: {error}") from None
        if len(dict(lines)) != len(lines):
            raise ValueError("Respond: headers= has a name twice, in two spellings; leave one out")
        if self.status != 204:
            lines.append((b"content-length", b"%d" % len(body or b"")))
        object.__setattr__(self, "lines", tuple(lines))
        object.__setattr__(self, "body", body or b"")

    @property
    def name(self) -> str:
        """One name for all: a route has one of them."""
        return "respond"

    def check(self, facts: RouteFacts) -> Iterator[str]:
        """Yield what is wrong on the route of ``facts``."""
        if not facts.public:
            yield f"Respond answers before the caller is known: the rule of {facts.route} would go unasked; say allow=anyone"

    def live(self, environment: Environment) -> "LiveRespond":
        """Return the live policy, which answers."""
        return LiveRespond(self.status, self.lines, self.body)


class LiveRespond:
    """Answers the same each time, but for the request id."""

    __slots__ = ("_body", "_lines", "_status")

    def __init__(self, status: int, lines: tuple[tuple[bytes, bytes], ...], body: bytes) -> None:
        """Hold the answer."""
        self._status = status
        self._lines = lines
        self._body = body

    def arrive(self, request: Request) -> Reply:
        """Answer."""
        return Reply(self._status, [*self._lines, (b"x-request-id", request.request_id.encode())], self._body)


def _encoded(content: object) -> tuple[bytes | None, str]:
    """Return content and media type. Raises ValueError for what is no JSON."""
    if content is None:
        return None, ""
    if isinstance(content, str):
        return content.encode(), "text/plain; charset=utf-8"
    if isinstance(content, bytes):
        return content, "application/octet-stream"
    try:
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode(), "application/json"
    except (TypeError, ValueError, RecursionError):
        raise ValueError(
            f"Respond: content of {type(content).__name__} is no text, no bytes, and cannot be JSON"
        ) from None
