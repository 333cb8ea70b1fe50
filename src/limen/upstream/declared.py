"""The declaration of a service behind the gateway: name, targets, timeouts, limits, TLS, and how its targets share requests.

Frozen; checked when it is made.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import NoneType

from limen.http.declared import field_name, kept_of_requests
from limen.upstream.balance import Balance, Hash, LeastRequests, RoundRobin, Sticky
from limen.upstream.ejection import Ejection
from limen.upstream.health import Health
from limen.upstream.numbers import check_number, is_finite, is_list, is_number
from limen.upstream.retry import Hedge, Retry
from limen.upstream.target import Target
from limen.upstream.tls_declared import Tls

# Targets of one upstream that may be declared.
MOST_TARGETS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds to wait for an upstream. None is no bound.

    - ``connect`` bounds getting a connection: waiting for a free one, looking up the name, and TLS included. With None, the
      system decides how long a target that does not answer is tried.
    - ``first_byte`` bounds the wait for the answer's head once the request was sent, and then that for an ``after`` hook.
    - ``idle`` bounds the silence within a body, in either direction. None is for answers that are silent for long, such as
      server-sent events. A request body never waits without bound: with ``idle=None``, a client that sends nothing more, and
      a service that reads nothing more, have ``ClientLimits(body_silence=)``.
    - ``total`` bounds one attempt as a whole, the answer included.
    - ``deadline`` bounds the wait for an answer to begin, all attempts and the pauses between them included; each attempt
      tells the service how much of it is left (``Upstream(deadline_header=)``). With None, attempts may be made again only
      within the time that ``connect`` and ``first_byte`` give the first one.

    Raises ValueError or TypeError that names the setting.
    """

    connect: float | None = 2.0
    first_byte: float | None = 30.0
    idle: float | None = 30.0
    total: float | None = None
    deadline: float | None = None

    def __post_init__(self) -> None:
        """Refuse what is neither None nor a positive number of seconds."""
        for name in ("connect", "first_byte", "idle", "total", "deadline"):
            value: object = getattr(self, name)
            if value is None:
                continue
            given = f"Timeouts({name}={value!r})"
            if not is_number(value):
                raise TypeError(f"{given}: seconds are a number, such as 2.5, or None for no bound")
            if not value > 0:
                raise ValueError(f"{given}: seconds must be more than 0; None is no bound")
            if not is_finite(value):
                raise ValueError(f"{given}: seconds must be finite; None is no bound")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds for one upstream.

    ``connections`` per target; ``waiting`` requests in the queue for one of a target's connections; ``keepalive`` seconds for
    which an idle connection is kept, less than the 5 s after which uvicorn closes it; ``head`` bytes of an answer's head.

    ``lifetime`` is the age in seconds at which a connection serves no further request, however busy it is; None is no bound.
    Behind a balancer of connections, such as a Service of Kubernetes, one that lives for ever keeps its server, and a new
    server gets nothing.
    """

    connections: int = 128
    waiting: int = 256
    keepalive: float = 4.0
    head: int = 65536
    lifetime: float | None = 15.0

    def __post_init__(self) -> None:
        """Refuse limits that would stop everything, and what is no limit."""
        for name, least in (("connections", 1), ("waiting", 0), ("keepalive", 0), ("head", 1024), ("lifetime", 0)):
            value: object = getattr(self, name)
            if value is None and name == "lifetime":
                continue
            given = f"Limits({name}={value!r})"
            seconds = name in ("keepalive", "lifetime")
            if not is_number(value) or (isinstance(value, float) and not seconds):
                raise TypeError(f"{given}: must be {'a number of seconds' if seconds else 'a whole number'}")
            if not value >= least:
                raise ValueError(f"{given}: must be at least {least}")
            if not is_finite(value):
                raise ValueError(f"{given}: must be finite")


@dataclass(frozen=True, slots=True)
class Upstream:
    """A service: ``name`` for people, metrics and the pool; ``targets`` are equivalent addresses.

    ``tls`` configures ``https://`` targets; without it their certificates are verified against the system's authorities.

    ``balance`` says how a request finds its target. ``health`` has targets checked. From two targets on, ``ejection`` leaves
    out those that fail, ``retry`` repeats elsewhere what may be repeated, and ``hedge`` asks another target when one is late:
    all three are on by default, and None turns one off. A name with several addresses is several targets; it is looked up
    again every ``resolve_every`` seconds. ``deadline_header`` tells the service how many milliseconds are left of
    ``Timeouts(deadline=)``; None sends none.

    Raises ValueError or TypeError that names the upstream and what to mend.
    """

    name: str
    targets: Sequence[str]
    timeouts: Timeouts = field(default_factory=Timeouts, kw_only=True)
    limits: Limits = field(default_factory=Limits, kw_only=True)
    tls: Tls | None = field(default=None, kw_only=True)
    balance: Balance = field(default_factory=LeastRequests, kw_only=True)
    health: Health | None = field(default=None, kw_only=True)
    ejection: Ejection | None = field(default_factory=Ejection, kw_only=True)
    retry: Retry | None = field(default_factory=Retry, kw_only=True)
    hedge: Hedge | None = field(default_factory=Hedge, kw_only=True)
    resolve_every: float = field(default=30.0, kw_only=True)
    deadline_header: str | None = field(default="x-request-timeout-ms", kw_only=True)
    addresses: tuple[Target, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check and parse."""
        if not _is_name(self.name):
            raise ValueError(f"upstream {self.name!r}: a name is letters, digits, '-' and '_'")
        if not is_list(self.targets) or not self.targets or not all(map(_is_text, self.targets)):
            raise ValueError(f"upstream {self.name!r}: targets is a list of addresses, such as ['http://users:8000']")
        if len(self.targets) > MOST_TARGETS:
            raise ValueError(
                f"upstream {self.name!r}: there are {len(self.targets)} targets, and {MOST_TARGETS} is the most"
            )
        try:
            addresses = tuple(Target.parse(url) for url in self.targets)
            self._check_parts(addresses)
        except (ValueError, TypeError) as error:
            raise type(error)(f"upstream {self.name!r}: {error}") from None
        object.__setattr__(self, "targets", tuple(self.targets))
        object.__setattr__(self, "addresses", addresses)

    def _check_parts(self, addresses: tuple[Target, ...]) -> None:
        if len(set(addresses)) != len(addresses):
            raise ValueError("a target is named twice")
        for name, kinds in _PARTS.items():
            value: object = getattr(self, name)
            if not isinstance(value, kinds):
                raise TypeError(f"{name}={value!r}: write {' or '.join(_shown(kind) for kind in kinds)}")
        if self.tls is not None and not any(target.tls for target in addresses):
            raise ValueError("tls= is for https:// targets, and there is none")
        if not isinstance(self.balance, Sticky):
            for url in self.balance.weights:
                if url not in self.targets:
                    raise ValueError(
                        f"{type(self.balance).__name__}(weights={{{url!r}: ...}}): there is no such target; write it as in "
                        "targets="
                    )
        if self.hedge not in (None, Hedge()):
            self._check_hedge()
        check_number(f"resolve_every={self.resolve_every!r}", self.resolve_every, least=1)
        if self.deadline_header is not None:
            try:
                why = kept_of_requests(field_name(self.deadline_header))
            except ValueError as error:
                raise ValueError(f"deadline_header={self.deadline_header!r}: {error}") from None
            if why is not None:
                raise ValueError(f"deadline_header={self.deadline_header!r} {why}; choose another name")

    def _check_hedge(self) -> None:
        """Refuse a hedge that would never be used."""
        why = ""
        if self.retry is None:
            why = "retry=None allows none"
        elif self.retry.attempts == 1:
            why = "Retry(attempts=1) allows none"
        elif isinstance(self.balance, Sticky):
            why = "Sticky() keeps sessions at one target"
        if why:
            raise ValueError(f"hedge= makes second attempts, and {why}; leave one of the two out")


# What each part of an upstream may be, apart from its name and its targets.
_PARTS: dict[str, tuple[type[object], ...]] = {
    "timeouts": (Timeouts,),
    "limits": (Limits,),
    "tls": (Tls, NoneType),
    "balance": (LeastRequests, RoundRobin, Hash, Sticky),
    "health": (Health, NoneType),
    "ejection": (Ejection, NoneType),
    "retry": (Retry, NoneType),
    "hedge": (Hedge, NoneType),
}


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value.replace("-", "").replace("_", "").isalnum()


def _shown(kind: type[object]) -> str:
    return "None" if kind is NoneType else f"{kind.__name__}(...)"
