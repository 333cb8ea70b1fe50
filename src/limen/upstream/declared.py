"""The declaration of a service behind the gateway: name, targets, timeouts, limits, TLS. Frozen; checked when it is made."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from limen.upstream.target import Target
from limen.upstream.tls_declared import Tls


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds to wait for an upstream.

    ``connect`` bounds getting a connection (waiting for a free one, looking up the name, and TLS included), ``first_byte``
    the wait for the answer's head once the request was sent, ``idle`` the silence within a body in either direction,
    ``total`` one attempt as a whole; None is no bound, which streams need.
    """

    connect: float = 2.0
    first_byte: float = 30.0
    idle: float = 30.0
    total: float | None = None

    def __post_init__(self) -> None:
        """Refuse what is not a positive number of seconds."""
        for name in ("connect", "first_byte", "idle", "total"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"Timeouts({name}={value!r}): seconds must be more than 0")


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
        """Refuse limits that would stop everything."""
        for name, least in (("connections", 1), ("waiting", 0), ("keepalive", 0), ("head", 1024)):
            if not getattr(self, name) >= least:
                raise ValueError(f"Limits({name}={getattr(self, name)!r}): must be at least {least}")


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
