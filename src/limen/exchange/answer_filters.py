"""What policies make of one answer: phases 12 to 14. Both engines pass every answer through here if a policy is declared.

1. ``store``        who keeps the answer of the service taps its content, before anything is made for this client
2. ``answer_head``  changes the head of any answer
3. ``encode``       changes content; then what the head said of the bytes is said no more
"""

from typing import Final

from limen.exchange.answer import Answer
from limen.exchange.calling import call_all
from limen.exchange.hooks import Hooks, Tap, Transform
from limen.exchange.request import Request
from limen.exchange.transforms import chained
from limen.http.headers import CONTENT_FIELDS, weakened
from limen.http.replies import Reply

_BODYLESS: Final = frozenset((204, 304))

# What is not to be encoded: content that is a part, and answers that have none.
_AS_IT_IS: Final = frozenset((204, 206, 304))

_CONTENT_FIELDS: Final = CONTENT_FIELDS - {b"content-type"}


class AnswerFilters:
    """The taps and transforms of one answer. ``end`` or ``abort`` is called once it is over; both may be called twice."""

    __slots__ = ("_taps", "_transform")

    def __init__(self, hooks: Hooks, request: Request, answer: Answer) -> None:
        """Let the policies see ``answer``, whose head they may change in place, and take what wants its content."""
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
        if request.method != b"HEAD":  # of which there is no content, and whose head is that of GET
            self._transform = chained(transforms)

    def feed(self, data: bytes) -> bytes:
        """Take a piece of content; return what goes out now."""
        for tap in self._taps:
            tap.feed(data)
        return data if self._transform is None else self._transform.feed(data)

    def flush(self) -> bytes:
        """Nothing more has come for now: return what need not wait."""
        return b"" if self._transform is None else self._transform.flush()

    def end(self) -> bytes:
        """The content is whole: return the rest."""
        taps, self._taps = self._taps, []
        call_all([tap.end for tap in taps])
        transform, self._transform = self._transform, None
        return b"" if transform is None else transform.end()

    def abort(self) -> None:
        """The content will not become whole, or nobody waits for it."""
        taps, self._taps = self._taps, []
        self._transform = None
        call_all([tap.abort for tap in taps])


def filtered(reply: Reply, hooks: Hooks, request: Request, source: str) -> Reply:
    """Return a whole answer as policies leave it."""
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
    if answer.status in _AS_IT_IS:
        return False
    for name, value in answer.lines:
        if name == b"content-encoding" or (name == b"cache-control" and b"no-transform" in value.lower()):
            return False
    return True
