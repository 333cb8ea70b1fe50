"""The routing table. A literal path is one dictionary look-up; other paths walk a tree of segments with backtracking, literal
before parameter before rest-of-path. A walk meets each node once at most, and those only whose segments match: among literals
the cost does not grow with the number of routes, and of segments that have to match ``MOST_SPECIALS`` are asked at each node.
Immutable; a reload replaces it.

The application's own endpoints are in it as well: without a plan, so that no less specific pattern takes their requests. So
are the health endpoints, where nothing was declared at their paths.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar
from urllib.parse import unquote_to_bytes

from limen.routing.matcher import TOO_LONG, Matcher, TooLong, decoded
from limen.routing.pattern import Pattern, Segment

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
    """The path is known, the method is not; ``allow`` names those that are. ``local``: only the application has them."""

    allow: tuple[bytes, ...]
    local: bool = False


@dataclass(frozen=True, slots=True)
class Redirect:
    """``path`` is known, which differs from the requested path by its final slash."""

    path: bytes


@dataclass(frozen=True, slots=True)
class Local:
    """An endpoint of the application's own answers. ``as_get``: it has no HEAD, and what GET answers is asked for."""

    as_get: bool = False


@dataclass(frozen=True, slots=True)
class HealthEndpoint:
    """The gateway itself answers GET and HEAD at ``path``: whether it is ready, or else whether it lives."""

    path: str
    ready: bool


LOCAL: Final = Local()
_LOCAL_AS_GET: Final = Local(as_get=True)

ANY: Final = "*"
"""In place of a method, of a local entry: a mounted application takes every method, and WebSockets."""

WEBSOCKET: Final = "websocket"
"""In place of a method, of a local entry: an endpoint for WebSockets."""

MOST_SPECIALS: Final = 64
"""Segments that have to match, and rests of a path, at one place of a path: they are asked one after the other."""

_NO_METHOD: Final = frozenset((ANY.encode(), WEBSOCKET.encode()))


class _Leaf(Generic[P]):
    """The plans of one path by method, with their patterns. An endpoint of the application's own has None for a plan.

    ``health`` is there where nothing else has the path.
    """

    __slots__ = ("any", "health", "plans")

    def __init__(self) -> None:
        self.plans: dict[bytes, tuple[P | None, Pattern]] = {}
        self.any = False
        self.health: HealthEndpoint | None = None

    def add(self, method: bytes, plan: P | None, pattern: Pattern) -> str | None:
        taken = self.plans.get(method) or (self.plans[b"*"] if self.any else None)
        if taken is not None:
            other, where = taken
            if plan is not None and other is not None:
                return (
                    f"{method.decode()} {pattern.path}: {where.path} answers the same requests; remove one of the two"
                )
            first = _what(other, mounted=self.any and method not in self.plans)
            second = _what(plan, mounted=method == ANY.encode())
            return (
                f"{method.decode()} {pattern.path}: {second} can never be reached, since {first} at {where.path} was "
                "declared before it and answers the same requests; remove one of the two, or give it another path"
            )
        self.plans[method] = (plan, pattern)
        self.any = self.any or method == ANY.encode()
        return None

    def find(self, method: bytes) -> tuple[P | None, Pattern] | None:
        entry = self.plans.get(method)
        if entry is None and method == b"HEAD":
            entry = self.plans.get(b"GET")
        return self.plans[b"*"] if entry is None and self.any else entry

    @property
    def methods(self) -> set[bytes]:
        return {b"GET"} if self.health is not None else set(self.plans) - _NO_METHOD

    @property
    def is_local(self) -> bool:
        return self.health is None and all(plan is None for plan, _ in self.plans.values())

    @property
    def allow(self) -> set[bytes]:
        methods = self.methods
        if not methods:
            return methods
        return methods | {b"OPTIONS"} | ({b"HEAD"} if b"GET" in methods else set[bytes]())


def _what(plan: object, *, mounted: bool) -> str:
    if plan is not None:
        return "the gateway route"
    return "the mounted application" if mounted else "the application's own endpoint"


