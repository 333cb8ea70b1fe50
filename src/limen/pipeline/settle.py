"""The end of every request, once: whatever a policy raises there goes to the log, and no further."""

from limen.exchange.outcome import Outcome
from limen.observe import access
from limen.observe.access import shown
from limen.observe.redaction import logger

_log = logger("limen.policies")


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
