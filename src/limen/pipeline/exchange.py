"""The life of a request, as decisions without I/O: an engine makes an ``Exchange`` and does what its state says.

0.  ``begin``          policies of the whole gateway (``enter``), before anything else is looked at
1.                     what the table has found: a route, a redirect, 405, 404, or a health endpoint (without any policy)
2.                     policies that answer at once (``arrive``)
3.  ``admit``          who is calling, and may they; which side of a split answers
4.                     limits, which may wait (``limit``); then FastAPI's dependencies (``guard_passed``)
5.                     the parameters, then the declared body (after 3: an anonymous caller cannot probe schemas)
6.                     an answer that is there already (``lookup``)
7.                     the head for the service
8.                     a target and one of its connections (``must_buffer_body``: may a body that streams have one yet)
9. 10.                 what one attempt adds to the head, and what follows from how it ended (``limen.pipeline.attempts``);
                       ``fall_back``, ``replaces``: another service, or a fixed answer, in place of the last one
11. ``answer_begins``  what the answer says of sessions; whether it is read and checked (``answer_whole``) or passes
12. 13. 14.            policies see its head and content (``limen.exchange.answer_filters``)
15. ``settle``         exactly once: leases, policies, the access log

Whatever waits for something outside is resumed with what came of it (``resume``).
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, cast

from limen.contract.answer_head import replaced
from limen.contract.edited_answer import AnswerHook, EditedAnswer, HookResult
from limen.contract.request_check import BodyFraming, check_body, check_parameters, read_framing, too_large
from limen.errors import Fault, Kind
from limen.exchange.answer import Answer, Source
from limen.exchange.answer_filters import AnswerFilters, filter_reply
from limen.exchange.granted import Lease, Transform
from limen.exchange.hooks import NO_HOOKS
from limen.exchange.outcome import Outcome
from limen.exchange.request import Request
from limen.exchange.settlement import Settlement
from limen.exchange.transforms import chain
from limen.http.connection_auth import names_connection_scheme
from limen.http.headers import Headers, values
from limen.http.replies import Reply, allowed, complete, problem, redirect
from limen.pipeline.attempts import Attempts
from limen.pipeline.health import health_answer
from limen.pipeline.settle import end, policy_failed, settle
from limen.pipeline.steps import (
    admit,
    build_upstream_head,
    client_head,
    gateway_lines,
    must_buffer_answer,
    preflight,
    with_more,
    without_digests,
)
from limen.routing.table import HealthEndpoint, Match, MethodNotAllowed, Redirect
from limen.runtime.fallback import FALLS_BACK
from limen.runtime.host import ActiveConfig
from limen.runtime.plan import Plan

# The state of an exchange: what its engine is to do.
NEW: Final = 0
WAITING: Final = 1
"""Wait for ``awaited``, then ``resume`` with what it gives."""
READING: Final = 2
"""Read the declared body whole, then call ``body_came``."""
SENDING: Final = 3
"""Send the request to the service, once a connection is there; then call ``answer_begins``."""
ANSWERING: Final = 4
"""Pass the content of the service's answer on, behind the head in ``answer``."""
BUFFERING: Final = 5
"""Read the service's answer whole, then call ``answer_whole``."""
REPLYING: Final = 6
"""Write ``reply``; ``fault`` is why, if it is a refusal."""
LOCAL: Final = 7
"""Hand the request on: it is for an endpoint of the application itself."""
SETTLED: Final = 8
GUARDING: Final = 9
"""Run the route's dependencies, which may answer themselves; else call ``guard_passed``."""

# What is waited for, and goes on from there.
_ENTER: Final = 0
_ARRIVE: Final = 2
_IDENTIFY: Final = 3
_LIMIT: Final = 4
_BODY: Final = 5
_LOOKUP: Final = 6
_ANSWER: Final = 11

_AUTHORIZATION: Final = b"authorization"

Found = Match[Plan] | HealthEndpoint | Redirect | MethodNotAllowed | Fault


