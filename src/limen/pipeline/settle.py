"""The end of every request, once: whatever a policy raises there goes to the log, and no further."""

from limen.errors import Fault, Kind
from limen.exchange.outcome import Outcome
from limen.observe import access
from limen.observe.access import shown
from limen.observe.redaction import logger

_log = logger("limen.policies")


def describe(outcome: Outcome, status: int, fault: Fault | None, *, cut: bool) -> None:
    """15. Say in ``outcome`` how the request has ended; ``status`` is 0 if no answer has begun."""
    outcome.status = status
    outcome.cut = cut
    if fault is not None:
        outcome.code = fault.kind.code
        outcome.cause = fault.cause
        if fault.kind is Kind.CLIENT_CLOSED or not status:
            outcome.status = fault.kind.status


def settle(outcome: Outcome) -> None:
    """15. Record what happened; never raises, never waits."""
    if outcome.on_settled is not None:
        end(outcome)
    access.LOG.add(outcome)


def end(outcome: Outcome) -> None:
    """Give back what was granted, and tell the policies, without a line in the log."""
    if outcome.on_settled is not None:
        try:
            outcome.on_settled(outcome)
        except Exception:
            policy_failed(outcome)


def policy_failed(outcome: Outcome) -> None:
    """Write what a policy has just raised to the log."""
    _log.exception("a policy failed on %s %s", *shown(outcome))
