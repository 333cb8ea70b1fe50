"""The life of a request, as decisions without I/O: an engine makes an ``Exchange`` and does what its state says.

0.  ``begin``          policies of the whole gateway (``enter``), before anything else is looked at
1.                     what the table has found: a route, a redirect, 405, 404, or a health endpoint (without any policy)
2.                     policies that answer at once (``arrive``)
3.  ``admit``          who is calling, and may they; which side of a split answers
4.                     limits, which may wait (``limit``); then FastAPI's dependencies (``guard_passed``)
5.                     the parameters, then the declared body (after 3: an anonymous caller cannot probe schemas)
6.                     an answer that is there already (``lookup``)
7.                     the head for the service (``limen.pipeline.upstream_request``)
8.                     a target and one of its connections (``must_buffer_body``: may a body that streams have one yet)
9. 10.                 what one attempt adds to the head, and what follows from how it ended (``limen.pipeline.attempts``);
                       ``fall_back``, ``replaces``: another service, or a fixed answer, in place of the last one
11. ``answer_begins``  what the answer says of sessions; whether it is read and checked (``answer_whole``) or passes
12. 13. 14.            policies see its head and content (``limen.exchange.answer_filters``)
15. ``settle``         exactly once: leases, policies, the access log

Whatever waits for something outside is resumed with what came of it (``resume``).
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, cast, final

from limen.contract.edited_answer import EditedAnswer, HookResult
from limen.contract.request_check import too_large
from limen.errors import Fault, Kind
from limen.exchange.answer import Answer, Source
from limen.exchange.answer_filters import AnswerFilters
from limen.exchange.granted import Lease
from limen.exchange.outcome import Outcome
from limen.exchange.request import Request
from limen.exchange.settlement import Settlement
from limen.http.headers import NO_LINES, Headers
from limen.http.replies import Reply
from limen.pipeline import states
from limen.pipeline.local_replies import NO_ANSWER, LocalReplies
from limen.pipeline.policy_phase import PolicyPhase
from limen.pipeline.service_answer import HeldAnswer, filters_of
from limen.pipeline.settle import describe, end, settle
from limen.pipeline.steps import admit, client_head, fits, identity_lines, must_buffer_answer, with_more
from limen.pipeline.unrouted import Unrouted, answer_without_route, hooks_without_route
from limen.pipeline.upstream_request import UpstreamRequest
from limen.routing.table import HealthEndpoint, Match, MethodNotAllowed
from limen.runtime.host import ActiveConfig
from limen.runtime.plan import Plan

_NO_TARGET: Final = Fault(Kind.UPSTREAM_REFUSED, cause="no target is well")

Found = Match[Plan] | Unrouted


@final
class Exchange:
    """One request and its answer. ``state`` says what the engine is to do next; each method below returns the new one.

    A method raises nothing of its own, but what a policy or a hook of the user raises comes through: then the engine calls
    ``refuse`` with an internal error. ``refuse`` itself never raises.
    """

    __slots__ = (
        *("active", "answer", "awaited", "fault", "filters", "hooks", "more_lines", "outcome", "plan"),
        *("reply", "request", "state", "upstream_request"),
        *("_found", "_held", "_identity", "_phase", "_policies", "_replaced", "_settlement"),
    )

    def __init__(self, active: ActiveConfig, found: Found | None, request: Request, outcome: Outcome) -> None:
        """Keep what the table has ``found``, None for a path that it does not know; nothing is decided yet."""
        self.active = active
        self.request = request
        self.outcome = outcome
        self.plan: Plan | None = None
        if isinstance(found, Match):
            self.plan = plan = found.plan
            self.hooks = plan.hooks
            outcome.route = plan.route.path
            outcome.upstream = plan.route.upstream.name
        else:
            self.hooks = hooks_without_route(active, found, request, outcome)
        self.state: int = states.NEW
        self.upstream_request: UpstreamRequest | None = None  # once the head fits its contract
        self.answer: Answer | None = None
        self.filters: AnswerFilters | None = None
        self.reply: Reply | None = None
        self.fault: Fault | None = None
        self.awaited: Awaitable[Any] | None = None
        self.more_lines: Headers = NO_LINES  # what dependencies add to the head of the service's answer
        self._found = found
        self._identity = b""  # the lines that tell the service who is calling
        self._phase: int = states.ENTER
        self._policies: PolicyPhase | None = None  # those that are asked
        self._held: HeldAnswer | None = None
        self._replaced: tuple[int, Headers] = NO_ANSWER  # the head of an answer that another one takes the place of
        self._settlement: Settlement | None = None
        if self.hooks.settle:
            self._keep()

    # --- the request ---

    def begin(self) -> int:
        """0. Set out, and go as far as it goes without waiting."""
        enter = self.active.hooks.enter
        if not enter or isinstance(self._found, HealthEndpoint):
            return self._routed()
        return self._consult(states.ENTER, enter)

    def resume(self, value: object) -> int:
        """Go on with what ``awaited`` has given."""
        self.awaited = None
        phase = self._phase
        if phase == states.IDENTIFY:
            return self._admitted(cast("bytes | Fault", value))
        if phase == states.BODY:
            return self._body_checked(cast("bytes | Fault | None", value))
        if phase == states.ANSWER:
            return self._finished(cast("HookResult", value))
        assert self._policies is not None
        return self._consulted(self._policies.go_on(value))

    @property
    def waits_for_policy(self) -> bool:
        """Tell whether a policy has given what is waited for: a future of a policy's may be waited for by others, too."""
        return self._phase in (states.ENTER, states.LIMIT, states.LOOKUP)

    def abandon(self, value: object) -> None:
        """Take note of what ``awaited`` has given too late: what was granted goes back, and nothing else follows."""
        if isinstance(value, Fault | Reply | EditedAnswer | bytes) or value is None:
            return
        self._keep().grant(cast("Lease", value))
        if self.state == states.SETTLED:
            end(self.outcome)

    def guard_passed(self, more_lines: Headers) -> int:
        """4. Go on behind the dependencies of the route, which add ``more_lines`` to the head of the service's answer."""
        assert self.plan is not None
        self.more_lines = more_lines
        return self._fits(self.plan)

    def body_came(self, content: bytes) -> int:
        """5. Check a declared body, which is whole."""
        checked = self.to_send().check_body(content, self.active.runtime.validations)
        if checked is None or isinstance(checked, bytes | Fault):
            return self._body_checked(checked)
        return self._wait(states.BODY, checked)

    def to_send(self) -> UpstreamRequest:
        """Return what the service gets, for an engine that is to read or to send it."""
        assert self.upstream_request is not None
        return self.upstream_request

    def refuse(self, fault: Fault) -> int:
        """Answer with ``fault``, wherever it stands; the head of no other answer may be out."""
        self.fault = fault
        fixed = None if self.upstream_request is None else self.upstream_request.fixed_answer(fault)
        return self._reply(self._local_replies().refusal(fault, fixed))

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
        request, now = self.upstream_request, self.active.runtime.now
        if request is None or not request.fall_back(fault, now, sent=sent, replayable=replayable):
            return False
        self.plan = request.plan
        self.state = states.SENDING
        return True

    def replaces(self, status: int, headers: Headers, *, replayable: bool) -> bool:
        """11. Tell whether the fallback takes the place of an answer with ``status``, none of which has been used.

        Then it is for the engine to give that answer up, and to do what the state says: SENDING, with other ``attempts``, or
        REPLYING.
        """
        request, plan, now = self.upstream_request, self.plan, self.active.runtime.now
        if request is None or plan is None or not request.replaces(status, now, replayable=replayable):
            return False
        if plan.session_ender is not None:
            plan.session_ender(headers)
        fixed = request.fixed_answer_for(status)
        if fixed is None:
            self.plan = request.plan
            self.state = states.SENDING
        else:
            self._replaced = (status, headers)
            self._reply(self._local_replies().explained(fixed, None))
        return True

    # --- the answer ---

    def answer_begins(self, status: int, headers: Headers) -> int:
        """11. Take the head of the service's answer: its content passes, or is read first."""
        plan = self.plan
        assert plan is not None
        if plan.session_ender is not None:
            headers = plan.session_ender(headers)
        if plan.upstream.sticky is not None:
            self.more_lines = [*self.more_lines, *self.to_send().binding_lines()]
        hook = must_buffer_answer(plan, self.request.method, status)
        if hook is not None:
            self._held = held = HeldAnswer(hook, status, headers)
            self._replaced = held.head
            if (fault := held.fault()) is not None:
                return self.refuse(fault)
            self.state = states.BUFFERING
            return states.BUFFERING
        lines = client_head(plan, status, headers, self.request)
        if self.more_lines:
            lines = with_more(lines, self.more_lines)
        self.answer = answer = Answer(status, lines, None, "upstream")
        if self.hooks.sees_answers:
            self.filters = filters_of(answer, self.hooks, self.request, self.outcome)
        self.state = states.ANSWERING
        return states.ANSWERING

    def answer_whole(self, content: bytes) -> int:
        """11. Let what an answer that was read has to go through have it."""
        assert self._held is not None
        made = self._held.edited(content, self.request.principal)
        return self._finished(made) if isinstance(made, EditedAnswer | Fault) else self._wait(states.ANSWER, made)

    # --- the end ---

    def settle(self, status: int, fault: Fault | None, *, cut: bool, seconds: float) -> None:
        """15. Say what it came to; a second call does nothing. Never raises, never waits."""
        if self.describe(status, fault, cut=cut):
            self.outcome.seconds = seconds
            settle(self.outcome)

    def describe(self, status: int, fault: Fault | None, *, cut: bool) -> bool:
        """Say what it came to, for whoever settles the outcome; False if that was said before."""
        if self.state == states.SETTLED:
            return False
        self.state = states.SETTLED
        self.awaited = None
        if self.filters is not None:
            self.filters.abort()
        describe(self.outcome, status, fault, cut=cut)
        if self.upstream_request is not None:
            self.upstream_request.end()
        return True

    # --- inside: the steps in order ---

    def _routed(self) -> int:
        """1. Answer what no route answers."""
        found, request = self._found, self.request
        if found is None:
            self.state = states.LOCAL
            return states.LOCAL
        if isinstance(found, Match):
            request.params = found.params
            request.route = self.outcome.route
            return self._consult(states.ARRIVE, self.hooks.arrive) if self.hooks.arrive else self._identify(found)
        preflight = isinstance(found, MethodNotAllowed) and request.method == b"OPTIONS" and self.outcome.route != "-"
        if preflight and self.hooks.arrive and self._phase != states.ARRIVE:
            # It is answered by the policies of the route that it asks about, if one of them does.
            request.route = self.outcome.route
            return self._consult(states.ARRIVE, self.hooks.arrive)
        answer = answer_without_route(self.active, found, request)
        return self.refuse(answer) if isinstance(answer, Fault) else self._reply(answer)

    def _identify(self, match: Match[Plan]) -> int:
        """3. Find out who is calling."""
        admitted = admit(match.plan.access_control, self.request, self.outcome, self.active.runtime.now())
        if isinstance(admitted, bytes | Fault):
            return self._admitted(admitted)
        return self._wait(states.IDENTIFY, admitted)

    def _admitted(self, admitted: bytes | Fault) -> int:
        if isinstance(admitted, Fault):
            return self.refuse(admitted)
        assert self.plan is not None
        sides = self.plan.sides
        if sides is not None:
            self.plan = side = sides.canary if sides.choose(self.request) else sides.stable
            self.outcome.upstream = side.upstream.upstream.name
            now = self.active.runtime.now()
            admitted = identity_lines(side, self.request.principal, self.outcome.request_id, now)
            if isinstance(admitted, Fault):
                return self.refuse(admitted)
        self._identity = admitted
        return self._consult(states.LIMIT, self.hooks.limit) if self.hooks.limit else self._let_in()

    def _let_in(self) -> int:
        plan = self.plan
        assert plan is not None
        if plan.guard is not None:
            self.state = states.GUARDING
            return states.GUARDING
        return self._fits(plan)

    def _fits(self, plan: Plan) -> int:
        """5. Check what the head says against the contract."""
        framing = fits(plan, self.request)
        if isinstance(framing, Fault):
            return self.refuse(framing)
        self.upstream_request = UpstreamRequest(plan, self.request, self.outcome, framing, self._identity)
        if plan.route.contract.body is not None:
            self.state = states.READING
            return states.READING
        return self._consult(states.LOOKUP, self.hooks.lookup) if self.hooks.lookup else self._prepare()

    def _body_checked(self, content: bytes | Fault | None) -> int:
        if isinstance(content, Fault):
            return self.refuse(content)
        self.to_send().content = content
        return self._consult(states.LOOKUP, self.hooks.lookup) if self.hooks.lookup else self._prepare()

    def _prepare(self) -> int:
        """7. Build what the service gets; 8. or leave it to the fallback at once."""
        found = self._found
        assert isinstance(found, Match)
        request = self.to_send()
        request.prepare(found)
        self.state = states.SENDING
        if (
            request.fallback is not None
            and request.gives_way()
            and not self.fall_back(_NO_TARGET, sent=False, replayable=True)
        ):
            return self.refuse(_NO_TARGET)
        return states.SENDING

    def _finished(self, made: HookResult) -> int:
        if isinstance(made, Fault):
            return self.refuse(made)
        assert self._held is not None
        return self._reply(self._held.reply(made, self.more_lines, self.request.request_id), "upstream")

    # --- inside: policies ---

    def _consult(self, phase: int, hooks: Sequence[Callable[[Request], object]]) -> int:
        """Ask the policies of ``phase``, until one answers, or has to wait."""
        self._phase = phase
        self._policies = policies = PolicyPhase(hooks, self.request, self._keep())
        return self._consulted(policies.ask())

    def _consulted(self, given: Fault | Reply | Awaitable[object] | None) -> int:
        """Do what the policies of this phase have come to; if that is nothing, go on behind them."""
        phase = self._phase
        if isinstance(given, Fault):
            return self.refuse(given)
        if isinstance(given, Reply):
            return self._reply(given, "cache" if phase == states.LOOKUP else "local")
        if given is not None:
            return self._wait(phase, given)
        if phase == states.LIMIT:
            return self._let_in()
        if phase == states.LOOKUP:
            return self._prepare()
        found = self._found
        return self._identify(found) if phase == states.ARRIVE and isinstance(found, Match) else self._routed()

    def _keep(self) -> Settlement:
        """Return what keeps the leases until the end."""
        if self._settlement is None:
            self._settlement = Settlement(self.hooks.settle)
            self.outcome.on_settled = self._settlement.settle
        return self._settlement

    # --- inside: what the engine is to do ---

    def _wait(self, phase: int, awaited: Awaitable[Any]) -> int:
        self._phase = phase
        self.awaited = awaited
        self.state = states.WAITING
        return states.WAITING

    def _reply(self, reply: Reply, source: Source = "local") -> int:
        """Answer with ``reply``, as the policies leave it; with an internal error if one of them fails. Never raises."""
        self.state = states.REPLYING
        self.reply, fault = self._local_replies().final(reply, source)
        if fault is not None:
            self.fault = fault
        return states.REPLYING

    def _local_replies(self) -> LocalReplies:
        writer = self.active.runtime.proxy_status
        return LocalReplies(self.hooks, self.request, self.outcome, self._replaced, writer)

    def __repr__(self) -> str:
        """Show which request it is of, and its state."""
        return f"<Exchange {self.request!r} {states.NAMES[self.state]}>"