class _Special(Generic[P]):
    """A segment that has to match, a converter or text around parameters, and the node behind it."""

    __slots__ = ("matcher", "node")

    def __init__(self, segment: Segment, node: "_Node[P]") -> None:
        self.matcher = Matcher(segment)
        self.node = node


class _Node(Generic[P]):
    __slots__ = ("leaf", "literals", "parameter", "specials", "tail", "tails")

    def __init__(self) -> None:
        self.literals: dict[bytes, _Node[P]] = {}
        self.specials: list[_Special[P]] = []  # in their order of precedence
        self.parameter: _Node[P] | None = None
        self.leaf: _Leaf[P] | None = None
        self.tails: list[_Special[P]] = []  # a rest of the path that has to match; the leaf is the node's
        self.tail: _Leaf[P] | None = None

    def special(self, segment: Segment) -> "_Node[P] | None":
        """Return the node behind a segment that has to match, made at first use; None where there are too many."""
        specials = self.tails if segment.tail else self.specials
        for one in specials:
            if one.matcher.pattern == segment.regex:
                return one.node
        if len(specials) == MOST_SPECIALS:
            return None
        made = _Special(segment, _Node[P]())
        specials.append(made)
        specials.sort(key=_order)  # of one order, the first that was declared stays the first
        return made.node


def _order(special: _Special[P]) -> tuple[int, ...]:
    return special.matcher.order


