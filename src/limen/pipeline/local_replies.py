"""The answers that the gateway makes itself to one request: problem documents, and what the policies make of any of them."""

from functools import partial
from typing import Final, final

from limen.errors import Fault, Kind
from limen.exchange.answer import Source
from limen.exchange.answer_filters import filter_reply
from limen.exchange.hooks import NO_HOOKS, Hooks
from limen.exchange.outcome import Outcome
from limen.exchange.request import Request
from limen.http.headers import NO_LINES, Headers
from limen.http.replies import Reply, complete, problem
from limen.pipeline.settle import policy_failed
from limen.runtime.proxy_status import ProxyStatusWriter

NO_ANSWER: Final[tuple[int, Headers]] = (0, NO_LINES)
"""Stands for the head of the service's answer where none is replaced."""


@final
class LocalReplies:
    """Makes them for ``request``.

    ``replaced`` are status and header lines of the service's answer in whose place they stand, or ``NO_ANSWER``. The
    ``writer`` of ``Proxy-Status`` tells of it; there is none where that is off.
    """

    __slots__ = ("_hooks", "_outcome", "_replaced", "_request", "_writer")

    def __init__(
        self,
        hooks: Hooks,
        request: Request,
        outcome: Outcome,
        replaced: tuple[int, Headers],
        writer: ProxyStatusWriter | None,
    ) -> None:
        """Keep who has a say in them."""
        self._hooks = hooks
        self._request = request
        self._outcome = outcome
        self._replaced = replaced
        self._writer = writer

    def refusal(self, fault: Fault, fixed: Reply | None = None) -> Reply:
        """Return the answer to ``fault``: a problem document, or the ``fixed`` answer of the route's fallback."""
        return self.explained(problem(fault, self._request.request_id) if fixed is None else fixed, fault)

    def explained(self, reply: Reply, fault: Fault | None) -> Reply:
        """Return ``reply`` with ``Proxy-Status``; without a ``fault`` it stands in place of an answer of the service's."""
        if self._writer is not None:
            request, target = self._request, self._outcome.target
            principal, params = request.principal, request.params
            reply.headers.extend(
                self._writer.lines(fault, principal=principal, params=params, target=target, answered=self._replaced)
            )
        return reply

    def final(self, reply: Reply, source: Source) -> tuple[Reply, Fault | None]:
        """Return ``reply`` as the policies leave it. If one fails, that is an internal error, and so told. Never raises."""
        if self._hooks is NO_HOOKS:
            return reply, None
        filtered = self._filtered(reply, source)
        if filtered is not None:
            return filtered, None
        fault = Fault(Kind.INTERNAL_ERROR)
        refusal = self.refusal(fault)
        return self._filtered(refusal, "local") or refusal, fault  # which goes out as it is if they fail again

    def _filtered(self, reply: Reply, source: Source) -> Reply | None:
        """Return ``reply`` as the policies leave it; None if one of them fails, which is logged."""
        hooks, request = self._hooks, self._request
        try:
            whole = complete(reply, request.request_id)
            if not hooks.sees_answers:
                return whole
            return filter_reply(whole, hooks, request, source, partial(policy_failed, self._outcome))
        except Exception:
            policy_failed(self._outcome)
            return None

    def __repr__(self) -> str:
        """Show whom they answer."""
        return f"<LocalReplies {self._request!r}>"
