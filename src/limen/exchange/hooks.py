"""The phases of an exchange in which a policy may act, and the signature of the hook of each.

A live policy is an object with any subset of these methods, by these names. ``Hooks`` holds those of one route, sorted by
phase and, within a phase, by rank. A phase without a hook is an empty tuple, and costs one test. ``limen.exchange.granted``
has what a hook may return that lives on with the exchange.

0.  ``enter``          before the route is known, for every request of the gateway: addresses, maintenance
2.  ``arrive``         the route is known, the caller is not: redirects, fixed answers, preflights
4.  ``limit``          the caller is known, and may call: rates, quotas, concurrency
6.  ``lookup``         the request fits its contract: an answer that is stored already
7.  ``request_head``, ``request_body``   once per request, what the service gets
9.  ``attempt_head``   once per attempt
10. ``attempt_ended``  once per attempt, whatever its result
12. ``store``          an answer of the service begins: a tap gets its content as it comes
13. ``answer_head``    any answer begins, local ones too
14. ``encode``         the same, for what changes content
15. ``settle``         exactly once, whatever happened

Phases 1, 3, 5, 8 and 11 are the pipeline's own (``limen.pipeline``). ``enter``, ``limit`` and ``lookup`` may wait: they may
return something to await. If the client leaves meanwhile, a coroutine is cancelled; a future or a task, which others may
wait for too, is left alone. A lease that was granted is
released when the exchange settles, in reverse order, and so is one that was granted while the client left.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, fields
from typing import Any

from limen.errors import Fault
from limen.exchange.answer import Answer
from limen.exchange.attempt import AttemptResult
from limen.exchange.granted import Lease, Tap, Transform
from limen.exchange.outcome import Outcome
from limen.exchange.request import Request
from limen.http.headers import Headers
from limen.http.replies import Reply

Refusal = Fault | Reply
"""What a policy answers instead of the service: a fault of the table, or a finished answer."""

Decision = Refusal | None
"""None lets the request pass."""
LimitDecision = Lease | Refusal | None
"""The same, and a lease lets it pass, too."""

Enter = Callable[[Request], "Decision | Awaitable[Decision]"]
Arrive = Callable[[Request], Decision]
Limit = Callable[[Request], "LimitDecision | Awaitable[LimitDecision]"]
Lookup = Callable[[Request], "Decision | Awaitable[Decision]"]
RequestHead = Callable[[Request, Headers], Headers]
RequestBody = Callable[[Request], "Transform | None"]
AttemptHead = Callable[[Request, str], Headers]
"""Takes the request and the target's address; returns header lines for this attempt alone."""
AttemptEnded = Callable[[Request, AttemptResult], None]
Store = Callable[[Request, Answer], "Tap | None"]
AnswerHead = Callable[[Request, Answer], None]
Encode = Callable[[Request, Answer], "Transform | None"]
Settle = Callable[[Outcome], None]


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the policies of one route, or of the gateway, have to say, by phase.

    ``sees_answers`` says whether any of them is of the phases 12 to 14.
    """

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
    sees_answers: bool = field(init=False)

    def __post_init__(self) -> None:
        """Find out once whether anybody has a say in answers."""
        object.__setattr__(self, "sees_answers", bool(self.store or self.answer_head or self.encode))

    @classmethod
    def of(cls, live_policies: Iterable[object]) -> "Hooks":
        """Return the hooks of ``live_policies``, which are in the order of their ranks."""
        found: dict[str, Any] = {}
        for live in live_policies:
            for phase in PHASES:
                hook = getattr(live, phase, None)
                if hook is not None:
                    found[phase] = (*found.get(phase, ()), hook)
        return cls(**found)


PHASES = tuple(phase.name for phase in fields(Hooks) if phase.init)
"""The hooks that a policy may have, by name."""

NO_HOOKS = Hooks()
"""Where no policy is declared."""
