"""The answer of a service, step 11: it passes as it comes, or is held until it is whole, to be checked or replaced."""

from collections.abc import Awaitable
from functools import partial
from typing import final

from limen.contract.answer_head import replaced
from limen.contract.edited_answer import AnswerHook, EditedAnswer, HookResult
from limen.errors import Fault, Kind
from limen.exchange.answer import Answer
from limen.exchange.answer_filters import AnswerFilters
from limen.exchange.hooks import Hooks
from limen.exchange.outcome import Outcome
from limen.exchange.principal import Principal
from limen.exchange.request import Request
from limen.http.headers import Headers, values
from limen.http.replies import Reply
from limen.pipeline.settle import policy_failed
from limen.pipeline.steps import with_more


def filters_of(answer: Answer, hooks: Hooks, request: Request, outcome: Outcome) -> AnswerFilters:
    """12. Let the policies see the head of an ``answer`` that passes; return what its content goes through."""
    answer.length = next((int(value) for name, value in answer.lines if name == b"content-length"), None)
    return AnswerFilters(hooks, request, answer, partial(policy_failed, outcome))


@final
class HeldAnswer:
    """An answer that is read whole before the client gets any of it: its ``head``, and what its content goes through."""

    __slots__ = ("_hook", "head")

    def __init__(self, hook: AnswerHook, status: int, headers: Headers) -> None:
        """The content has not come."""
        self._hook = hook
        self.head = (status, headers)

    def fault(self) -> Fault | None:
        """Return why the content cannot be read, if so: plain was asked for by ``build_upstream_head``."""
        if not values(self.head[1], b"content-encoding"):
            return None
        return Fault(Kind.UPSTREAM_CONTRACT, cause="the answer is encoded although identity was asked for")

    def edited(self, content: bytes, caller: Principal | None) -> HookResult | Awaitable[HookResult]:
        """Return what the hook makes of the content, at once or later."""
        return self._hook(content, caller)

    def reply(self, made: EditedAnswer, more: Headers, request_id: str) -> Reply:
        """Return the answer for the client; ``more`` are lines of the gateway's for its head."""
        status, headers = self.head
        return replaced(status, with_more(headers, more) if more else headers, made, request_id)

    def __repr__(self) -> str:
        """Show the status."""
        return f"<HeldAnswer {self.head[0]}>"
