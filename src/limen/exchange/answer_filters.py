"""What policies make of one answer: phases 12 to 14. Both engines pass every answer through here if a policy has a say in it.

1. ``store``        a tap gets the content of the service's answer, before it is changed for this client
2. ``answer_head``  changes the head of any answer
3. ``encode``       changes content; then what the head said of the bytes is said no more

A tap that fails is aborted, and costs the client nothing. What else fails raises.
"""

from collections.abc import Callable
from typing import Final

from limen.exchange.answer import Answer, Source
from limen.exchange.granted import Tap, Transform
from limen.exchange.hooks import Hooks
from limen.exchange.request import Request
from limen.exchange.transforms import chain
from limen.http.headers import CONTENT_FIELDS, block, weakened
from limen.http.replies import Reply

_BODYLESS: Final = frozenset((204, 304))

# Answers that are not encoded: those without content, and those with a part of it.
_NOT_ENCODED: Final = frozenset((204, 206, 304))

_CONTENT_FIELDS: Final = CONTENT_FIELDS - {b"content-type"}


class AnswerFilters:
    """The taps and transforms of one answer. ``end`` or ``abort`` is called once it is over; both may be called twice.

    ``changes_content`` says that its first piece may fail, or take time: the head should wait for it.
    """

    __slots__ = ("_drops", "_failed", "_taps", "_transform")

    def __init__(
        self, hooks: Hooks, request: Request, answer: Answer, failed: Callable[[], None], *, whole: bool = False
    ) -> None:
        """Let the policies see ``answer``, whose head they may change in place, and take what wants its content.

        ``failed`` is called within the handler of what a tap raises. ``whole`` says that the content is at hand, also of an
        answer to HEAD. Raises ValueError for a header line that a policy has made and that could break out of its line.
        """
        self._failed = failed
        self._taps: list[Tap] = []
        self._transform: Transform | None = None
        try:
            if answer.source == "upstream" and request.method != b"HEAD":
                for store in hooks.store:
                    if (tap := store(request, answer)) is not None:
                        self._taps.append(tap)  # one by one: the next may raise
            for change in hooks.answer_head:
                change(request, answer)
            if hooks.encode and _encodable(answer):
                self._encode(hooks, request, answer, whole=whole)
            block(answer.lines)
        except BaseException:
            self.abort()
            raise
        self._drops = answer.status in _BODYLESS  # a policy may have said so
        if self._drops:
            answer.lines[:] = [line for line in answer.lines if line[0] != b"content-length"]

    def _encode(self, hooks: Hooks, request: Request, answer: Answer, *, whole: bool) -> None:
        transforms = [one for encode in hooks.encode if (one := encode(request, answer)) is not None]
        if not transforms:
            return
        answer.length = None
        answer.lines[:] = weakened([line for line in answer.lines if line[0] not in _CONTENT_FIELDS])
        if whole or request.method != b"HEAD":  # of which there is no content, and whose head is that of GET
            self._transform = chain(transforms)

    @property
    def changes_content(self) -> bool:
        """Tell whether content is changed."""
        return self._transform is not None

    def feed(self, data: bytes) -> bytes:
        """Take a piece of content; return what goes out now."""
        for tap in list(self._taps):
            try:
                tap.feed(data)
            except Exception:
                self._failed()
                self._taps.remove(tap)
                self._tell(tap.abort)
        if self._drops:
            return b""
        return data if self._transform is None else self._transform.feed(data)

    def flush(self) -> bytes:
        """Nothing more has come for now: return what need not wait."""
        return b"" if self._transform is None or self._drops else self._transform.flush()

    def end(self) -> bytes:
        """The content is complete: return the rest."""
        taps, self._taps = self._taps, []
        for tap in taps:
            self._tell(tap.end)
        transform, self._transform = self._transform, None
        return b"" if transform is None or self._drops else transform.end()

    def abort(self) -> None:
        """The content will not become whole, or nobody waits for it. Never raises."""
        taps, self._taps = self._taps, []
        self._transform = None
        for tap in taps:
            self._tell(tap.abort)

    def _tell(self, tell: Callable[[], None]) -> None:
        try:
            tell()
        except Exception:
            self._failed()


def filter_reply(reply: Reply, hooks: Hooks, request: Request, source: Source, failed: Callable[[], None]) -> Reply:
    """Return a whole answer as policies leave it; its length is that of its content. Raises as ``AnswerFilters`` does."""
    answer = Answer(reply.status, list(reply.headers), len(reply.body), source)
    filters = AnswerFilters(hooks, request, answer, failed, whole=True)
    try:
        body = filters.feed(reply.body)
        body += filters.end()
    except BaseException:
        filters.abort()
        raise
    lines = answer.lines
    if answer.status not in _BODYLESS:
        lines = [line for line in lines if line[0] != b"content-length"]
        lines.append((b"content-length", b"%d" % len(body)))
    return Reply(answer.status, lines, body)


def _encodable(answer: Answer) -> bool:
    if answer.status in _NOT_ENCODED:
        return False
    for name, value in answer.lines:
        if name == b"content-encoding" or (name == b"cache-control" and b"no-transform" in value.lower()):
            return False
    return True
