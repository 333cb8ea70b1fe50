"""The request as a service gets it, steps 7 to 10: what is sent, the attempts at it, and the other service that may have it.

It is there once the head of the client's request fits its contract. ``limen.pipeline.exchange`` says when each step comes.
"""

from collections.abc import Awaitable, Callable
from typing import Final, final

from limen.contract.request_check import BodyFraming, check_body
from limen.errors import Fault
from limen.exchange.granted import Transform
from limen.exchange.hooks import NO_HOOKS
from limen.exchange.outcome import Outcome
from limen.exchange.request import Request
from limen.exchange.transforms import chain
from limen.fairness.validations import Validations
from limen.http.connection_auth import names_connection_scheme
from limen.http.headers import NO_LINES, Headers
from limen.http.replies import Reply
from limen.pipeline.attempts import Attempts
from limen.pipeline.fallback import Fallback, described
from limen.pipeline.steps import build_upstream_head, gateway_lines, identity_lines, without_digests
from limen.routing.table import Match
from limen.runtime.plan import Plan

_AUTHORIZATION: Final = b"authorization"


@final
class UpstreamRequest:
    """What the service of ``plan`` gets: ``target`` and ``lines`` are the client's, ``own_lines`` the gateway's; and a body.

    ``content`` is a declared body, as the service gets it; ``body_transform`` changes one that streams. ``attempts`` and
    ``fallback`` are there once it is prepared, ``fallback`` where one is declared.
    """

    __slots__ = (
        *("_body_length", "_outcome", "_request", "attempts", "body_transform", "content", "fallback"),
        *("framing", "lines", "own_lines", "plan", "target"),
    )

    def __init__(self, plan: Plan, request: Request, outcome: Outcome, framing: BodyFraming, identity: bytes) -> None:
        """``framing`` is what the client's head says of the body; ``identity`` are the lines that say who is calling."""
        self.plan = plan
        self.framing = framing
        self.content: bytes | None = None
        self.body_transform: Transform | None = None
        self.target = b""
        self.lines: Headers = NO_LINES
        self.own_lines = gateway_lines(request.origin, request.request_id, identity)
        self.attempts: Attempts | None = None
        self.fallback: Fallback | None = None
        self._request = request
        self._outcome = outcome
        self._body_length: int = 0  # bytes of a declared body, as it came

    def check_body(self, content: bytes, validations: Validations) -> bytes | Fault | Awaitable[bytes | Fault] | None:
        """5. Check a declared body, which is whole; return what ``content`` is to be."""
        route = self.plan.route
        body = route.contract.body
        assert body is not None
        self._body_length = len(content)
        return check_body(body, content, self._request.head, route.max_body, validations)

    def prepare(self, match: Match[Plan]) -> None:
        """7. Build what the service gets, as the policies change it."""
        plan, request, content = self.plan, self._request, self.content
        self.target, lines = build_upstream_head(plan, match, request.method, request.query, request.head)
        if content is not None and len(content) != self._body_length:
            lines = without_digests(lines)
        hooks = plan.hooks
        if hooks is not NO_HOOKS:
            for change in hooks.request_head:
                lines = change(request, lines)
            lines = self._transform_body(lines)
        self.lines = lines
        self.attempts = self._new_attempts(plan)
        if plan.fallback is not None:
            self.fallback = Fallback(plan.fallback, plan.upstream.upstream.name, request)

    def _transform_body(self, lines: Headers) -> Headers:
        """Let the policies change the body; return ``lines`` without what is not true of it any more."""
        if not self.framing.framed and self.content is None:
            return lines
        transforms = [one for make in self.plan.hooks.request_body if (one := make(self._request)) is not None]
        transform = chain(transforms)
        if transform is None:
            return lines
        if self.content is not None:
            self.content = transform.feed(self.content) + transform.end()
        else:
            self.body_transform = transform
            self.framing.length = None
        return without_digests(lines)

    def _new_attempts(self, plan: Plan) -> Attempts:
        attempts = Attempts(plan, self._request, plan.hooks, self._outcome, self.own_lines)
        if plan.hooks.request_head or (plan.passes_authorization and self._request.head.all(_AUTHORIZATION)):
            attempts.private = names_connection_scheme(self.lines, _AUTHORIZATION)
        return attempts

    def started_attempts(self) -> Attempts:
        """8. Return what decides about the attempts, for an engine that makes them."""
        assert self.attempts is not None
        return self.attempts

    def fixed_answer(self, fault: Fault) -> Reply | None:
        """10. Return what the fallback answers to ``fault`` of the service by itself; None if it does not."""
        fallback = self.fallback
        return None if fallback is None or not fallback.covers_fault(fault) else fallback.fixed_answer()

    def gives_way(self) -> bool:
        """8. Tell whether the fallback is to answer at once."""
        return self.fallback is not None and self.attempts is not None and self.attempts.gives_way()

    def fall_back(self, fault: Fault, now: Callable[[], float], *, sent: bool, replayable: bool) -> bool:
        """10. Let another service have it, in place of the one that has failed with ``fault``; False if none may.

        ``sent`` says that some of it was written to the first one, ``replayable`` that all of its body is still at hand.
        """
        if self.fallback is None or not self.fallback.covers_fault(fault):
            return False
        return self._go_to_other_service(described(fault), now, sent=sent, replayable=replayable)

    def replaces(self, status: int, now: Callable[[], float], *, replayable: bool) -> bool:
        """11. Tell whether the fallback answers in place of one with ``status``; another service has it from then on."""
        fallback = self.fallback
        if fallback is None or not fallback.covers_status(status):
            return False
        if fallback.plan is None:
            return True
        return self._go_to_other_service(f"an answer of {status}", now, sent=True, replayable=replayable)

    def fixed_answer_for(self, status: int) -> Reply | None:
        """11. Return the fixed answer in place of one with ``status``; None if another service is to answer."""
        return None if self.fallback is None else self.fallback.fixed_answer(f"an answer of {status}")

    def _go_to_other_service(self, ended: str, now: Callable[[], float], *, sent: bool, replayable: bool) -> bool:
        earlier, fallback, outcome = self.attempts, self.fallback, self._outcome
        if earlier is None or fallback is None or fallback.plan is None:
            return False
        if not earlier.may_go_to_another_service(sent=sent, replayable=replayable):
            return False
        plan, request = fallback.plan, self._request
        identity = identity_lines(plan, request.principal, outcome.request_id, now())
        if isinstance(identity, Fault):
            return False  # it would be told the same as the first one: that fault stands
        fallback.note_other_service(ended)
        self.plan = plan
        outcome.upstream = plan.upstream.upstream.name
        self.own_lines = gateway_lines(request.origin, request.request_id, identity)
        self.attempts = attempts = self._new_attempts(plan)
        attempts.follow(earlier)
        return True

    def binding_lines(self) -> Headers:
        """11. Return the lines that bind the client to the target that answers."""
        return [] if self.attempts is None else self.attempts.binding_lines()

    def end(self) -> None:
        """15. Make no more attempts, and tell in whose place the fallback has answered."""
        if self.attempts is not None:
            self.attempts.give_up()
        if self.fallback is not None and self.fallback.note:
            outcome, note = self._outcome, self.fallback.note
            outcome.cause = f"{outcome.cause}; {note}" if outcome.cause else note

    def __repr__(self) -> str:
        """Show the target, and who gets it."""
        return f"<UpstreamRequest {self.target.decode('ascii', 'replace')} to {self.plan.upstream.upstream.name}>"
