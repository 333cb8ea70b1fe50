"""The path at the service that a route's requests get, and back: from such a path to the request that leads there."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from limen.checks.sample_paths import filled
from limen.checks.spellings import Part
from limen.routing.pattern import Pattern
from limen.routing.rewrite import Rewrite
from limen.runtime.route import Route


@dataclass(frozen=True)
class ServicePath:
    """The template of one route's paths at the service: ``names`` of parameters, each between two of ``literals``."""

    route: Route
    pattern: Pattern
    literals: tuple[str, ...]
    names: tuple[str, ...]

    @classmethod
    def of(cls, route: Route) -> "ServicePath":
        """Return that of ``route``, which compiles."""
        pattern = Pattern.parse(route.path)
        if route.rewrite is None:
            return cls(route, pattern, pattern.literals, pattern.names)
        literals, names = [""], list[str]()
        for part in Rewrite.parse(route.rewrite, frozenset(pattern.names)).parts:
            if isinstance(part, bytes):
                literals[-1] += part.decode()
            else:
                names.append(part)
                literals.append("")
        return cls(route, pattern, tuple(literals), tuple(names))

    def parts(self, values: Mapping[str, str]) -> list[Part]:
        """Return the path with ``values``, in pieces."""
        made = [(self.literals[0], True)]
        for name, literal in zip(self.names, self.literals[1:], strict=True):
            made += [(values[name], False), (literal, True)]
        return made

    def path(self, values: Mapping[str, str]) -> str:
        """Return the path with ``values``."""
        return "".join(text for text, _ in self.parts(values))

    @cached_property
    def shape(self) -> str:
        """The template without names and case: equal for two routes that tell their requests apart by method alone."""
        return "".join(
            literal.lower() + mark for literal, mark in zip(self.literals, [*self._marks, ""], strict=True)
        ).rstrip("/")

    @cached_property
    def first_segment(self) -> str | None:
        """The first segment without case; None if a parameter is in it."""
        first, slash, _ = self.literals[0][1:].partition("/")
        return first.lower() if slash or not self.names else None

    @cached_property
    def may_be(self) -> re.Pattern[str]:
        """Matches, without looking at case and slashes, all paths that could be one of this template, and others."""
        *others, last = self.literals
        source = "".join(re.escape(one.rstrip("/")) + (r"(?:/.*)?" if one.endswith("/") else ".*") for one in others)
        return re.compile(f"{source}{re.escape(last.rstrip('/'))}/*", re.IGNORECASE)

    def request(self, path: str, defaults: Mapping[str, str]) -> str | None:
        """Return the request path that leads to ``path`` at the service; None if there is none.

        Literals of both are as this route spells them. ``defaults`` are for parameters that ``path`` does not show.
        """
        match = self._exact.fullmatch(path)
        return None if match is None else filled(self.pattern, {**defaults, **match.groupdict()})

    @cached_property
    def _tails(self) -> frozenset[str]:
        return frozenset(() if self.pattern.rest is None else (self.pattern.rest,))

    @cached_property
    def _marks(self) -> Sequence[str]:
        return ["{**}" if name in self._tails else "{*}" for name in self.names]

    @cached_property
    def _exact(self) -> re.Pattern[str]:
        known: set[str] = set()
        source = re.escape(self.literals[0])
        for name, literal in zip(self.names, self.literals[1:], strict=True):
            value = ".*" if name in self._tails else "[^/]+"
            source += (f"(?P={name})" if name in known else f"(?P<{name}>{value})") + re.escape(literal)
            known.add(name)
        return re.compile(source, re.IGNORECASE)
