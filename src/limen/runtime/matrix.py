"""Who may call what, as a table: every route against every kind of caller, so that people can review it.

No verdict is worked out here. Callers are made up, and the route's own rule is asked about each, with the methods by which
the route lets callers prove who they are. Only functions are a question: their names are nobody's to see, and what they make
of claims that a made-up caller does not have is not known. They are called, so they had better do nothing but look.
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
"""The status that refuses; ``?`` where a function has the last word and reads what no made-up caller can have; ``-`` where
the rule does not read the path parameter that the caller owns."""

# Of combinations that only together are let in, so many parts are tried; a rule that needs more is tried with all it names.
_PARTS = 4
_NAMES = 12

_ME, _ANOTHER = "me", "another"


@dataclass(frozen=True, slots=True)
class Caller:
    """A made-up caller: by what they prove who they are, and all that is known about them."""

    credential: Credential
    roles: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    owns: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """How tables call such callers."""
        parts = [f"role {name}" for name in sorted(self.roles)]
        parts += [f"scope {name}" for name in sorted(self.scopes)]
        parts += [f"owner {name}" for name in sorted(self.owns)]
        if self.credential == "key":
            return " + ".join(["API key", *parts])
        return "anonymous" if self.credential == "none" else " + ".join(parts) or "signed in"

    @property
    def principal(self) -> Principal:
        """The caller as rules meet them."""
        return Principal(_ME, self.roles, self.scopes)

    def params(self, names: Iterable[str]) -> Params:
        """Return path parameters of which those that the caller owns hold their id."""
        return {name: _ME if name in self.owns else _ANOTHER for name in names}

    def by(self, credential: Credential) -> "Caller":
        """Return the same caller with another credential."""
        return Caller(credential, self.roles, self.scopes, self.owns)


@dataclass(frozen=True, slots=True)
class Row:
    """A route, with a verdict for each caller of the matrix; none for an endpoint of FastAPI, which is not judged."""

    methods: tuple[str, ...]
    path: str
    service: str
    allow: str = ""
    auth: str = ""
    verdicts: tuple[Verdict, ...] = ()


@dataclass(frozen=True, slots=True)
class Matrix:
    """The whole of it. ``functions`` are those of the rules, by name, with what each reads that may matter."""

    callers: tuple[Caller, ...]
    rows: tuple[Row, ...]
    functions: tuple[tuple[str, str], ...]


def matrix(routes: Sequence[Route], auth: Methods, local: Sequence[Row] = ()) -> Matrix:
    """Judge ``routes``; ``auth`` are the methods of those that name none. ``local`` rows are added as they are.

    The order is that of the paths, and not that of the declaration: moving code changes nothing.
    """
    found = callers([(route.allow, _methods(route, auth)) for route in routes])
    rows = [
        Row(
            methods=route.methods,
            path=route.path,
            service=route.upstream.name,
            allow=str(route.allow),
            auth="" if route.allow.public else " | ".join(type(one).__name__ for one in _methods(route, auth)),
            verdicts=tuple(judge(route.allow, _methods(route, auth), caller) for caller in found),
        )
        for route in routes
    ]
    return Matrix(found, tuple(sorted([*rows, *local], key=_place)), _functions(routes, found))


def judge(rule: Rule, methods: Methods, caller: Caller) -> Verdict:
    """Return what a route with ``rule`` and ``methods`` answers ``caller``."""
    if rule.public:
        return "allowed"
    if not caller.owns <= rule.path_params:
        return "-"
    if caller.credential not in _taken(methods):
        return "401"
    return ask(rule, caller.principal, caller.params(rule.path_params))


def ask(rule: Rule, principal: Principal, params: Params) -> Verdict:
    """Ask ``rule`` itself; a function that fails, or whose answer matters and is not known, makes it ``?``."""
    unsure = [leaf for leaf in rule.leaves() if leaf.custom and reads(leaf, principal, params)]
    try:
        answers = {rule.check(principal, params)}
        if unsure:
            answers = {rule.replaced(_suppose(unsure, it)).check(principal, params) for it in (True, False)}
    except Exception:  # a function of the user's own may raise anything
        return "?"
    if len(answers) > 1:
        return "?"
    return "allowed" if answers.pop() else "403"


def reads(leaf: Rule, principal: Principal, params: Params) -> frozenset[str]:
    """Return what a function reads of a caller that a made-up one does not have: its ``id``, its ``claims``.

    One that fails has read more than there is.
    """
    witness = _Witness(principal.id, principal.roles, principal.scopes)
    try:
        leaf.check(witness, params)
    except Exception:  # as above
        witness.read.add("more than there is")
    return frozenset(witness.read)


def callers(rules: Sequence[tuple[Rule, Methods]]) -> tuple[Caller, ...]:
    """Return every kind of caller that ``rules`` tell apart.

    These are: nobody known; a caller of whom nothing more is known; one for each name; and the smallest combinations of
    names that some rule admits together only. The same with an API key, for names in rules of routes that take one; keys have
    scopes and owners, so there is none for their roles.
    """
    asked = [(rule, _taken(methods)) for rule, methods in rules if not rule.public]
    tokens = _kinds([rule for rule, _ in asked])
    keys = _kinds([rule for rule, taken in asked if "key" in taken])
    return (Caller("none"), *tokens, *(caller.by("key") for caller in keys if not caller.roles))


def _kinds(rules: Sequence[Rule]) -> list[Caller]:
    if not rules:
        return []
    single = {caller for rule in rules for caller in _names(rule)}
    several = {caller for rule in rules for caller in _together(rule)}
    return [Caller("token"), *sorted(single, key=_rank), *sorted(several, key=_rank)]


def _names(rule: Rule) -> list[Caller]:
    found = [Caller("token", roles=frozenset((name,))) for name in sorted(rule.roles)]
    found += [Caller("token", scopes=frozenset((name,))) for name in sorted(rule.scopes)]
    return found + [Caller("token", owns=frozenset((name,))) for name in sorted(rule.path_params)]


def _together(rule: Rule) -> list[Caller]:
    """Return the smallest combinations that ``rule`` admits, without those of one name or none."""
    names = _names(rule)
    admitted: list[set[Caller]] = []
    for size in range(min(_PARTS, len(names)) + 1 if len(names) <= _NAMES else 3):
        for parts in combinations(names, size):
            if not any(smaller <= set(parts) for smaller in admitted) and _admits(rule, parts):
                admitted.append(set(parts))
    if not admitted and _admits(rule, names):
        needed = list(names)
        for name in names:
            if _admits(rule, rest := [one for one in needed if one != name]):
                needed = rest
        admitted.append(set(needed))
    return [_union(parts) for parts in admitted if len(parts) > 1]


def _admits(rule: Rule, parts: Iterable[Caller]) -> bool:
    caller = _union(parts)
    return ask(rule, caller.principal, caller.params(rule.path_params)) == "allowed"


def _union(parts: Iterable[Caller]) -> Caller:
    roles, scopes, owns = set[str](), set[str](), set[str]()
    for part in parts:
        roles |= part.roles
        scopes |= part.scopes
        owns |= part.owns
    return Caller("token", frozenset(roles), frozenset(scopes), frozenset(owns))


def _rank(caller: Caller) -> tuple[int, bool, bool, str]:
    count = len(caller.roles) + len(caller.scopes) + len(caller.owns)
    return count, not caller.roles, not caller.scopes, caller.name


def _methods(route: Route, auth: Methods) -> Methods:
    return auth if route.auth is None else route.auth


def _taken(methods: Methods) -> frozenset[Credential]:
    return frozenset("key" if isinstance(method, ApiKeys) else "token" for method in methods)


def _place(row: Row) -> tuple[str, tuple[str, ...]]:
    return row.path, row.methods


def _suppose(unsure: Sequence[Rule], answer: bool) -> Callable[[Rule], Rule]:
    supposed = Rule("supposed", lambda principal, params: answer)
    return lambda leaf: supposed if leaf in unsure else leaf


def _functions(routes: Iterable[Route], found: Sequence[Caller]) -> tuple[tuple[str, str], ...]:
    read: dict[str, set[str]] = {}
    for leaf in (leaf for route in routes for leaf in route.allow.leaves() if leaf.custom):
        names = read.setdefault(leaf.text, set())
        for caller in found:
            names |= reads(leaf, caller.principal, caller.params(leaf.path_params))
    return tuple((name, " and ".join(sorted(names))) for name, names in sorted(read.items()))


class _Witness(Principal):
    """A caller that notes what a function reads of it that makes one caller differ from another of their kind."""

    __slots__ = ("read",)
    read: set[str]

    def __init__(self, name: str, roles: frozenset[str], scopes: frozenset[str]) -> None:
        super().__init__(name, roles, scopes)
        object.__setattr__(self, "read", set[str]())

    def __getattribute__(self, name: str) -> Any:
        if name in ("id", "claims"):
            self.read.add(name)
        return super().__getattribute__(name)
