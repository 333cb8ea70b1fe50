"""Who may call what, as a table for review: every route against every kind of caller.

Verdicts are not computed here: the route's own rule is asked about made-up callers, with the methods by which the route lets
callers prove who they are. Only functions leave a doubt: the names that they compare with are unknown, and a made-up caller
has no claims. Functions are called, so they must have no side effects.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

from limen.auth.api_keys import ApiKeys
from limen.auth.method import Methods
from limen.auth.rules import Params, Rule
from limen.exchange.principal import Principal
from limen.runtime.route import Route

Credential = Literal["none", "token", "key"]
Verdict = Literal["allowed", "401", "403", "?", "-"]
"""The status that refuses; ``?`` where a function decides by what no made-up caller has; ``-`` where the rule does not read
the path parameter that the caller owns."""

# Names are combined up to so many at a time, of a rule with up to so many; of a rule with more, in pairs. A rule that admits
# none of these combinations is tried with all its names.
_COMBINED_AT_ONCE = 4
_COMBINABLE_NAMES = 12

_CALLER_ID, _OTHER_ID = "me", "another"


@dataclass(frozen=True, slots=True)
class Caller:
    """A made-up caller: the kind of credential, and all that is known about the caller."""

    credential: Credential
    roles: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    owns: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The name in tables."""
        parts = [f"role {name}" for name in sorted(self.roles)]
        parts += [f"scope {name}" for name in sorted(self.scopes)]
        parts += [f"owner {name}" for name in sorted(self.owns)]
        if self.credential == "key":
            return " + ".join(["API key", *parts])
        return "anonymous" if self.credential == "none" else " + ".join(parts) or "signed in"

    @property
    def principal(self) -> Principal:
        """The caller as rules see it."""
        return Principal(_CALLER_ID, self.roles, self.scopes)

    def params(self, names: Iterable[str]) -> Params:
        """Return path parameters; those that the caller owns hold its id."""
        return {name: _CALLER_ID if name in self.owns else _OTHER_ID for name in names}

    def by(self, credential: Credential) -> "Caller":
        """Return the same caller with another credential."""
        return Caller(credential, self.roles, self.scopes, self.owns)


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """A route with a verdict for each caller of the matrix. An endpoint of FastAPI is not judged, and has none."""

    methods: tuple[str, ...]
    path: str
    service: str
    allow: str = ""
    auth: str = ""
    verdicts: tuple[Verdict, ...] = ()


@dataclass(frozen=True, slots=True)
class Matrix:
    """All routes and callers. ``functions`` are those of the rules, by name, each with what it reads that may matter."""

    callers: tuple[Caller, ...]
    rows: tuple[MatrixRow, ...]
    functions: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Ruled:
    """A route, or an endpoint of the application's own, with its rule. ``service`` is who answers."""

    methods: tuple[str, ...]
    path: str
    service: str
    allow: Rule
    auth: Methods | None

    @classmethod
    def of(cls, route: Route) -> "Ruled":
        """Return ``route`` as the matrix sees it."""
        return cls(route.methods, route.path, route.service, route.allow, route.auth)


def matrix(ruled: Sequence[Ruled], auth: Methods, local: Sequence[MatrixRow] = ()) -> Matrix:
    """Return the matrix of what is ``ruled``; ``auth`` are the methods of those that name none.

    ``local`` rows are added unchanged. Rows are sorted by path and not by declaration, so that moving code changes nothing.
    """
    callers_found = callers([(one.allow, _methods(one, auth)) for one in ruled])
    rows = [
        MatrixRow(
            methods=one.methods,
            path=one.path,
            service=one.service,
            allow=str(one.allow),
            auth="" if one.allow.public else " | ".join(type(method).__name__ for method in _methods(one, auth)),
            verdicts=tuple(route_verdict(one.allow, _methods(one, auth), caller) for caller in callers_found),
        )
        for one in ruled
    ]
    return Matrix(callers_found, tuple(sorted([*rows, *local], key=_sort_key)), _functions(ruled, callers_found))


def route_verdict(rule: Rule, methods: Methods, caller: Caller) -> Verdict:
    """Return the verdict of a route with ``rule`` and ``methods`` about ``caller``."""
    if rule.public:
        return "allowed"
    if not caller.owns <= rule.path_params:
        return "-"
    if caller.credential not in _credentials(methods):
        return "401"
    return rule_verdict(rule, caller.principal, caller.params(rule.path_params))


def rule_verdict(rule: Rule, principal: Principal, params: Params) -> Verdict:
    """Ask ``rule`` itself. A function that raises, or whose result matters and is unknown, makes the verdict ``?``."""
    unsure = [leaf for leaf in rule.leaves() if leaf.custom and attributes_read(leaf, principal, params)]
    try:
        answers = {rule.check(principal, params)}
        if unsure:
            answers = {rule.replaced(_with_verdict(unsure, it)).check(principal, params) for it in (True, False)}
    except Exception:  # a function of the user's own may raise anything
        return "?"
    if len(answers) > 1:
        return "?"
    return "allowed" if answers.pop() else "403"


