"""Rules about who may call; they combine with ``&`` and ``|``. Closed by default: only a result that is True admits."""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from limen.exchange.principal import Principal

Predicate = Callable[[Principal], bool]
Params = Mapping[str, str]

# RFC 6749 section 3.3: the characters of a scope. Quotes and blanks would break out of a challenge.
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule about callers.

    ``public`` means that no caller is identified. ``path_params`` are the path parameters that it reads, ``roles`` and
    ``scopes`` those that it names. ``custom`` is True if it is, or holds, a plain function or a rule made by hand: nobody
    can see what those read. ``function`` is the plain function. ``parts`` are the two rules that ``join`` combines.
    """

    text: str
    test: Callable[[Principal, Params], bool]
    public: bool = False
    path_params: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    custom: bool = True
    join: Literal["", "&", "|"] = ""
    parts: tuple["Rule", ...] = ()
    function: Callable[..., object] | None = None

    def check(self, principal: Principal, params: Params) -> bool:
        """Tell whether ``principal`` may call with these percent-decoded path parameters."""
        return self.test(principal, params) is True

    @property
    def challenge(self) -> bytes:
        """The ``WWW-Authenticate`` of a refusal (RFC 6750 section 3); nothing in it comes from the caller."""
        scopes = f', scope="{" ".join(sorted(self.scopes))}"' if self.scopes else ""
        return f'Bearer error="insufficient_scope"{scopes}'.encode("ascii")

    def leaves(self) -> Iterator["Rule"]:
        """Go through the rules that it is made of, from left to right. A rule that is not combined is its own only leaf."""
        for part in self.parts:
            yield from part.leaves()
        if not self.parts:
            yield self

    def replaced(self, swap: Callable[["Rule"], "Rule"]) -> "Rule":
        """Return this rule with ``swap(leaf)`` for each leaf: to ask what another rule would answer."""
        if not self.parts:
            return swap(self)
        first, second = (part.replaced(swap) for part in self.parts)
        return first & second if self.join == "&" else first | second

    def __and__(self, other: "Rule | Predicate") -> "Rule":
        """Admit who both admit."""
        return _both(self, as_rule(other))

    def __rand__(self, other: Predicate) -> "Rule":
        """Admit who both admit."""
        return _both(as_rule(other), self)

    def __or__(self, other: "Rule | Predicate") -> "Rule":
        """Admit who either admits."""
        return _either(self, as_rule(other))

    def __ror__(self, other: Predicate) -> "Rule":
        """Admit who either admits."""
        return _either(as_rule(other), self)

    def __str__(self) -> str:
        """Show the rule as it is read in reviews."""
        return self.text


def _admit(principal: Principal, params: Params) -> bool:
    return True


anyone = Rule("anyone", _admit, public=True, custom=False)
"""Everybody, with or without a token; tokens are not read."""

signed_in = Rule("signed_in", _admit, custom=False)
"""Everybody with a valid token."""


def role(*names: str) -> Rule:
    """Admit callers who have at least one of the roles ``names``."""
    wanted = _names("role", names)

    def test(principal: Principal, params: Params) -> bool:
        return not wanted.isdisjoint(principal.roles)

    return Rule(f"role({', '.join(names)})", test, roles=wanted, custom=False)


def scope(*names: str) -> Rule:
    """Admit callers whose token has every one of the scopes ``names``.

    Raises ValueError for what cannot be one scope, such as two names with a blank between them.
    """
    wanted = _names("scope", names)
    for name in names:
        if not _SCOPE.fullmatch(name):
            raise ValueError(
                f"scope({name!r}): a scope is printable ASCII without blanks, quotes and backslashes (RFC 6749); "
                "give several as scope('a', 'b')"
            )

    def test(principal: Principal, params: Params) -> bool:
        return wanted <= principal.scopes

    return Rule(f"scope({', '.join(names)})", test, scopes=wanted, custom=False)


def owner(parameter: str) -> Rule:
    """Admit the caller whose id is the path parameter ``parameter``."""
    if not parameter.isidentifier():
        raise ValueError(f"owner({parameter!r}): name a path parameter, such as owner('user_id')")

    def test(principal: Principal, params: Params) -> bool:
        return params.get(parameter) == principal.id

    return Rule(f"owner({parameter})", test, path_params=frozenset((parameter,)), custom=False)


def is_async(function: object) -> bool:
    """Tell whether calling ``function``, or an object with ``__call__``, gives a coroutine, which is always true."""
    called: object = getattr(function, "__call__", None)  # noqa: B004 - the method itself is asked for
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called)


def as_rule(value: object) -> Rule:
    """Return ``value`` as a rule: a rule, or a plain function of one Principal.

    Raises TypeError for anything that could admit by accident: strings, None, async functions, the wrong arity.
    """
    if isinstance(value, Rule):
        return value
    if not callable(value):
        raise TypeError(
            f"allow={value!r} is no rule: use anyone, signed_in, role(...), scope(...), owner(...) or a function"
        )
    name = getattr(value, "__name__", type(value).__name__)
    if is_async(value):
        raise TypeError(f"allow={name} is async: a coroutine is always true, so it would admit everybody; make it def")
    try:
        inspect.signature(value).bind(None)
    except TypeError:
        raise TypeError(f"allow={name} must take exactly one argument, the Principal") from None

    def test(principal: Principal, params: Params) -> bool:
        return value(principal) is True

    return Rule(name, test, function=value)


def _names(kind: str, names: tuple[str, ...]) -> frozenset[str]:
    if not names or not all(names):
        raise ValueError(f"{kind}() names nobody: give at least one, such as {kind}('admin')")
    return frozenset(names)


def _both(a: Rule, b: Rule) -> Rule:
    if a.public or b.public:
        return b if a.public else a

    def test(principal: Principal, params: Params) -> bool:
        return a.check(principal, params) and b.check(principal, params)

    return _joined(a, "&", b, test)


def _either(a: Rule, b: Rule) -> Rule:
    if a.public or b.public:
        return a if a.public else b

    def test(principal: Principal, params: Params) -> bool:
        return a.check(principal, params) or b.check(principal, params)

    return _joined(a, "|", b, test)


def _joined(a: Rule, join: Literal["&", "|"], b: Rule, test: Callable[[Principal, Params], bool]) -> Rule:
    return Rule(
        f"{_part(a)} {join} {_part(b)}",
        test,
        path_params=a.path_params | b.path_params,
        roles=a.roles | b.roles,
        scopes=a.scopes | b.scopes,
        custom=a.custom or b.custom,
        join=join,
        parts=(a, b),
    )


def _part(rule: Rule) -> str:
    return f"({rule})" if rule.parts else str(rule)
