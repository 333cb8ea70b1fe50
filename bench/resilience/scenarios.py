"""What happens to the targets, and when, as data."""

from dataclasses import dataclass, replace

from bench.resilience.fleet import NAMES, Fault


@dataclass(frozen=True, slots=True)
class Scenario:
    """``targets`` have ``fault`` after ``before`` seconds of load, for ``lasts`` seconds; ``after`` seconds of load follow.

    Without ``after``, the targets do not become well again.
    """

    name: str
    title: str
    fault: Fault
    targets: tuple[str, ...]
    before: float
    lasts: float
    after: float

    def __str__(self) -> str:
        """Say what happens."""
        then = f", and {self.after:g} s more" if self.after else ", to the end"
        return f"`{self.name}`: {self.title}, after {self.before:g} s for {self.lasts:g} s{then}"

    @property
    def seconds(self) -> float:
        """The seconds of load."""
        return self.before + self.lasts + self.after

    def times(self, factor: float) -> "Scenario":
        """Return it with every duration multiplied."""
        return replace(self, before=self.before * factor, lasts=self.lasts * factor, after=self.after * factor)


_ONE = NAMES[:1]
SCENARIOS = (
    Scenario("frozen", "one of three frozen (SIGSTOP)", "frozen", _ONE, 5, 20, 5),
    Scenario("unavailable", "one of three answers 503", "unavailable", _ONE, 5, 20, 5),
    Scenario("resetting", "one of three resets connections", "resetting", _ONE, 5, 20, 5),
    Scenario("outage", "all three answer 503", "unavailable", NAMES, 5, 15, 0),
    Scenario("refused", "all three refuse connections (killed)", "killed", NAMES, 5, 15, 0),
    # Long enough for any ejection to be prolonged, and to be watched until the slowest anchor is back.
    Scenario("recovery", "one of three killed, and started again after 8 s", "killed", _ONE, 3, 8, 35),
)
ONE_BAD = ("frozen", "unavailable", "resetting")
"""The scenarios in which one target is bad for long."""
