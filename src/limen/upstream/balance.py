"""The declarations of balancing: how a request finds its target. Frozen; ``limen.upstream.balance_live`` does it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from inspect import iscoroutinefunction

from limen.exchange.request import Request
from limen.http.declared import field_name
from limen.upstream.numbers import check_number

# A cookie's name is a token (RFC 6265 section 4.1.1).
_COOKIE = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")


def _is_cookie(name: object) -> bool:
    return isinstance(name, str) and _COOKIE.fullmatch(name) is not None


MOST_WEIGHT = 1_000_000

Weights = Mapping[str, float]
"""Shares of requests by the address of the target, as it stands in ``targets``; one that is not named has 1."""


def _checked(kind: str, weights: Weights) -> Weights:
    """Return ``weights`` as a copy, which nobody else can change any more."""
    if not _is_mapping(weights):
        raise TypeError(f"{kind}(weights={weights!r}): write a mapping, such as {{'http://orders-1:8000': 2}}")
    for url, weight in weights.items():
        check_number(f"{kind}(weights={{{url!r}: {weight!r}}})", weight, more_than=True, most=MOST_WEIGHT)
    return dict(weights)


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeastRequests:
    """Of two targets taken at random, the one with fewer requests under way (power of two choices). It is the default.

    Two choices are nearly as even as looking at all targets, and many gateways do not run to the same one.
    """

    weights: Weights = field(default_factory=dict[str, float], hash=False)

    def __post_init__(self) -> None:
        """Refuse a weight that is none."""
        object.__setattr__(self, "weights", _checked("LeastRequests", self.weights))


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundRobin:
    """One target after the other; with ``weights``, in proportion to them and evenly mixed."""

    weights: Weights = field(default_factory=dict[str, float], hash=False)

    def __post_init__(self) -> None:
        """Refuse a weight that is none."""
        object.__setattr__(self, "weights", _checked("RoundRobin", self.weights))


@dataclass(frozen=True, slots=True)
class Hash:
    """The same target for the same key (rendezvous hashing): a target that leaves moves only its own keys.

    ``by`` gives the key of a request: ``client_address``, ``caller``, ``header(name)``, ``cookie(name)``, or any callable
    that returns text; None leaves the request to ``LeastRequests``. It says where requests go while targets are well, and is
    no promise: use ``Sticky`` for sessions. ``weights`` are shares of keys.
    """

    by: Callable[[Request], str | None]
    weights: Weights = field(default_factory=dict[str, float], kw_only=True, hash=False)

    def __post_init__(self) -> None:
        """Refuse what gives no key: ``header`` instead of ``header('x-tenant')``, or a function that has to be awaited."""
        by: object = self.by
        if not callable(by) or isinstance(by, type) or iscoroutinefunction(by):
            raise TypeError(
                f"Hash({self.by!r}): give a plain function of the request, such as client_address, caller, "
                "header('x-tenant') or cookie('session')"
            )
        object.__setattr__(self, "weights", _checked("Hash", self.weights))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sticky:
    """Sessions: the gateway sets ``cookie``, and its later requests go to the same target, as long as that is there and well.

    A target that is drained keeps its sessions and gets no new ones. ``seconds`` is how long a browser keeps the cookie; None
    is until it closes. The cookie is ``HttpOnly``, ``SameSite=Lax``, and ``Secure`` over https. It names the target by a
    hash: only who guesses its address can tell. A client that invents one chooses among the targets that it could reach
    anyhow.
    """

    cookie: str = "limen-target"
    seconds: int | None = None

    def __post_init__(self) -> None:
        """Refuse a name that a cookie cannot have."""
        if not _is_cookie(self.cookie):
            raise ValueError(f"Sticky(cookie={self.cookie!r}): a cookie's name is a token, such as 'limen-target'")
        if self.seconds is not None:
            check_number(f"Sticky(seconds={self.seconds!r})", self.seconds, least=1, whole=True)


Balance = LeastRequests | RoundRobin | Hash | Sticky


# --- keys ---


def client_address(request: Request) -> str | None:
    """Return the address of the client, as ``Trust`` finds it."""
    return request.client.decode("latin-1")


def caller(request: Request) -> str | None:
    """Return the id of the caller; None for one that is not known."""
    return None if request.principal is None else request.principal.id


@dataclass(frozen=True, slots=True)
class header:  # noqa: N801 - it is used as a function
    """A key: the value of the request header ``name``; None where it is missing."""

    name: str

    def __post_init__(self) -> None:
        """Refuse a name that no header has."""
        try:
            field_name(self.name)
        except ValueError as error:
            raise ValueError(f"header({self.name!r}): {error}") from None

    def __call__(self, request: Request) -> str | None:
        """Return the value."""
        found = request.head.all(self.name.lower().encode("latin-1", "replace"))
        return found[0].decode("latin-1") if found else None


@dataclass(frozen=True, slots=True)
class cookie:  # noqa: N801 - it is used as a function
    """A key: the value of the cookie ``name``; None where it is missing."""

    name: str

    def __post_init__(self) -> None:
        """Refuse a name that no cookie has."""
        if not _is_cookie(self.name):
            raise ValueError(f"cookie({self.name!r}): a cookie's name is a token, such as 'session'")

    def __call__(self, request: Request) -> str | None:
        """Return the value."""
        found = cookie_value(request, self.name.encode())
        return None if found is None else found.decode("latin-1")


def cookie_value(request: Request, name: bytes) -> bytes | None:
    """Return the value of the first cookie called ``name``; None if there is none."""
    for line in request.head.all(b"cookie"):
        for pair in line.split(b";"):
            known, equals, value = pair.partition(b"=")
            if equals and known.strip() == name:
                return value.strip()
    return None
