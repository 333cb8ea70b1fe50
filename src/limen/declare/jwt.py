"""What the gateway accepts as a token, and how it makes its own: configuration only, checked when it is made."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from limen.declare.method import Method

_SYMMETRIC = frozenset(("HS256", "HS384", "HS512"))
_ASYMMETRIC = frozenset(("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"))
LEAST_SECRET = 32


@dataclass(frozen=True, slots=True)
class Jwt(Method):
    """How tokens are verified and issued (RFC 7519, RFC 8725).

    ``key`` is a shared secret of at least 32 bytes for HS algorithms, or a PEM key for the others. ``algorithms`` is all
    that is ever accepted: a token's own word for it counts for nothing. ``issuer`` and ``audience`` are checked when
    given. ``leeway`` is in seconds. ``lifetime`` is that of issued tokens. The claims named hold the caller's id, role
    (text or list) and scopes (space-separated text or list). ``cache`` bounds how many verified tokens are remembered.
    """

    key: str | bytes = field(repr=False)
    algorithms: Sequence[str] = ("HS256",)
    issuer: str | None = field(default=None, kw_only=True)
    audience: str | None = field(default=None, kw_only=True)
    leeway: int = field(default=0, kw_only=True)
    lifetime: timedelta = field(default=timedelta(minutes=360), kw_only=True)
    id_claim: str = field(default="id", kw_only=True)
    role_claim: str = field(default="user_type", kw_only=True)
    scope_claim: str = field(default="scope", kw_only=True)
    cache: int = field(default=4096, kw_only=True)

    def __post_init__(self) -> None:
        """Refuse configurations that would protect nothing; the messages never repeat the key."""
        algorithms = tuple(self.algorithms)
        if isinstance(self.algorithms, str) or not algorithms:
            raise ValueError("Jwt: algorithms is a list, such as ['HS256']")
        unknown = [a for a in algorithms if a not in _SYMMETRIC | _ASYMMETRIC]
        if unknown:
            raise ValueError(f"Jwt: algorithm {unknown[0]!r} is not one of {sorted(_SYMMETRIC | _ASYMMETRIC)}")
        if 0 < sum(a in _SYMMETRIC for a in algorithms) < len(algorithms):
            raise ValueError("Jwt: HS and public-key algorithms must not be mixed: one key cannot serve both")
        key = self.key.encode() if isinstance(self.key, str) else self.key
        pem = key.lstrip().startswith(b"-----BEGIN")
        if self.symmetric:
            if pem:
                raise ValueError("Jwt: the key is a PEM document; name its algorithm, such as algorithms=['RS256']")
            if len(key) < LEAST_SECRET:
                raise ValueError(f"Jwt: the secret has {len(key)} bytes; use at least {LEAST_SECRET} random ones")
        elif not pem:
            raise ValueError(f"Jwt: {algorithms[0]} needs a PEM key")
        if self.leeway < 0 or self.lifetime <= timedelta(0) or self.cache < 0:
            raise ValueError("Jwt: leeway and cache must not be negative, and lifetime must be more than nothing")
        object.__setattr__(self, "key", key)
        object.__setattr__(self, "algorithms", algorithms)

    @property
    def symmetric(self) -> bool:
        """Whether one shared secret signs and verifies."""
        return self.algorithms[0] in _SYMMETRIC
