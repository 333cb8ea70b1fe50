"""The contract between a gateway and a service with accounts, as cases (``contract.json``).

Both sides are tested against it: the service answers each request so, and a gateway does with each answer what is said.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, cast

_PLACEHOLDER = re.compile(r"<[a-z ]+>")


@dataclass(frozen=True, slots=True)
class Case:
    """A request to the service, its answer, and what the gateway does with that.

    ``given`` names what there is before. ``request`` has ``method`` and ``path``, and ``body`` and ``caller`` if there are
    any; ``answer`` has ``status``, and ``headers``, and ``body`` or the ``code`` of a problem. ``gateway`` has ``caller`` of
    a key (None for nobody), what it ``issues`` a token for, or the sessions that the answer ``ends``.
    """

    name: str
    given: str
    request: Mapping[str, Any]
    answer: Mapping[str, Any]
    gateway: Mapping[str, Any]

    def __str__(self) -> str:
        """Name it, as in the output of tests."""
        return self.name


@dataclass(frozen=True, slots=True)
class Contract:
    """All cases. ``most_ended_sessions`` is how many sessions one answer may end. ``patterns`` are those of placeholders."""

    cases: tuple[Case, ...]
    most_ended_sessions: int
    patterns: Mapping[str, str]
    examples: Mapping[str, str]

    @classmethod
    def load(cls) -> "Contract":
        """Read it."""
        content = json.loads((files("limen_accounts") / "contract.json").read_text())
        values = content["values"]
        return cls(
            tuple(Case(**case) for case in content["cases"]),
            content["most_ended_sessions"],
            {name: value["pattern"] for name, value in values.items()},
            {name: value["example"] for name, value in values.items()},
        )

    def example(self, value: Any) -> Any:
        """Return ``value`` with an example in place of each placeholder."""
        return filled(value, self.examples)

    def matches(self, expected: Any, found: Any, known: Mapping[str, str]) -> bool:
        """Whether ``found`` is ``expected``, with ``known`` texts for some placeholders and any of its pattern for others."""
        if isinstance(expected, dict):
            members, others = cast("dict[str, Any]", expected), cast("dict[str, Any]", found)
            return (
                isinstance(found, dict)
                and members.keys() == others.keys()
                and all(self.matches(members[name], others[name], known) for name in members)
            )
        expected = filled(expected, known)
        pattern = self.patterns.get(expected) if isinstance(expected, str) else None
        return expected == found if pattern is None else isinstance(found, str) and bool(re.fullmatch(pattern, found))


def filled(value: Any, texts: Mapping[str, str]) -> Any:
    """Return ``value`` with ``texts`` in place of the placeholders that they name."""
    if isinstance(value, dict):
        return {name: filled(member, texts) for name, member in cast("dict[str, Any]", value).items()}
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda match: texts.get(match[0], match[0]), value)
    return value