def attributes_read(leaf: Rule, principal: Principal, params: Params) -> frozenset[str]:
    """Return which attributes a function reads that a made-up caller does not have: ``id``, ``claims``.

    A function that raises has read more than there is.
    """
    recording = _RecordingPrincipal(principal.id, principal.roles, principal.scopes)
    try:
        leaf.check(recording, params)
    except Exception:  # as above
        recording.read.add("more than there is")
    return frozenset(recording.read)


def callers(rules: Sequence[tuple[Rule, Methods]]) -> tuple[Caller, ...]:
    """Return every kind of caller that ``rules`` tell apart.

    These are: an anonymous caller; one of whom nothing more is known; one for each name; and the smallest combinations of
    names that some rule admits only together. The same again with an API key, for the names in rules of routes that take one.
    Keys have scopes and owners, but no roles.
    """
    asked = [(rule, _credentials(methods)) for rule, methods in rules if not rule.public]
    tokens = _token_callers([rule for rule, _ in asked])
    keys = _token_callers([rule for rule, taken in asked if "key" in taken])
    return (Caller("none"), *tokens, *(caller.by("key") for caller in keys if not caller.roles))


def _token_callers(rules: Sequence[Rule]) -> list[Caller]:
    if not rules:
        return []
    single = {caller for rule in rules for caller in _single_name_callers(rule)}
    several = {caller for rule in rules for caller in _smallest_combinations(rule)}
    return [Caller("token"), *sorted(single, key=_caller_sort_key), *sorted(several, key=_caller_sort_key)]


def _single_name_callers(rule: Rule) -> list[Caller]:
    single = [Caller("token", roles=frozenset((name,))) for name in sorted(rule.roles)]
    single += [Caller("token", scopes=frozenset((name,))) for name in sorted(rule.scopes)]
    return single + [Caller("token", owns=frozenset((name,))) for name in sorted(rule.path_params)]


def _smallest_combinations(rule: Rule) -> list[Caller]:
    """Return the smallest combinations of two names or more that ``rule`` admits."""
    names = _single_name_callers(rule)
    admitted: list[set[Caller]] = []
    for size in range(min(_COMBINED_AT_ONCE, len(names)) + 1 if len(names) <= _COMBINABLE_NAMES else 3):
        for parts in combinations(names, size):
            if not any(smaller <= set(parts) for smaller in admitted) and _admitted(rule, parts):
                admitted.append(set(parts))
    if not admitted and _admitted(rule, names):
        needed = list(names)
        for name in names:
            if _admitted(rule, rest := [one for one in needed if one != name]):
                needed = rest
        admitted.append(set(needed))
    return [_union(parts) for parts in admitted if len(parts) > 1]


def _admitted(rule: Rule, parts: Iterable[Caller]) -> bool:
    caller = _union(parts)
    return rule_verdict(rule, caller.principal, caller.params(rule.path_params)) == "allowed"


def _union(parts: Iterable[Caller]) -> Caller:
    roles, scopes, owns = set[str](), set[str](), set[str]()
    for part in parts:
        roles |= part.roles
        scopes |= part.scopes
        owns |= part.owns
    return Caller("token", frozenset(roles), frozenset(scopes), frozenset(owns))


def _caller_sort_key(caller: Caller) -> tuple[int, bool, bool, str]:
    count = len(caller.roles) + len(caller.scopes) + len(caller.owns)
    return count, not caller.roles, not caller.scopes, caller.name


def _methods(ruled: Ruled, auth: Methods) -> Methods:
    return auth if ruled.auth is None else ruled.auth


def _credentials(methods: Methods) -> frozenset[Credential]:
    return frozenset("key" if isinstance(method, ApiKeys) else "token" for method in methods)


def _sort_key(row: MatrixRow) -> tuple[str, tuple[str, ...]]:
    return row.path, row.methods


def _with_verdict(unsure: Sequence[Rule], answer: bool) -> Callable[[Rule], Rule]:
    supposed = Rule("supposed", lambda principal, params: answer)
    return lambda leaf: supposed if leaf in unsure else leaf


def _functions(ruled: Iterable[Ruled], callers_found: Sequence[Caller]) -> tuple[tuple[str, str], ...]:
    read: dict[str, set[str]] = {}
    for leaf in (leaf for one in ruled for leaf in one.allow.leaves() if leaf.custom):
        names = read.setdefault(leaf.text, set())
        for caller in callers_found:
            names |= attributes_read(leaf, caller.principal, caller.params(leaf.path_params))
    return tuple((name, " and ".join(sorted(names))) for name, names in sorted(read.items()))


class _RecordingPrincipal(Principal):
    """A caller that records which attributes a function reads, of those that differ between callers of one kind."""

    __slots__ = ("read",)
    read: set[str]

    def __init__(self, name: str, roles: frozenset[str], scopes: frozenset[str]) -> None:
        super().__init__(name, roles, scopes)
        object.__setattr__(self, "read", set[str]())

    def __getattribute__(self, name: str) -> Any:
        if name in ("id", "claims"):
            self.read.add(name)
        return super().__getattribute__(name)
