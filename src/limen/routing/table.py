"""The routing table. A literal path is one dictionary look-up; other paths walk a tree of segments with backtracking, literal
before parameter before rest-of-path. The cost does not grow with the number of routes. Immutable; a reload replaces it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import unquote_to_bytes

from limen.routing.path import Pattern

P = TypeVar("P")


class Match(Generic[P]):
    """A plan and its path parameters: ``params`` percent-decoded, ``raw`` as received; ``path`` is the raw path.

    Immutable, and shared by all requests of a literal path. Not a dataclass: mypyc has no generic ones.
    """

    __slots__ = ("params", "path", "plan", "raw")

    def __init__(self, plan: P, path: bytes, params: dict[str, str], raw: dict[str, bytes]) -> None:
        """Keep the arguments."""
        self.plan = plan
        self.path = path
        self.params = params
        self.raw = raw


@dataclass(frozen=True, slots=True)
class MethodNotAllowed:
    """The path is known, the method is not; ``allow`` names the methods that are."""

    allow: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Redirect:
    """``path`` is known, which differs from the requested path by its final slash."""

    path: bytes


class _Leaf(Generic[P]):
    """The plans of one path by method, with their patterns."""

    __slots__ = ("plans",)

    def __init__(self) -> None:
        self.plans: dict[bytes, tuple[P, Pattern]] = {}

    def add(self, method: bytes, plan: P, pattern: Pattern) -> str | None:
        if method in self.plans:
            other = self.plans[method][1].path
            return f"{method.decode()} {pattern.path}: {other} answers the same requests; remove one of the two"
        self.plans[method] = (plan, pattern)
        return None

    def find(self, method: bytes) -> tuple[P, Pattern] | None:
        entry = self.plans.get(method)
        return self.plans.get(b"GET") if entry is None and method == b"HEAD" else entry

    @property
    def allow(self) -> set[bytes]:
        return set(self.plans) | {b"OPTIONS"} | ({b"HEAD"} if b"GET" in self.plans else set[bytes]())


class _Node(Generic[P]):
    __slots__ = ("leaf", "literals", "parameter", "tail")

    def __init__(self) -> None:
        self.literals: dict[bytes, _Node[P]] = {}
        self.parameter: _Node[P] | None = None
        self.leaf: _Leaf[P] | None = None
        self.tail: _Leaf[P] | None = None


class Table(Generic[P]):
    """All plans. Raises ValueError, naming every conflict, when two entries answer the same requests."""

    def __init__(self, entries: Iterable[tuple[str, Pattern, P]]) -> None:
        """Build from ``(method, pattern, plan)``."""
        self._root: _Node[P] = _Node()
        self._literal: dict[bytes, _Leaf[P]] = {}
        clashes = [clash for method, pattern, plan in entries if (clash := self._add(method.encode(), pattern, plan))]
        if clashes:
            raise ValueError("\n".join(clashes))
        self.methods = frozenset(method for leaf in self._all() for method in leaf.plans)
        """The methods of all routes."""
        self._exact = {
            (method, path): Match(plan, path, {}, {})
            for path, leaf in self._literal.items()
            for method, (plan, _) in leaf.plans.items()
        }

    def _all(self) -> Iterator[_Leaf[P]]:
        """Yield every leaf."""
        nodes = [self._root]
        while nodes:
            node = nodes.pop()
            nodes += node.literals.values()
            if node.parameter is not None:
                nodes.append(node.parameter)
            for leaf in (node.leaf, node.tail):
                if leaf is not None:
                    yield leaf

    def exact(self, method: bytes, raw: bytes) -> Match[P] | None:
        """Return the match of a path that equals a literal pattern, by one look-up of a precomputed match."""
        return self._exact.get((method, raw))

    def match(self, method: bytes, raw: bytes) -> Match[P] | Redirect | MethodNotAllowed | None:
        """Return the match of a raw path, or why there is none; None for a path that no pattern matches."""
        allow: set[bytes] = set()
        for leaf, values in self._leaves(raw):
            entry = leaf.find(method)
            if entry is not None:
                plan, pattern = entry
                named = dict(zip(pattern.names, values, strict=True))
                return Match(plan, raw, {n: unquote_to_bytes(v).decode() for n, v in named.items()}, named)
            allow |= leaf.allow
        if allow:
            return MethodNotAllowed(tuple(sorted(allow)))
        other = raw[:-1] if raw.endswith(b"/") else raw + b"/"
        # A path of slashes only would become "//host", which browsers read as another host.
        if other and not other.startswith(b"//") and any(True for _ in self._leaves(other)):
            return Redirect(other)
        return None

    def _add(self, method: bytes, pattern: Pattern, plan: P) -> str | None:
        node = self._root
        for segment in pattern.segments:
            if segment.tail:
                node.tail = node.tail or _Leaf()
                return node.tail.add(method, plan, pattern)
            if segment.parameter:
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.literals.setdefault(segment.text.encode(), _Node())
        node.leaf = node.leaf or _Leaf()
        if not pattern.names:
            self._literal[pattern.path.encode()] = node.leaf
        return node.leaf.add(method, plan, pattern)

    def _leaves(self, raw: bytes) -> Iterator[tuple[_Leaf[P], tuple[bytes, ...]]]:
        """Yield every leaf that matches the path, the most specific first, with the parameters' raw values."""
        exact = self._literal.get(raw)
        if exact is not None:
            yield exact, ()
        for leaf, values in self._walk(self._root, raw[1:].split(b"/"), 0, ()):
            if leaf is not exact:
                yield leaf, values

    def _walk(
        self, node: _Node[P], segments: list[bytes], at: int, values: tuple[bytes, ...]
    ) -> Iterator[tuple[_Leaf[P], tuple[bytes, ...]]]:
        if at == len(segments):
            if node.leaf is not None:
                yield node.leaf, values
            return
        segment = segments[at]
        # Services decode before they match, so encoding must not avoid a literal. A %2F becomes a slash here, which no
        # literal has.
        child = node.literals.get(unquote_to_bytes(segment) if b"%" in segment else segment)
        if child is not None:
            yield from self._walk(child, segments, at + 1, values)
        if node.parameter is not None and segment:
            yield from self._walk(node.parameter, segments, at + 1, (*values, segment))
        if node.tail is not None:
            yield node.tail, (*values, b"/".join(segments[at:]))
