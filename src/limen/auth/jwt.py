"""The tokens that the gateway accepts and issues itself. Configuration only, checked when it is made."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from limen.auth.jose.claims import Claims
from limen.auth.jose.jwk import ASYMMETRIC, LEAST_SECRET, SYMMETRIC, key_without_kid
from limen.auth.jose.keyring import Keyring
from limen.auth.jose.keys import Keys
from limen.auth.method import Method
from limen.exchange.clock import now as present

# The default is told by identity from the same list given by the user: with keys=, the default means those of the keys.
_DEFAULT_ALGORITHMS: Sequence[str] = tuple(["HS256"])  # noqa: C409  # a literal may be one object with the user's


@dataclass(frozen=True, slots=True)
class Jwt(Method):
    """How tokens are verified and issued (RFC 7519, RFC 8725).

    ``key`` is a shared secret of at least 32 bytes for HS algorithms, or a PEM key for the others. Only ``algorithms`` are
    ever accepted, whatever a token says. Instead of ``key``, ``keys`` is a set of keys that may change while the gateway
    runs, each with its own algorithm; ``algorithms`` then narrows which may be among them.

    ``issuer`` is checked if given. A token must be made for ``audience``, or for one of several, of which issued tokens have
    the first. Without it, a token that names an audience (``aud``) is for somebody else, and refused. ``leeway`` is in
    seconds. ``lifetime`` is that of issued tokens. The claims named hold the caller's id, role (text or list) and scopes
    (space-separated text or list). ``cache`` bounds the cached tokens.

    ``ring`` holds the keys in use. It is live, although this is a declaration: issuing, verifying and publishing must use
    one set.
    """

    key: str | bytes | None = field(default=None, repr=False)
    algorithms: Sequence[str] = _DEFAULT_ALGORITHMS
    keys: Keys | None = field(default=None, kw_only=True)
    issuer: str | None = field(default=None, kw_only=True)
    audience: str | Sequence[str] | None = field(default=None, kw_only=True)
    leeway: int = field(default=0, kw_only=True)
    lifetime: timedelta = field(default=timedelta(minutes=15), kw_only=True)
    id_claim: str = field(default="id", kw_only=True)
    role_claim: str = field(default="user_type", kw_only=True)
    scope_claim: str = field(default="scope", kw_only=True)
    cache: int = field(default=4096, kw_only=True)
    ring: Keyring = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse configurations that would protect nothing, and read the keys. No message repeats a key."""
        accepted = () if self.keys is not None and self.algorithms is _DEFAULT_ALGORITHMS else tuple(self.algorithms)
        if self.keys is None or self.algorithms is not _DEFAULT_ALGORITHMS:
            self._check_algorithms(accepted)
        if self.leeway < 0 or self.lifetime <= timedelta(0) or self.cache < 0:
            raise ValueError("Jwt: leeway and cache must not be negative, and lifetime must be more than nothing")
        if self.audience is not None:
            object.__setattr__(
                self, "audience", self.audience if isinstance(self.audience, str) else tuple(self.audience)
            )
            if not self.audiences or not all(self.audiences):
                raise ValueError(
                    "Jwt: audience= is what tokens must be made for, such as 'shop'; leave it out for none"
                )
        if (self.key is None) == (self.keys is None):
            raise ValueError("Jwt: give either a key, such as Jwt(secret), or keys=, such as Keys.directory('keys')")
        if self.keys is not None:
            try:
                ring = Keyring(self.keys, accepted)
            except ValueError as error:
                raise ValueError(f"Jwt: {error}") from None
            accepted = accepted or tuple(sorted({key.algorithm for key in ring.keys}))
        else:
            key = self.key.encode() if isinstance(self.key, str) else self.key or b""
            self._check_key(key, accepted)
            ring = Keyring([key_without_kid(key, algorithm, "Jwt") for algorithm in accepted])
            object.__setattr__(self, "key", key)
        object.__setattr__(self, "algorithms", accepted)
        object.__setattr__(self, "ring", ring)

    @property
    def symmetric(self) -> bool:
        """Whether a shared secret signs and verifies."""
        return self.algorithms[0] in SYMMETRIC

    @property
    def claims(self) -> Claims:
        """The rules for the claims of a token with a good signature."""
        names = (self.id_claim, self.role_claim, self.scope_claim)
        return Claims(self.issuer, self.audiences, self.leeway, *names)

    @property
    def audiences(self) -> tuple[str, ...]:
        """What tokens may be made for; issued ones are made for the first."""
        if self.audience is None:
            return ()
        return (self.audience,) if isinstance(self.audience, str) else tuple(self.audience)

    def outlived(self, now: float) -> float:
        """Return when every token issued until ``now`` has ended, both in seconds since the epoch: for revocations."""
        return now + self.lifetime.total_seconds() + self.leeway

    def public_jwks(self, now: float | None = None) -> dict[str, list[dict[str, str]]]:
        """Return the JWK Set to publish (RFC 7517 section 5): the public halves of the keys that have not ended.

        ``now`` is in seconds since the epoch, by default this moment. A shared secret is never in it.
        """
        return self.ring.public(present() if now is None else now)

    def _check_algorithms(self, algorithms: tuple[str, ...]) -> None:
        if isinstance(self.algorithms, str) or not algorithms:
            raise ValueError("Jwt: algorithms is a list, such as ['HS256']")
        unknown = [name for name in algorithms if name not in SYMMETRIC + ASYMMETRIC]
        if unknown:
            raise ValueError(f"Jwt: algorithm {unknown[0]!r} is not one of {sorted(SYMMETRIC + ASYMMETRIC)}")

    def _check_key(self, key: bytes, algorithms: tuple[str, ...]) -> None:
        if 0 < sum(name in SYMMETRIC for name in algorithms) < len(algorithms):
            raise ValueError("Jwt: HS and public-key algorithms must not be mixed: one key cannot serve both")
        pem = key.lstrip().startswith(b"-----BEGIN")
        if algorithms[0] not in SYMMETRIC:
            if not pem:
                raise ValueError(f"Jwt: {algorithms[0]} needs a PEM key")
        elif pem:
            raise ValueError("Jwt: the key is a PEM document; name its algorithm, such as algorithms=['RS256']")
        elif len(key) < LEAST_SECRET:
            raise ValueError(f"Jwt: the secret has {len(key)} bytes; use at least {LEAST_SECRET} random ones")