class Table(Generic[P]):
    """All plans. Raises ValueError, naming every conflict, when two entries answer the same requests.

    ``redirects``: a path that differs from a known one by its final slash is redirected there.
    """

    def __init__(
        self,
        entries: Iterable[tuple[str, Pattern, P | None]],
        *,
        redirects: bool = True,
        health: Iterable[HealthEndpoint] = (),
    ) -> None:
        """Build from ``(method, pattern, plan)``, in the order of declaration.

        None in place of a plan is an endpoint of the application's own, whose method may be ``ANY`` or ``WEBSOCKET``. One of
        ``health`` whose path an entry has is left out; a pattern that matches the path does not have it.
        """
        self._root: _Node[P] = _Node()
        self._literal: dict[bytes, _Leaf[P]] = {}
        self._redirects = redirects
        clashes = [clash for method, pattern, plan in entries if (clash := self._add(method.encode(), pattern, plan))]
        if clashes:
            raise ValueError("\n".join(clashes))
        self.health = tuple(one for one in health if self._add_health(one))
        """The health endpoints that it has."""
        self.methods = frozenset(method for leaf in self._all() for method in leaf.methods)
        """The methods of all routes."""
        self._exact = {
            (method, path): Match(plan, path, {}, {})
            for path, leaf in self._literal.items()
            for method, (plan, _) in leaf.plans.items()
            if plan is not None
        }

    def _all(self) -> Iterator[_Leaf[P]]:
        """Yield every leaf."""
        nodes = [self._root]
        while nodes:
            node = nodes.pop()
            nodes += node.literals.values()
            nodes += [one.node for one in (*node.specials, *node.tails)]
            if node.parameter is not None:
                nodes.append(node.parameter)
            for leaf in (node.leaf, node.tail):
                if leaf is not None:
                    yield leaf

    def exact(self, method: bytes, raw: bytes) -> Match[P] | None:
        """Return the match of a path that equals a literal pattern, by one look-up of a precomputed match."""
        return self._exact.get((method, raw))

    def match(
        self, method: bytes, raw: bytes
    ) -> Match[P] | Local | HealthEndpoint | Redirect | MethodNotAllowed | TooLong | None:
        """Return the match of a raw path, or why there is none; None for a path that no pattern matches.

        ``TooLong`` is where a more specific pattern may be meant than the next one that matches.
        """
        allow: set[bytes] = set()
        local = True
        for leaf, values in self._leaves(raw):
            entry = leaf.find(method)
            if entry is not None:
                if values is None:
                    return TOO_LONG
                plan, pattern = entry
                if plan is None:
                    as_get = method == b"HEAD" and method not in leaf.plans and not leaf.any
                    return _LOCAL_AS_GET if as_get else LOCAL
                named = dict(zip(pattern.names, values, strict=True))
                return Match(plan, raw, {n: unquote_to_bytes(v).decode() for n, v in named.items()}, named)
            if leaf.health is not None and method in (b"GET", b"HEAD"):
                return leaf.health
            allow |= leaf.allow
            local = local and leaf.is_local
        if allow:
            return MethodNotAllowed(tuple(sorted(allow)), local)
        if not self._redirects:
            return None
        other = raw[:-1] if raw.endswith(b"/") else raw + b"/"
        # A path of slashes only would become "//host", which browsers read as another host.
        if other and not other.startswith(b"//") and any(leaf.methods or leaf.any for leaf, _ in self._leaves(other)):
            return Redirect(other)
        return None

    def has_websocket(self, raw: bytes) -> bool:
        """Tell whether a WebSocket is for the application: where it has an endpoint, or nothing else is known."""
        for leaf, values in self._leaves(raw):
            if leaf.any or b"websocket" in leaf.plans:
                return values is not None
            if leaf.health is not None:
                return False
            entry = leaf.plans.get(b"GET")
            if entry is not None and entry[0] is not None:
                return False
        return True

    def _add(self, method: bytes, pattern: Pattern, plan: P | None) -> str | None:
        node = self._root
        for segment in pattern.segments:
            if segment.regex:
                special = node.special(segment)
                if special is None:
                    return (
                        f"{method.decode()} {pattern.path}: more than {MOST_SPECIALS} paths have a parameter with a "
                        f"converter, or with text around it, in the place of {segment.text!r}; put a segment of text before "
                        "some of them, or use one parameter there and tell its values apart in the service"
                    )
                node = special
            elif segment.tail:
                node.tail = node.tail or _Leaf()
                return node.tail.add(method, plan, pattern)
            elif segment.parameter:
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.literals.setdefault(segment.text.encode(), _Node())
        node.leaf = node.leaf or _Leaf()
        if not pattern.names:
            self._literal[pattern.path.encode()] = node.leaf
        return node.leaf.add(method, plan, pattern)

    def _add_health(self, endpoint: HealthEndpoint) -> bool:
        """Add ``endpoint``, unless something was declared at its path."""
        node = self._root
        for text in endpoint.path[1:].encode().split(b"/"):
            node = node.literals.setdefault(text, _Node())
        node.leaf = leaf = node.leaf or _Leaf()
        if leaf.plans:
            return False
        leaf.health = endpoint
        self._literal[endpoint.path.encode()] = leaf
        return True

    def _leaves(self, raw: bytes) -> Iterator[tuple[_Leaf[P], tuple[bytes, ...] | None]]:
        """Yield every leaf that matches the path, the most specific first, with the parameters' raw values.

        None in place of values: the path is too long to be matched with the leaf's pattern.
        """
        exact = self._literal.get(raw)
        if exact is not None:
            yield exact, ()
        for leaf, values in self._walk(self._root, raw[1:].split(b"/"), 0, ()):
            if leaf is not exact:
                yield leaf, values

    def _walk(
        self, node: _Node[P], segments: list[bytes], at: int, values: tuple[bytes, ...]
    ) -> Iterator[tuple[_Leaf[P], tuple[bytes, ...] | None]]:
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
        if node.specials:
            text = decoded(segment)
            for special in node.specials:
                found = special.matcher.match(segment, text)
                if isinstance(found, TooLong):
                    for leaf, _ in self._walk(special.node, segments, at + 1, ()):
                        yield leaf, None
                elif found is not None:
                    yield from self._walk(special.node, segments, at + 1, (*values, *found))
        if node.parameter is not None and segment:
            yield from self._walk(node.parameter, segments, at + 1, (*values, segment))
        if node.tails:
            rest = b"/".join(segments[at:])
            text = decoded(rest)
            for special in node.tails:
                found = special.matcher.match(rest, text)
                if found is not None and special.node.leaf is not None:
                    yield special.node.leaf, (None if isinstance(found, TooLong) else (*values, *found))
        if node.tail is not None:
            yield node.tail, (*values, b"/".join(segments[at:]))
