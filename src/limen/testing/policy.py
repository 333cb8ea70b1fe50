"""A policy with every hook, for tests of what a gateway owes its policies: it changes next to nothing, and writes all down.

``Record.broken`` says what was promised and not kept, so that a property test of any exchange, with clients that leave and
services that fail, needs one line at its end. Nothing waits by itself: what a hook waits for is given by the test.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from limen.exchange.answer import Answer
from limen.exchange.attempt import AttemptResult
from limen.exchange.hooks import PHASES, Decision, LimitDecision
from limen.exchange.outcome import Outcome
from limen.exchange.policy import Environment
from limen.exchange.request import Request
from limen.http.headers import Headers

WAITING = ("enter", "limit", "lookup")
ANSWERING = ("enter", "arrive", "limit", "lookup")

Wait = Callable[[Request], Awaitable[None] | None]
"""What a hook waits for; None is nothing, and then it answers at once."""


class RecordedLease:
    """A lease that counts how often it was given back."""

    def __init__(self, request_id: str, record: "Record") -> None:
        """Granted to one request."""
        self.request_id = request_id
        self.released = 0
        self._record = record

    def release(self) -> None:
        """Count."""
        self.released += 1
        self._record.released.append(self)

    def __repr__(self) -> str:
        """Show whose it is."""
        return f"<Lease of {self.request_id}, released {self.released} times>"


class RecordedTap:
    """A tap that keeps what it gets, and counts its ends."""

    def __init__(self, request_id: str) -> None:
        """Of the answer to one request."""
        self.request_id = request_id
        self.content = b""
        self.ended = self.aborted = self.late = 0

    def feed(self, data: bytes) -> None:
        """Keep ``data``."""
        self.late += bool(self.ended or self.aborted)
        self.content += data

    def end(self) -> None:
        """Count."""
        self.ended += 1

    def abort(self) -> None:
        """Count."""
        self.aborted += 1

    def __repr__(self) -> str:
        """Show how it ended."""
        return f"<Tap of {self.request_id}, ended {self.ended}, aborted {self.aborted}, fed late {self.late} times>"


class RecordedTransform:
    """Changes nothing, and keeps the last piece back until it is asked for the rest: who forgets that, loses content."""

    def __init__(self, request_id: str) -> None:
        """Of the content of one message."""
        self.request_id = request_id
        self.ended = self.late = 0
        self._kept = b""

    def feed(self, data: bytes) -> bytes:
        """Return the piece before."""
        self.late += bool(self.ended)
        data, self._kept = self._kept, data
        return data

    def flush(self) -> bytes:
        """Return what was kept back."""
        self.late += bool(self.ended)
        data, self._kept = self._kept, b""
        return data

    def end(self) -> bytes:
        """Return what was kept back, and count."""
        self.ended += 1
        data, self._kept = self._kept, b""
        return data

    def __repr__(self) -> str:
        """Show how it ended."""
        return f"<Transform of {self.request_id}, ended {self.ended}, asked late {self.late} times>"


class Record:
    """What happened, in order. Several policies may write into one. Requests are told apart by their ids.

    ``calls`` are the hooks that were called, each with the id of the request and the name of the policy.
    """

    def __init__(self) -> None:
        """Nothing has happened."""
        self.calls: list[tuple[str, str, str]] = []
        self.granted: list[RecordedLease] = []
        self.released: list[RecordedLease] = []
        self.attempts: list[tuple[str, AttemptResult]] = []
        self.taps: list[RecordedTap] = []
        self.transforms: list[RecordedTransform] = []
        self.settled: list[Outcome] = []

    def of(self, request_id: str, name: str = "every") -> list[str]:
        """Return the hooks of the policy ``name`` that were called for one request, in order."""
        return [phase for phase, which, policy in self.calls if (which, policy) == (request_id, name)]

    def broken(self) -> list[str]:
        """Return the promises that were not kept, once every exchange has ended.

        For each policy, a request settles once, and nothing comes after that. A lease is given back once, the last one
        granted first. An attempt that began ends. A tap is ended or aborted, once. Nothing is fed after its end.
        """
        found: list[str] = []
        for request_id, name in dict.fromkeys((which, policy) for _, which, policy in self.calls):
            hooks = self.of(request_id, name)
            if hooks.count("settle") != 1:
                found.append(f"{request_id}: settled {hooks.count('settle')} times: {hooks}")
            elif hooks[-1] != "settle":
                found.append(f"{request_id}: called after it was settled: {hooks}")
            if hooks.count("attempt_head") > hooks.count("attempt_ended"):
                found.append(f"{request_id}: an attempt began and did not end: {hooks}")
        for request_id in dict.fromkeys(which for _, which, _ in self.calls):
            granted = [lease for lease in self.granted if lease.request_id == request_id]
            if [lease for lease in self.released if lease.request_id == request_id] != granted[::-1]:
                found.append(f"{request_id}: not given back once each, the last first: {granted}")
        found += [f"{tap!r}" for tap in self.taps if tap.ended + tap.aborted != 1 or tap.late]
        return found + [f"{one!r}" for one in self.transforms if one.ended > 1 or one.late]

    def __repr__(self) -> str:
        """Show what has ended, and what has not."""
        return f"<Record {len(self.settled)} settled, {len(self.granted) - len(self.released)} leases out>"


@dataclass(frozen=True, slots=True)
class EveryHook:
    """A policy with a say in every phase, which writes into ``record``.

    It grants a lease to each request, and marks requests with ``x-every-request``, attempts with ``x-every-attempt`` (the
    target) and answers with ``x-every-answer``, all but the attempt's with its name.

    ``phases`` are the hooks that it has, all unless given: on a group or a route it must do without ``enter``, and nowhere
    without ``settle``, by which the record judges. ``waits`` says what ``enter``, ``limit`` and ``lookup`` wait for, and
    ``answers`` what these and ``arrive`` answer in the place of the service; both by the name of the hook, and called with
    the request.
    """

    rank: ClassVar[int] = 500
    adds: ClassVar[bool] = True

    record: Record
    name: str = field(default="every", kw_only=True)
    phases: frozenset[str] = field(default=frozenset(PHASES), kw_only=True)
    waits: Mapping[str, Wait] = field(default_factory=dict[str, Wait], kw_only=True, hash=False)
    answers: Mapping[str, Callable[[Request], Decision]] = field(
        default_factory=dict[str, Callable[[Request], Decision]], kw_only=True, hash=False
    )

    def __post_init__(self) -> None:
        """Refuse hooks that there are not."""
        for said, given, known in (
            ("phases", self.phases, PHASES),
            ("waits", self.waits, WAITING),
            ("answers", self.answers, ANSWERING),
        ):
            if unknown := sorted(set(given) - set(known)):
                raise ValueError(f"EveryHook: {said}= has {unknown[0]!r}; known are {', '.join(known)}")
        if "settle" not in self.phases:
            raise ValueError("EveryHook: phases= needs 'settle', by which the record judges")

    def live(self, environment: Environment) -> "LiveEveryHook":
        """Return what has the hooks."""
        return LiveEveryHook(self)


class LiveEveryHook:
    """The hooks of one declaration."""

    def __init__(self, declared: EveryHook) -> None:
        """Hide those that are not wanted."""
        self._declared = declared
        self._record = declared.record
        self._name = declared.name.encode()
        for phase in set(PHASES) - declared.phases:
            setattr(self, phase, None)

    def enter(self, request: Request) -> Decision | Awaitable[Decision]:
        """Let it in, perhaps later, or answer."""
        return self._first("enter", request)

    def arrive(self, request: Request) -> Decision:
        """Let it go on, or answer."""
        self._note("arrive", request)
        return self._answer("arrive", request)

    def limit(self, request: Request) -> LimitDecision | Awaitable[LimitDecision]:
        """Grant a lease, perhaps later, or answer."""
        self._note("limit", request)
        waited = self._wait("limit", request)
        return self._granted(request) if waited is None else self._granted_later(waited, request)

    def lookup(self, request: Request) -> Decision | Awaitable[Decision]:
        """Know nothing, perhaps later, or answer."""
        return self._first("lookup", request)

    def request_head(self, request: Request, lines: Headers) -> Headers:
        """Mark the request."""
        self._note("request_head", request)
        return [*lines, (b"x-every-request", self._name)]

    def request_body(self, request: Request) -> RecordedTransform:
        """Pass the body on."""
        self._note("request_body", request)
        return self._transform(request)

    def attempt_head(self, request: Request, target: str) -> Headers:
        """Mark the attempt."""
        self._note("attempt_head", request)
        return [(b"x-every-attempt", target.encode())]

    def attempt_ended(self, request: Request, result: AttemptResult) -> None:
        """Write the result down."""
        self._note("attempt_ended", request)
        self._record.attempts.append((request.request_id, result))

    def store(self, request: Request, answer: Answer) -> RecordedTap:
        """Keep the answer."""
        self._note("store", request)
        self._record.taps.append(tap := RecordedTap(request.request_id))
        return tap

    def answer_head(self, request: Request, answer: Answer) -> None:
        """Mark the answer."""
        self._note("answer_head", request)
        answer.lines.append((b"x-every-answer", self._name))

    def encode(self, request: Request, answer: Answer) -> RecordedTransform:
        """Pass the content on."""
        self._note("encode", request)
        return self._transform(request)

    def settle(self, outcome: Outcome) -> None:
        """Write the outcome down."""
        self._record.calls.append(("settle", outcome.request_id, self._declared.name))
        self._record.settled.append(outcome)

    def _first(self, phase: str, request: Request) -> Decision | Awaitable[Decision]:
        self._note(phase, request)
        waited = self._wait(phase, request)
        return self._answer(phase, request) if waited is None else self._answered_later(waited, phase, request)

    async def _answered_later(self, waited: Awaitable[None], phase: str, request: Request) -> Decision:
        await waited
        return self._answer(phase, request)

    async def _granted_later(self, waited: Awaitable[None], request: Request) -> LimitDecision:
        await waited
        return self._granted(request)

    def _granted(self, request: Request) -> LimitDecision:
        refused = self._answer("limit", request)
        if refused is not None:
            return refused
        self._record.granted.append(lease := RecordedLease(request.request_id, self._record))
        return lease

    def _wait(self, phase: str, request: Request) -> Awaitable[None] | None:
        wait = self._declared.waits.get(phase)
        return None if wait is None else wait(request)

    def _answer(self, phase: str, request: Request) -> Decision:
        answer = self._declared.answers.get(phase)
        return None if answer is None else answer(request)

    def _note(self, phase: str, request: Request) -> None:
        self._record.calls.append((phase, request.request_id, self._declared.name))

    def _transform(self, request: Request) -> RecordedTransform:
        self._record.transforms.append(made := RecordedTransform(request.request_id))
        return made
