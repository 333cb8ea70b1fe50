"""What ``Retry`` and ``Hedge`` declare, for the hot path: attributes of what is not compiled are slow to ask for."""

from typing import final

from limen.upstream.retry import Hedge, Retry


@final
class HedgeRules:
    """What ``Hedge`` declares."""

    __slots__ = ("ceiling", "factor", "floor", "initial", "samples")

    def __init__(self, declared: Hedge) -> None:
        """Copy it."""
        self.factor: float = float(declared.factor)
        self.floor: float = float(declared.floor)
        self.ceiling: float = float(declared.ceiling)
        self.initial: float = float(declared.initial)
        self.samples: int = declared.samples


@final
class RetryRules:
    """What ``Retry`` declares; ``timeout`` is negative for none."""

    __slots__ = ("attempts", "backoff", "body", "budget", "least", "statuses", "timeout")

    def __init__(self, declared: Retry) -> None:
        """Copy it."""
        self.attempts: int = declared.attempts
        self.statuses: frozenset[int] = frozenset(declared.statuses)
        self.backoff: float = float(declared.backoff)
        self.budget: float = float(declared.budget)
        self.least: int = declared.least
        self.body: int = declared.body
        self.timeout: float = -1.0 if declared.timeout is None else float(declared.timeout)
