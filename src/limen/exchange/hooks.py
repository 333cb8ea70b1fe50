"""The phases of an exchange in which a policy may have a say, and the shape of what it says there.

A live policy is an object with any subset of these methods, by these names. ``Hooks`` holds those of one route, sorted by
phase and, within a phase, by rank; a phase in which nobody has a say is an empty tuple, and costs a look at it.

0.  ``enter``          before the route is known, for every request of the gateway: addresses, maintenance
2.  ``arrive``         the route is known, the caller is not: redirects, fixed answers, preflights
4.  ``limit``          the caller is known, and may call: rates, quotas, concurrency
6.  ``lookup``         the request fits its contract: an answer that is there already
7.  ``request_head``, ``request_body``   once per request, what the service gets
9.  ``attempt_head``   once per attempt
10. ``attempt_ended``  once for each attempt, whatever came of it
12. ``store``          an answer of the service begins: who keeps it gets its content as it comes
13. ``answer_head``    any answer begins, local ones too
14. ``encode``         the same, for what changes content
15. ``settle``         exactly once, whatever happened

Phases 1, 3, 5, 8 and 11 are the pipeline's own (``limen.pipeline``). ``enter``, ``limit`` and ``lookup`` may wait: they may
return something to await. If the client leaves meanwhile, what they wait in is cancelled. A lease that was granted is
released when the exchange settles, in reverse order, and so is one that was granted while the client left.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any, Protocol

from limen.errors import Fault
from limen.exchange.answer import Answer
from limen.exchange.attempt import AttemptResult
from limen.exchange.outcome import Outcome
from limen.exchange.request import Request
from limen.http.headers import Headers
from limen.http.replies import Reply


class Lease(Protocol):
    """Something that was granted to one exchange, and is given back when it settles."""

    def release(self) -> None:
        """Give it back; called exactly once. Never raises, never waits."""
        ...


class Transform(Protocol):
    """What changes the content of one message as it passes. Never waits."""

    def feed(self, data: bytes) -> bytes:
        """Take a piece of content; return what is to go out now, which may be nothing."""
        ...

    def flush(self) -> bytes:
        """Nothing more has come for now: return what was kept back, if it can go out."""
        ...

    def end(self) -> bytes:
        """The content is whole: return the rest."""
        ...


class Tap(Protocol):
    """Who keeps an answer: it gets the content of the service as it comes, before anything was made of it for this client."""

    def feed(self, data: bytes) -> None:
        """Take a piece of content."""
        ...

    def end(self) -> None:
        """The content is whole."""
        ...

    def abort(self) -> None:
        """The content will not become whole. One of ``end`` and ``abort`` is called, exactly once."""
        ...


Refusal = Fault | Reply
"""What a policy answers in the place of the service: a fault of the table, or a finished answer."""

Refused = Refusal | None
Granted = Lease | Refusal | None

Enter = Callable[[Request], "Refused | Awaitable[Refused]"]
Arrive = Callable[[Request], Refused]
Limit = Callable[[Request], "Granted | Awaitable[Granted]"]
Lookup = Callable[[Request], "Refused | Awaitable[Refused]"]
RequestHead = Callable[[Request, Headers], Headers]
RequestBody = Callable[[Request], "Transform | None"]
AttemptHead = Callable[[Request, str], Headers]
"""Of the request and the target's address; returns header lines for this attempt alone."""
AttemptEnded = Callable[[Request, AttemptResult], None]
Store = Callable[[Request, Answer], "Tap | None"]
AnswerHead = Callable[[Request, Answer], None]
Encode = Callable[[Request, Answer], "Transform | None"]
Settle = Callable[[Outcome], None]


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the policies of one route, or of the gateway, have to say, by phase."""

    enter: tuple[Enter, ...] = ()
    arrive: tuple[Arrive, ...] = ()
    limit: tuple[Limit, ...] = ()
    lookup: tuple[Lookup, ...] = ()
    request_head: tuple[RequestHead, ...] = ()
    request_body: tuple[RequestBody, ...] = ()
    attempt_head: tuple[AttemptHead, ...] = ()
    attempt_ended: tuple[AttemptEnded, ...] = ()
    store: tuple[Store, ...] = ()
    answer_head: tuple[AnswerHead, ...] = ()
    encode: tuple[Encode, ...] = ()
    settle: tuple[Settle, ...] = ()

    @classmethod
    def of(cls, live: Iterable[object]) -> "Hooks":
        """Return the hooks of ``live`` policies, which are in the order of their ranks."""
        found: dict[str, Any] = {}
        for one in live:
            for phase in fields(cls):
                hook = getattr(one, phase.name, None)
                if hook is not None:
                    found[phase.name] = (*found.get(phase.name, ()), hook)
        return cls(**found)


NO_HOOKS = Hooks()
"""Where no policy is declared."""