class Exchange:
    """One request and its answer. ``state`` says what the engine is to do next; each method below returns the new one.

    A method raises nothing of its own, but what a policy or a hook of the user raises comes through: then the engine calls
    ``refuse`` with an internal error. ``refuse`` itself never raises.
    """

    __slots__ = (
        *("active", "answer", "awaited", "body_transform", "content", "fault", "filters", "framing", "hooks", "lines"),
        *(
            "attempts",
            "more_lines",
            "outcome",
            "own_lines",
            "plan",
            "reply",
            "request",
            "state",
            "target",
        ),
        *("_at", "_body_length", "_buffered", "_found", "_hook", "_instead_of", "_phase", "_settlement"),
    )

    def __init__(self, active: ActiveConfig, found: Found | None, request: Request, outcome: Outcome) -> None:
        """Keep what the table has ``found``, None for a path that it does not know; nothing is decided yet."""
        plan = found.plan if isinstance(found, Match) else None
        self.active = active
        self.plan = plan
        self.request = request
        self.outcome = outcome
        self.hooks = active.hooks if plan is None else plan.hooks
        if plan is None:
            self._without_route(found)
        self.state: int = NEW
        self.framing: BodyFraming | None = None
        self.content: bytes | None = None  # a declared body, as the service gets it
        self.body_transform: Transform | None = None  # of a body that streams
        self.target = b""
        self.lines: Headers = []
        self.answer: Answer | None = None
        self.filters: AnswerFilters | None = None
        self.reply: Reply | None = None
        self.fault: Fault | None = None
        self.awaited: Awaitable[Any] | None = None
        self.attempts: Attempts | None = None  # once the request may be sent
        self._found = found
        self.more_lines: Headers = []  # what dependencies add to the head of the service's answer
        self.own_lines = b""  # what the gateway adds to the head for the service
        self._hook: AnswerHook | None = None
        self._buffered: tuple[int, Headers] = (0, [])
        self._instead_of = ""  # the end of the service whose place the fallback has taken, for the log
        self._body_length: int = 0  # bytes of a declared body, as it came
        self._phase: int = _ENTER
        self._at: int = 0
        self._settlement: Settlement | None = None
        if plan is not None:
            outcome.route = plan.route.path
            outcome.upstream = plan.route.upstream.name
        if self.hooks.settle:
            self._keep()

    # --- the request ---

    def begin(self) -> int:
        """0. Set out, and go as far as it goes without waiting."""
        enter = self.active.hooks.enter
        if not enter or isinstance(self._found, HealthEndpoint):
            return self._routed()
        return self._consult(_ENTER, enter, 0)

    def resume(self, value: object) -> int:
        """Go on with what ``awaited`` has given."""
        self.awaited = None
        phase = self._phase
        if phase == _IDENTIFY:
            return self._admitted(cast("bytes | Fault", value))
        if phase == _BODY:
            return self._body_checked(cast("bytes | Fault | None", value))
        if phase == _ANSWER:
            return self._finished(cast("HookResult", value))
        if self._answered(value):
            return self.state
        return self._consult(phase, self._hooks_of(phase), self._at)

    @property
    def waits_for_policy(self) -> bool:
        """Tell whether a policy has given what is waited for: a future of a policy's may be waited for by others, too."""
        return self._phase in (_ENTER, _LIMIT, _LOOKUP)

    def abandon(self, value: object) -> None:
        """Take note of what ``awaited`` has given too late: what was granted goes back, and nothing else follows."""
        if isinstance(value, Fault | Reply | EditedAnswer | bytes) or value is None:
            return
        self._keep().grant(cast("Lease", value))
        if self.state == SETTLED:
            end(self.outcome)

    def guard_passed(self, more_lines: Headers) -> int:
        """4. Go on behind the dependencies of the route, which add ``more_lines`` to the head of the service's answer."""
        assert self.plan is not None
        self.more_lines = more_lines
        return self._fits(self.plan)

    def body_came(self, content: bytes) -> int:
        """5. Check a declared body, which is whole."""
        plan = self.plan
        assert plan is not None
        body = plan.route.contract.body
        assert body is not None
        self._body_length = len(content)
        validations = self.active.runtime.validations
        checked = check_body(body, content, self.request.head, plan.route.max_body, validations)
        if checked is None or isinstance(checked, bytes | Fault):
            return self._body_checked(checked)
        return self._wait(_BODY, checked)

    def refuse(self, fault: Fault) -> int:
        """Answer with ``fault``, wherever it stands; the head of no other answer may be out."""
        self.fault = fault
        fixed = self._fixed_answer(fault)
        return self._reply(self._problem(fault) if fixed is None else fixed)

    def refuse_too_large(self) -> int:
        """Refuse a body that has passed the bound of its route."""
        assert self.plan is not None
        return self.refuse(too_large(self.plan.route.max_body))

    # --- the fallback ---

    def fall_back(self, fault: Fault, *, sent: bool, replayable: bool) -> bool:
        """10. Let another service have the request, whose last attempt has ended with ``fault``; False if none may.

        ``sent`` says that some of it was written to the service, ``replayable`` that all of its body is still at hand. Then
        there are other ``attempts``, of another ``plan``, and the engine begins anew with them. A fixed answer needs none of
        that: ``refuse`` gives it.
        """
        plan, attempts = self.plan, self.attempts
        if plan is None or plan.fallback is None or attempts is None or fault.kind not in FALLS_BACK:
            return False
        other = plan.fallback.plan
        if other is None or not attempts.may_go_to_another_service(sent=sent, replayable=replayable):
            return False
        return self._ask_instead(plan, other, _described(fault))

    def replaces(self, status: int, headers: Headers, *, replayable: bool) -> bool:
        """11. Tell whether the fallback takes the place of an answer with ``status``, none of which has been used.

        Then it is for the engine to give that answer up, and to do what the state says: SENDING, with other ``attempts``, or
        REPLYING.
        """
        plan, attempts = self.plan, self.attempts
        if plan is None or plan.fallback is None or attempts is None or status not in plan.fallback.statuses:
            return False
        fallback, end = plan.fallback, f"an answer of {status}"
        if fallback.plan is not None:
            if not attempts.may_go_to_another_service(sent=True, replayable=replayable):
                return False
            if not self._ask_instead(plan, fallback.plan, end):
                return False
        if plan.session_ender is not None:
            plan.session_ender(headers)
        if fallback.reply is not None:
            self._buffered = (status, headers)
            self._instead_of = f"a fixed answer in place of {plan.upstream.upstream.name}: {end}"
            reply = fallback.reply(self.request)
            reply.headers.extend(self._proxy_status(None))
            self._reply(reply)
        return True

    def _ask_instead(self, plan: Plan, other: Plan, end: str) -> bool:
        """Let the service of ``other`` have the request; False if it cannot be told who is calling."""
        earlier, lines = self.attempts, self._identity_for(other)
        assert earlier is not None
        if isinstance(lines, Fault):
            return False  # it would be told the same as the first one: that fault stands
        self._take(other)
        self.own_lines = gateway_lines(self.request.origin, self.request.request_id, lines)
        self._instead_of = f"in place of {plan.upstream.upstream.name}: {end}"
        self.attempts = attempts = self._new_attempts(other)
        attempts.follow(earlier)
        self.state = SENDING
        return True

    def _fixed_answer(self, fault: Fault) -> Reply | None:
        plan = self.plan
        if plan is None or plan.fallback is None or self.attempts is None or fault.kind not in FALLS_BACK:
            return None
        if plan.fallback.reply is None:
            return None
        self._instead_of = f"a fixed answer in place of {plan.upstream.upstream.name}"
        reply = plan.fallback.reply(self.request)
        reply.headers.extend(self._proxy_status(fault))
        return reply

    # --- the answer ---

    def answer_begins(self, status: int, headers: Headers) -> int:
        """11. Take the head of the service's answer: its content passes, or is read first."""
        plan = self.plan
        assert plan is not None
        if plan.session_ender is not None:
            headers = plan.session_ender(headers)
        attempts = self.attempts
        assert attempts is not None
        if attempts.upstream.sticky is not None:
            self.more_lines = [*self.more_lines, *attempts.binding_lines()]
        self._hook = hook = must_buffer_answer(plan, self.request.method, status)
        if hook is not None:
            self._buffered = (status, headers)
            # Plain was asked for by ``build_upstream_head``.
            if values(headers, b"content-encoding"):
                cause = "the answer is encoded although identity was asked for"
                return self.refuse(Fault(Kind.UPSTREAM_CONTRACT, cause=cause))
            self.state = BUFFERING
            return BUFFERING
        lines = client_head(plan, status, headers, self.request)
        if self.more_lines:
            lines = with_more(lines, self.more_lines)
        self.answer = answer = Answer(status, lines, None, "upstream")
        if self.hooks.sees_answers:
            answer.length = next((int(value) for name, value in lines if name == b"content-length"), None)
            self.filters = AnswerFilters(self.hooks, self.request, answer, self._policy_failed)
        self.state = ANSWERING
        return ANSWERING

    def answer_whole(self, content: bytes) -> int:
        """11. Let what an answer that was read has to go through have it."""
        assert self._hook is not None
        made = self._hook(content, self.request.principal)
        return self._finished(made) if isinstance(made, EditedAnswer | Fault) else self._wait(_ANSWER, made)

    # --- the end ---

    def settle(self, status: int, fault: Fault | None, *, cut: bool, seconds: float) -> None:
        """15. Say what it came to; a second call does nothing. Never raises, never waits."""
        if self.describe(status, fault, cut=cut):
            self.outcome.seconds = seconds
            settle(self.outcome)

    def describe(self, status: int, fault: Fault | None, *, cut: bool) -> bool:
        """Say what it came to, for whoever settles the outcome; False if that was said before."""
        if self.state == SETTLED:
            return False
        self.state = SETTLED
        self.awaited = None
        if self.attempts is not None:
            self.attempts.give_up()
        if self.filters is not None:
            self.filters.abort()
        outcome = self.outcome
        outcome.status = status
        outcome.cut = cut
        if fault is not None:
            outcome.code = fault.kind.code
            outcome.cause = fault.cause
            if fault.kind is Kind.CLIENT_CLOSED or not status:
                outcome.status = fault.kind.status
        if self._instead_of:
            outcome.cause = f"{outcome.cause}; {self._instead_of}" if outcome.cause else self._instead_of
        return True

    # --- inside: the steps in order ---

    def _without_route(self, found: Found | None) -> None:
        """Take other policies than those of the gateway, where no route was ``found``.

        A preflight has those of the route that it asks about. A health endpoint has none: a limit or a list of addresses must
        not make an orchestrator end a process that is well.
        """
        if isinstance(found, MethodNotAllowed):
            if (asked := preflight(self.active.table, self.request)) is not None:
                self.hooks = asked.hooks
                self.outcome.route = asked.route.path
        elif isinstance(found, HealthEndpoint):
            self.hooks = NO_HOOKS
            self.outcome.route = found.path

    def _routed(self) -> int:
        """1. Answer what no route answers."""
        found, request = self._found, self.request
        if found is None:
            self.state = LOCAL
            return LOCAL
        if isinstance(found, Match):
            request.params = found.params
            request.route = self.outcome.route
            return self._consult(_ARRIVE, self.hooks.arrive, 0) if self.hooks.arrive else self._identify(found)
        if isinstance(found, Fault):
            return self.refuse(found)
        if isinstance(found, HealthEndpoint):
            answer = health_answer(found, self.active.runtime.readiness, request.request_id)
            return self.refuse(answer) if isinstance(answer, Fault) else self._reply(answer)
        if isinstance(found, Redirect):
            location = request.root + found.path
            if request.query is not None:
                location += b"?" + request.query
            return self._reply(redirect(location, request.request_id))
        if request.method == b"OPTIONS":
            # A preflight is answered by the policies of the route that it asks about, if one of them does.
            if self.outcome.route != "-" and self.hooks.arrive and self._phase != _ARRIVE:
                request.route = self.outcome.route
                return self._consult(_ARRIVE, self.hooks.arrive, 0)
            return self._reply(allowed(found.allow, request.request_id))
        return self.refuse(Fault(Kind.METHOD_NOT_ALLOWED, headers=((b"allow", b", ".join(found.allow)),)))

    def _identify(self, match: Match[Plan]) -> int:
        """3. Find out who is calling."""
        admitted = admit(match.plan.access_control, self.request, self.outcome, self.active.runtime.now())
        if isinstance(admitted, bytes | Fault):
            return self._admitted(admitted)
        return self._wait(_IDENTIFY, admitted)

    def _admitted(self, admitted: bytes | Fault) -> int:
        if isinstance(admitted, Fault):
            return self.refuse(admitted)
        assert self.plan is not None
        sides = self.plan.sides
        if sides is not None:
            side = sides.canary if sides.choose(self.request) else sides.stable
            self._take(side)
            admitted = self._identity_for(side)
            if isinstance(admitted, Fault):
                return self.refuse(admitted)
        self.own_lines = gateway_lines(self.request.origin, self.request.request_id, admitted)
        return self._consult(_LIMIT, self.hooks.limit, 0) if self.hooks.limit else self._let_in()

    def _take(self, plan: Plan) -> None:
        """Go on with ``plan``, which is that of the route for another of its services."""
        self.plan = plan
        self.outcome.upstream = plan.upstream.upstream.name

    def _identity_for(self, plan: Plan) -> bytes | Fault:
        """Return the lines that tell the service of ``plan`` who is calling."""
        access, principal = plan.access_control, self.request.principal
        if access is None or principal is None:
            return b""
        return access.identity_lines(principal, self.outcome.request_id, self.active.runtime.now())

    def _let_in(self) -> int:
        plan = self.plan
        assert plan is not None
        if plan.guard is not None:
            self.state = GUARDING
            return GUARDING
        return self._fits(plan)

    def _fits(self, plan: Plan) -> int:
        """5. Check what the head says against the contract."""
        request = self.request
        route = plan.route
        contract = route.contract
        fault = check_parameters(contract, request.params, request.query or b"", request.head, plan.withheld_headers)
        if fault is not None:
            return self.refuse(fault)
        framing = read_framing(request.head, contract, route.max_body)
        if isinstance(framing, Fault):
            return self.refuse(framing)
        self.framing = framing
        if contract.body is not None:
            self.state = READING
            return READING
        return self._look_up() if self.hooks.lookup else self._prepare()

    def _body_checked(self, content: bytes | Fault | None) -> int:
        if isinstance(content, Fault):
            return self.refuse(content)
        self.content = content
        return self._look_up() if self.hooks.lookup else self._prepare()

    def _look_up(self) -> int:
        """6. See whether the answer is there already."""
        return self._consult(_LOOKUP, self.hooks.lookup, 0)

    def _prepare(self) -> int:
        """7. Build what the service gets."""
        plan, found, request = self.plan, self._found, self.request
        assert plan is not None
        assert isinstance(found, Match)
        self.target, lines = build_upstream_head(plan, found, request.method, request.query, request.head)
        if self.content is not None and len(self.content) != self._body_length:
            lines = without_digests(lines)
        if self.hooks is not NO_HOOKS:
            for change in self.hooks.request_head:
                lines = change(request, lines)
            lines = self._transform_body(lines)
        self.lines = lines
        self.attempts = attempts = self._new_attempts(plan)
        self.state = SENDING
        if (
            plan.fallback is not None
            and attempts.gives_way()
            and not self.fall_back(_NOBODY, sent=False, replayable=True)
        ):
            return self.refuse(_NOBODY)
        return SENDING

    def _new_attempts(self, plan: Plan) -> Attempts:
        attempts = Attempts(plan, self.request, self.hooks, self.outcome, self.own_lines)
        if self.hooks.request_head or (plan.passes_authorization and self.request.head.all(_AUTHORIZATION)):
            attempts.private = names_connection_scheme(self.lines, _AUTHORIZATION)
        return attempts

    def _transform_body(self, lines: Headers) -> Headers:
        framing = self.framing
        assert framing is not None
        if not framing.framed and self.content is None:
            return lines
        transforms = [one for make in self.hooks.request_body if (one := make(self.request)) is not None]
        transform = chain(transforms)
        if transform is None:
            return lines
        if self.content is not None:
            self.content = transform.feed(self.content) + transform.end()
        else:
            self.body_transform = transform
            framing.length = None
        return without_digests(lines)

    def _finished(self, made: HookResult) -> int:
        if isinstance(made, Fault):
            return self.refuse(made)
        status, headers = self._buffered
        if self.more_lines:
            headers = with_more(headers, self.more_lines)
        return self._reply(replaced(status, headers, made, self.request.request_id), "upstream")

    # --- inside: policies, one after the other ---

    def _hooks_of(self, phase: int) -> Sequence[Callable[[Request], object]]:
        if phase == _ENTER:
            return self.active.hooks.enter
        return self.hooks.limit if phase == _LIMIT else self.hooks.lookup

    def _consult(self, phase: int, hooks: Sequence[Callable[[Request], object]], at: int) -> int:
        """Ask the policies of ``phase`` from ``at`` on, until one answers, or has to wait."""
        self._phase = phase
        while at < len(hooks):
            given = hooks[at](self.request)
            at += 1
            if given is not None and hasattr(given, "__await__"):
                self._at = at
                return self._wait(phase, cast("Awaitable[object]", given))
            if self._answered(given):
                return self.state
        if phase == _ENTER:
            return self._routed()
        if phase == _LIMIT:
            return self._let_in()
        if phase == _LOOKUP:
            return self._prepare()
        found = self._found
        return self._identify(found) if isinstance(found, Match) else self._routed()

    def _answered(self, given: object) -> bool:
        """Take what a policy gave: a lease is kept; True for what is answered in the service's place."""
        if given is None:
            return False
        if isinstance(given, Fault):
            self.refuse(given)
            return True
        if isinstance(given, Reply):
            self._reply(given, "cache" if self._phase == _LOOKUP else "local")
            return True
        self._keep().grant(cast("Lease", given))
        return False

    def _wait(self, phase: int, awaited: Awaitable[Any]) -> int:
        self._phase = phase
        self.awaited = awaited
        self.state = WAITING
        return WAITING

    def _keep(self) -> Settlement:
        if self._settlement is None:
            self._settlement = Settlement(self.hooks.settle)
            self.outcome.on_settled = self._settlement.settle
        return self._settlement

    def _reply(self, reply: Reply, source: Source = "local") -> int:
        """Answer with ``reply``, as the policies leave it; with an internal error if one of them fails. Never raises."""
        self.state = REPLYING
        hooks, request = self.hooks, self.request
        if not hooks.sees_answers:
            self.reply = reply if hooks is NO_HOOKS else complete(reply, request.request_id)
            return REPLYING
        for _ in range(2):
            try:
                reply = complete(reply, request.request_id)
                self.reply = filter_reply(reply, hooks, request, source, self._policy_failed)
            except Exception:
                self._policy_failed()
            else:
                return REPLYING
            self.fault = Fault(Kind.INTERNAL_ERROR)
            self.reply = reply = self._problem(self.fault)  # which goes out as it is if they fail again
            source = "local"
        return REPLYING

    def _problem(self, fault: Fault) -> Reply:
        reply = problem(fault, self.request.request_id)
        reply.headers.extend(self._proxy_status(fault))
        return reply

    def _proxy_status(self, fault: Fault | None) -> Headers:
        writer, request = self.active.runtime.proxy_status, self.request
        if writer is None:
            return []
        target, answered = self.outcome.target, self._buffered
        return writer.lines(fault, principal=request.principal, params=request.params, target=target, answered=answered)

    def _policy_failed(self) -> None:
        policy_failed(self.outcome)

    def __repr__(self) -> str:
        """Show which request it is of, and its state."""
        return f"<Exchange {self.request!r} {_NAMES[self.state]}>"


_NOBODY: Final = Fault(Kind.UPSTREAM_REFUSED, cause="no target is well")


def _described(fault: Fault) -> str:
    return f"{fault.kind.code}, {fault.cause}" if fault.cause else fault.kind.code


_NAMES: Final = (
    *("new", "waiting", "reading", "sending", "answering", "buffering", "replying", "local", "settled"),
    "guarding",
)
