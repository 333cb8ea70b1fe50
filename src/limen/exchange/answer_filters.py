"""What policies do to one answer: phases 12 to 14. Both engines pass every answer through here if a policy is declared.

1. ``store``        a tap gets the content of the service's answer, before it is changed for this client
2. ``answer_head``  changes the head of any answer
3. ``encode``       changes content; header fields about the old bytes are removed
"""

from collections.abc import Callable
from typing import Final

from limen.exchange.answer import Answer
from limen.exchange.hooks import Hooks, Tap, Transform
from limen.exchange.request import Request
from limen.exchange.transforms import chain
from limen.http.headers import CONTENT_FIELDS, weakened
from limen.http.replies import Reply

_BODYLESS: Final = frozenset((204, 304))

# Answers that are not encoded: those without content, and those with a part of it.
_NOT_ENCODED: Final = frozenset((204, 206, 304))

_CONTENT_FIELDS: Final = CONTENT_FIELDS - {b"content-type"}


class AnswerFilters:
    """The taps and transforms of one answer. ``end`` or ``abort`` is called when it is over; either may be called again."""

    __slots__ = ("_taps", "_transform")

    def __init__(self, hooks: Hooks, request: Request, answer: Answer) -> None:
        """Call the hooks, which may change the head of ``answer`` in place, and keep the taps and transforms they return."""
        self._taps: list[Tap] = []
        self._transform: Transform | None = None
        try:
            if answer.source == "upstream":
                for store in hooks.store:
                    tap = store(request, answer)
                    if tap is not None:
                        self._taps.append(tap)
            for change in hooks.answer_head:
                change(request, answer)
            if hooks.encode and _encodable(answer):
                self._encode(hooks, request, answer)
        except BaseException:
            self.abort()
            raise

    def _encode(self, hooks: Hooks, request: Request, answer: Answer) -> None:
        transforms = [one for encode in hooks.encode if (one := encode(request, answer)) is not None]
        if not transforms:
            return
        answer.length = None
        answer.lines[:] = weakened([line for line in answer.lines if line[0] not in _CONTENT_FIELDS])
        if request.method != b"HEAD":  # an answer to HEAD has the head of GET, and no content
            self._transform = chain(transforms)

    def feed(self, data: bytes) -> bytes:
        """Take a piece of content; return what goes out now."""
        for tap in self._taps:
            tap.feed(data)
        return data if self._transform is None else self._transform.feed(data)

    def flush(self) -> bytes:
        """No more content has come for now: return what need not wait."""
        return b"" if self._transform is None else self._transform.flush()

    def end(self) -> bytes:
        """The content is complete: return the rest."""
        taps, self._taps = self._taps, []
        _call_each(taps, lambda tap: tap.end())
        transform, self._transform = self._transform, None
        return b"" if transform is None else transform.end()

    def abort(self) -> None:
        """The content will not be complete, or nobody waits for it."""
        taps, self._taps = self._taps, []
        self._transform = None
        _call_each(taps, lambda tap: tap.abort())


def _call_each(taps: list[Tap], call: Callable[[Tap], None]) -> None:
    """Call ``call`` with each tap, also after one has raised; then raise the first error."""
    errors: list[Exception] = []
    for tap in taps:
        try:
            call(tap)
        except Exception as error:
            errors.append(error)
    if errors:
        raise errors[0]


def filter_reply(reply: Reply, hooks: Hooks, request: Request, source: str) -> Reply:
    """Return a whole answer as the policies change it."""
    answer = Answer(reply.status, list(reply.headers), len(reply.body), "upstream" if source == "upstream" else "local")
    if source == "cache":
        answer.source = "cache"
    filters = AnswerFilters(hooks, request, answer)
    try:
        body = filters.feed(reply.body)
        body += filters.end()
    except BaseException:
        filters.abort()
        raise
    lines = answer.lines
    if answer.length is None and answer.status not in _BODYLESS:
        lines.append((b"content-length", str(len(body)).encode()))
    return Reply(answer.status, lines, body)


def _encodable(answer: Answer) -> bool:
    if answer.status in _NOT_ENCODED:
        return False
    for name, value in answer.lines:
        if name == b"content-encoding" or (name == b"cache-control" and b"no-transform" in value.lower()):
            return False
    return True
