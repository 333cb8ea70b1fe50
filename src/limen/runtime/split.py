"""``Split``: two upstreams behind one route, such as the stable version of a service and its canary.

What is declared is frozen and checked when it is made. The choice is made once per request, as soon as it is known who calls:
``chooser`` makes the function for it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from limen.auth.rules import Rule, is_async
from limen.exchange.request import Request
from limen.http.declared import field_name
from limen.upstream.balance import Sticky
from limen.upstream.declared import Upstream
from limen.upstream.numbers import check_number

Condition = Rule | Callable[[Request], object]
Choose = Callable[[Request], bool]
"""Takes a request whose caller is known; True sends it to the canary."""

# The values of a hash, 48 bits of it: so that each is exact as a float, and less than 1 as a share.
_HASHES: Final = float(1 << 48)


@dataclass(frozen=True, slots=True)
class Split:
    """Sends some requests to ``canary``, and all others to ``stable``. It stands wherever a route takes ``upstream=``.

    - ``when``: requests for which it is true go to ``canary``: a rule about the caller, such as ``role("staff")``, or a
      function of the request, such as ``header_is("x-canary", "yes")``.
    - ``share``: of all others, so many go there: 0.05 is one in twenty. 0 sends none of them, so that a setting can turn it
      off.
    - ``key``: a function that gives the key of a request, as ``Hash(by=)`` takes it: the same key is always on the same side.
      A greater share moves more keys to ``canary``, and none back. A request without a key is drawn. Without ``key`` each
      request is drawn by itself.

    Both are whole upstreams, each with pools, health, limits and timeouts of its own. Raises ValueError and TypeError that
    name the setting.
    """

    stable: Upstream
    canary: Upstream
    share: float | None = None
    when: Condition | None = None
    key: Callable[[Request], str | None] | None = None

    def __post_init__(self) -> None:
        """Refuse what splits nothing, or not as it reads."""
        for name in ("stable", "canary"):
            side: object = getattr(self, name)
            if not isinstance(side, Upstream):
                raise TypeError(f"Split({name}={side!r}): write Upstream(name, [address])")
        if self.stable.name == self.canary.name:
            raise ValueError(
                f"Split: both upstreams are named {self.stable.name!r}, and pools and logs know them by name; rename one"
            )
        if self.share is None and self.when is None:
            raise ValueError("Split: nothing says which requests go to canary; give share=0.05 or when=...")
        if self.share is not None:
            check_number(f"Split(share={self.share!r})", self.share, most=1)
        if self.key is not None and self.share is None:
            raise ValueError("Split(key=...) says who stays on a side of share=; give a share, or leave it out")
        self._check_functions()
        one, other = self.stable.balance, self.canary.balance
        if isinstance(one, Sticky) and isinstance(other, Sticky) and one.cookie == other.cookie:
            raise ValueError(
                f"Split: both upstreams bind clients by the cookie {one.cookie!r}, and each would undo the other's; "
                "give one of them another, Sticky(cookie=...)"
            )

    def _check_functions(self) -> None:
        for name in ("when", "key"):
            given: object = getattr(self, name)
            if given is None:
                continue
            if isinstance(given, Rule):
                if given.public:
                    raise ValueError(f"Split({name}={given}): {given} says nothing of the caller; use share=1")
                if name == "when":
                    continue
            if not callable(given):
                raise TypeError(f"Split({name}={given!r}): give {_FUNCTIONS[name]}")
            if is_async(given):
                raise TypeError(f"Split({name}={_shown(given)}) is async, and nobody would await it; make it def")

    @property
    def condition(self) -> str:
        """What sends a request to the canary, as people read it."""
        parts = [] if self.when is None else [_shown(self.when)]
        if self.share is not None:
            parts.append(f"{self.share * 100:g}%")
        return ", ".join(parts)


_FUNCTIONS: Final = {
    "when": "a rule such as role('staff'), or a function of the request, such as header_is('x-canary', 'yes')",
    "key": "a function of the request, such as caller, client_address, header('x-tenant') or cookie('session')",
}


@dataclass(frozen=True, slots=True)
class header_is:  # noqa: N801 - it is used as a function
    """A condition: the request has the header ``name`` exactly once, with ``value``. Clients choose what they send."""

    name: str
    value: str

    def __post_init__(self) -> None:
        """Refuse a name that no header has, and a value that cannot come."""
        field_name(self.name)
        if not self.value or self.value != self.value.strip() or not self.value.isprintable():
            raise ValueError(
                f"header_is({self.name!r}, {self.value!r}): such a value never comes; give one such as 'yes'"
            )

    def __call__(self, request: Request) -> bool:
        """Tell whether it has."""
        return request.head.all(self.name.lower().encode("latin-1", "replace")) == [
            self.value.encode("latin-1", "replace")
        ]

    def __str__(self) -> str:
        """Show the header as it is sent."""
        return f"{self.name}: {self.value}"


def chooser(split: Split, random: Callable[[], float]) -> Choose:
    """Return the choice of ``split``. ``random`` gives numbers from 0 to 1, 1 excluded."""
    chosen = _condition(split.when)
    share = 0.0 if split.share is None else float(split.share)
    if not share:
        return chosen
    key, salt = split.key, split.canary.name.encode() + b"\0"

    def choose(request: Request) -> bool:
        if chosen(request):
            return True
        found = None if key is None else key(request)
        return (random() if found is None else _place(salt, found)) < share

    return choose


def _condition(when: Condition | None) -> Choose:
    if when is None:
        return _never
    if isinstance(when, Rule):
        rule = when

        def admits(request: Request) -> bool:
            return request.principal is not None and rule.check(request.principal, request.params)

        return admits
    function = when

    def holds(request: Request) -> bool:
        return bool(function(request))

    return holds


def _never(request: Request) -> bool:
    return False


def _place(salt: bytes, key: str) -> float:
    """Return where ``key`` stands between 0 and 1: always at the same place, on all workers and machines.

    The canary is part of what is hashed, so that not the same callers meet every canary.
    """
    hashed = blake2b(salt + key.encode("utf-8", "surrogateescape"), digest_size=6).digest()
    return int.from_bytes(hashed) / _HASHES


def _shown(given: object) -> str:
    if isinstance(given, Rule | header_is):
        return str(given)
    return getattr(given, "__name__", "") or repr(given)
