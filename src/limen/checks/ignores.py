"""Findings that somebody has acknowledged: ``CODE@PLACE``."""

from collections.abc import Sequence
from dataclasses import dataclass

from limen.checks.finding import Finding, Kind, Place

FORM = 'CODE@"GET /path"'


@dataclass(frozen=True, slots=True)
class Ignore:
    """One acknowledgement: findings of ``kind`` at a ``place``, a route or a service."""

    kind: Kind
    place: str

    @classmethod
    def parse(cls, text: str) -> "Ignore":
        """Read ``CODE@PLACE``. Raises ValueError that says what is wrong."""
        code, at, place = text.partition("@")
        if not at or not place.strip():
            raise ValueError(f"{text!r} names no place; write {FORM}, or CODE@service for all routes of a service")
        kind = next((kind for kind in Kind if kind.code == code.strip()), None)
        if kind is None:
            known = ", ".join(kind.code for kind in Kind if kind.ignorable)
            raise ValueError(f"{code!r} is no code of a finding; they are {known}")
        if not kind.ignorable:
            raise ValueError(f"{code!r} cannot be ignored; mend it")
        return cls(kind, " ".join(place.split()))

    def matches(self, finding: Finding) -> bool:
        """Tell whether it acknowledges ``finding``."""
        return finding.kind is self.kind and finding.place.is_called(self.place)

    def __str__(self) -> str:
        """Show it as it is written in a command."""
        return f"{self.kind.code}@{self.place}"


def split(findings: Sequence[Finding], ignores: Sequence[Ignore]) -> tuple[list[Finding], list[Finding]]:
    """Return the findings that count, and those that are ignored. An ignore that matches none is a finding."""
    ignored = [finding for finding in findings if any(ignore.matches(finding) for ignore in ignores)]
    counted = [finding for finding in findings if finding not in ignored]
    for ignore in dict.fromkeys(ignores):
        if not any(ignore.matches(finding) for finding in findings):
            counted.append(
                Finding(
                    Kind.UNUSED_IGNORE,
                    Place(name="--ignore"),
                    f"{ignore} matches nothing{_elsewhere(ignore, findings)}.",
                    "take it out of the command, or correct the place",
                )
            )
    return counted, ignored


def _elsewhere(ignore: Ignore, findings: Sequence[Finding]) -> str:
    places = list(dict.fromkeys(finding.place.shortest for finding in findings if finding.kind is ignore.kind))
    return f": {ignore.kind.code} is found at {', '.join(places)}" if places else ""
