"""The declaration of a service behind the gateway: name, targets, timeouts, limits, TLS. Frozen; checked when it is made."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import TypeGuard

from limen.upstream.target import Target
from limen.upstream.tls_declared import Tls


def _is_number(value: object) -> TypeGuard[int | float]:
    """Tell whether ``value`` is a number; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


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

    Raises ValueError or TypeError that names the setting.
    """

    connect: float | None = 2.0
    first_byte: float | None = 30.0
    idle: float | None = 30.0
    total: float | None = None

    def __post_init__(self) -> None:
        """Refuse what is neither None nor a positive number of seconds."""
        for name in ("connect", "first_byte", "idle", "total"):
            value: object = getattr(self, name)
            if value is None:
                continue
            given = f"Timeouts({name}={value!r})"
            if not _is_number(value):
                raise TypeError(f"{given}: seconds are a number, such as 2.5, or None for no bound")
            if not value > 0:
                raise ValueError(f"{given}: seconds must be more than 0; None is no bound")
            if not isfinite(value):
                raise ValueError(f"{given}: seconds must be finite; None is no bound")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds for one upstream.

    ``connections`` per target; ``waiting`` requests in the queue for one; ``keepalive`` seconds for which an idle connection
    is kept, less than the 5 s after which uvicorn closes it; ``head`` bytes of an answer's head.
    """

    connections: int = 128
    waiting: int = 256
    keepalive: float = 4.0
    head: int = 65536

    def __post_init__(self) -> None:
        """Refuse limits that would stop everything, and what is no limit."""
        for name, least in (("connections", 1), ("waiting", 0), ("keepalive", 0), ("head", 1024)):
            value: object = getattr(self, name)
            given = f"Limits({name}={value!r})"
            if not _is_number(value) or (isinstance(value, float) and name != "keepalive"):
                raise TypeError(
                    f"{given}: must be {'a number of seconds' if name == 'keepalive' else 'a whole number'}"
                )
            if not value >= least:
                raise ValueError(f"{given}: must be at least {least}")
            if not isfinite(value):
                raise ValueError(f"{given}: must be finite")


@dataclass(frozen=True, slots=True)
class Upstream:
    """A service: ``name`` for people, metrics and the pool; ``targets`` are equivalent addresses, used in turn.

    ``tls`` configures ``https://`` targets; without it their certificates are verified against the system's authorities.
    Raises ValueError that names the upstream and what to mend.
    """

    name: str
    targets: Sequence[str]
    timeouts: Timeouts = field(default_factory=Timeouts, kw_only=True)
    limits: Limits = field(default_factory=Limits, kw_only=True)
    tls: Tls | None = field(default=None, kw_only=True)
    addresses: tuple[Target, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check and parse."""
        if not self.name.replace("-", "").replace("_", "").isalnum():
            raise ValueError(f"upstream {self.name!r}: a name is letters, digits, '-' and '_'")
        if isinstance(self.targets, str) or not self.targets:
            raise ValueError(f"upstream {self.name!r}: targets is a list of addresses, such as ['http://users:8000']")
        try:
            addresses = tuple(Target.parse(url) for url in self.targets)
        except ValueError as error:
            raise ValueError(f"upstream {self.name!r}: {error}") from None
        if len(set(addresses)) != len(addresses):
            raise ValueError(f"upstream {self.name!r}: a target is named twice")
        if self.tls is not None and not any(target.tls for target in addresses):
            raise ValueError(f"upstream {self.name!r}: tls= is for https:// targets, and there is none")
        object.__setattr__(self, "targets", tuple(self.targets))
        object.__setattr__(self, "addresses", addresses)
