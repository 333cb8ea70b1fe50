"""The requests of one client connection, which are answered in the order in which they came (RFC 9112 section 9.3.2).

Whether the next one may begin now is for the connection to say: it knows whether the client takes what is written.
"""

import contextlib
from collections import deque
from typing import Final, final

from limen.engines.direct import record
from limen.engines.direct.exchange import DirectExchange
from limen.engines.direct.input_buffer import MOST_WAITING
from limen.engines.direct.pipelined import GONE, PipelinedRequest
from limen.engines.direct.worker_state import WorkerState
from limen.errors import Fault

# Bytes of a head beyond which a request waits for its turn with all that is in line: a long token, query or list of cookies
# costs a hundred times as much as a short one, and who sends it all the time must not be served before everybody else.
HEAVY: Final = 2048


@final
class RequestQueue:
    """``newest`` is the one whose body may still come, ``serving`` the one whose turn it is or was.

    Behind that, others are ``waiting``, the newest first. What the direct engine serves is counted in ``state``.
    """

    __slots__ = ("_cut_by", "_state", "newest", "serving", "waiting")

    def __init__(self, state: WorkerState) -> None:
        """No request has come."""
        self._state = state
        self._cut_by: Fault = GONE
        self.waiting: deque[PipelinedRequest] = deque()
        self.newest: PipelinedRequest | None = None
        self.serving: PipelinedRequest | None = None

    def add(self, request: PipelinedRequest, size: int, *, at_once: bool) -> bool:
        """Take the newest request: let it begin if nothing is before it and it may ``at_once``; tell whether it did.

        ``size`` is how many bytes its head has, or more.
        """
        before = self.newest
        self.newest = request
        heavy = size > HEAVY and isinstance(request, DirectExchange)
        if at_once and not heavy and (before is None or before.complete):
            self._begin(request)
            return True
        self.waiting.appendleft(request)
        return False

    def begin_next(self) -> None:
        """Let the one that has waited for the longest begin."""
        self._begin(self.waiting.pop())

    def _begin(self, request: PipelinedRequest) -> None:
        self.serving = request
        if isinstance(request, DirectExchange):
            self._state.running += 1
        request.begin()

    def content_came(self, data: bytes) -> None:
        """Give a piece of a body to the newest request, whose it is."""
        if self.newest is not None:
            self.newest.body_came(data)

    def is_full(self) -> bool:
        """Tell whether as many wait as may."""
        return len(self.waiting) >= MOST_WAITING

    def is_quiet(self) -> bool:
        """Tell whether every request before the newest one is answered: only then can the connection be given away."""
        return not self.waiting and (self.newest is None or self.newest.complete)

    def has_next(self) -> bool:
        """Tell whether one waits, and the one before it is answered."""
        return bool(self.waiting) and (self.serving is None or self.serving.complete)

    def answered(self) -> Fault | None:
        """Take note that the one whose turn it was is answered; return what has cut its answer."""
        if not isinstance(self.serving, DirectExchange):
            return None
        self._state.running -= 1
        return self.serving.cause_of_end()

    def withdraw(self, request: PipelinedRequest) -> bool:
        """Take ``request``, the newest, out of those that wait; another answer takes its place. False if it does not wait."""
        if not self.waiting or self.waiting[0] is not request:
            return False
        self.waiting.popleft()
        request.detach()
        self.newest = self.waiting[0] if self.waiting else self.serving
        return True

    def end(self, fault: Fault, *, stopping: bool) -> None:
        """The connection has ended for ``fault``: tell the request that runs, and drop each that waits.

        That one of them fails keeps none of the others from it.
        """
        serving = self.serving
        self._cut_by = fault
        with contextlib.ExitStack() as dropped:
            for request in self.waiting:  # the newest first, and the stack is left the other way round
                dropped.callback(self._drop, request)
            if serving is not None and not serving.complete:
                if isinstance(serving, DirectExchange):
                    self._state.running -= 1
                serving.client_gone(fault)
            if self.waiting and fault is GONE:
                self._cut_by = record.behind(serving, stopping=stopping)

    def _drop(self, request: PipelinedRequest) -> None:
        request.drop(self._cut_by)

    def clear(self) -> None:
        """Let go of the requests, which know the connection."""
        self.waiting.clear()
        self.newest = None
        self.serving = None

    def __repr__(self) -> str:
        """Show what runs, and how many wait."""
        return f"<RequestQueue {self.serving!r} {len(self.waiting)} waiting>"
