"""The vocabulary of the corpus of bad tokens: who verifies, who signs, what one attack is, and how much work it may cause.

The corpus itself is ``attack_lists`` and ``attack_forms``. Nothing here depends on the clock: what must live ends in the far
future, what is over ended long ago, so that one corpus serves both the verifier's tests and a gateway with a real clock.
Keys are made when first asked for: a test run that does not need them does not wait for them.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from joserfc.jwk import ECKey, OKPKey, RSAKey

from limen.auth.jose.compact import MOST_BYTES
from limen.auth.jose.keys import Keys
from limen.auth.jwt import Jwt
from limen.errors import Kind
from tokens import SECRET, b64, sign, sign_with

ISSUER, AUDIENCE = "https://gate.example", "shop"
# Seconds since the epoch.
NEVER_ENDS, LONG_OVER = 900_000_000_000, 1_000_000_000

Key = RSAKey | ECKey | OKPKey


@dataclass(frozen=True)
class Work:
    """What refusing a token may cost at most: bytes of base64 decoded, texts given to the JSON parser, signatures checked."""

    decoded: int
    parsed: int
    signatures: int


OVERSIZED = Work(0, 0, 0)
"""Refused for its size or its dots alone."""
MALFORMED = Work(MOST_BYTES, 0, 0)
"""Refused before its header is parsed."""
HEADER = Work(MOST_BYTES, 1, 0)
"""Refused for its header: no signature is checked."""
FORGED = Work(MOST_BYTES, 1, 1)
"""Refused for its signature, or for how deep it nests: the claims are never parsed."""
CLAIMS = Work(MOST_BYTES, 2, 1)
"""Refused for what it says."""


@dataclass(frozen=True)
class Attack:
    """One bad credential, sent to the verifier ``on``, and what must come of it.

    ``token`` comes behind ``Bearer``; where it is None, ``values`` are all the values of ``Authorization``. ``query`` and
    ``lines`` are what else the request says.
    """

    name: str
    on: str
    token: bytes | None
    most: Work
    kind: Kind = Kind.TOKEN_CORRUPTED
    values: tuple[bytes, ...] = ()
    query: bytes = b""
    lines: tuple[bytes, ...] = ()

    @property
    def authorization(self) -> tuple[bytes, ...]:
        """All values of the header line."""
        return self.values if self.token is None else (b"Bearer " + self.token,)


Attacks = Iterator[Attack]


@cache
def rsa_key() -> RSAKey:
    """Return the gateway's own RSA key."""
    return RSAKey.generate_key(2048, {"kid": "rsa-key", "alg": "RS256"})


@cache
def ec_key() -> ECKey:
    """Return the gateway's own P-256 key."""
    return ECKey.generate_key("P-256", {"kid": "ec-key", "alg": "ES256"})


@cache
def okp_key() -> OKPKey:
    """Return the gateway's own Ed25519 key."""
    return OKPKey.generate_key("Ed25519", {"kid": "okp-key", "alg": "EdDSA"})


@cache
def evil_rsa() -> RSAKey:
    """Return an RSA key of the attacker's."""
    return RSAKey.generate_key(2048)


@cache
def evil_ec() -> ECKey:
    """Return a P-256 key of the attacker's."""
    return ECKey.generate_key("P-256")


@cache
def evil_okp() -> OKPKey:
    """Return an Ed25519 key of the attacker's."""
    return OKPKey.generate_key("Ed25519")


def claims(**changes: Any) -> dict[str, Any]:
    """Return claims that every verifier accepts; a change to None leaves the claim out."""
    found: dict[str, Any] = {
        "sub": "mallory-7",
        "roles": ["intruder"],
        "iss": ISSUER,
        "aud": AUDIENCE,
        "exp": NEVER_ENDS,
    }
    found |= changes
    return {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True)
class Signer:
    """A key of the gateway's, and the verifier ``on`` that believes it. ``key`` None is the shared secret."""

    name: str
    on: str
    header: dict[str, Any]
    key: Key | None

    def token(
        self,
        header: dict[str, Any] | bytes | None = None,
        payload: object = None,
        digest: str = "sha256",
        **changes: Any,
    ) -> bytes:
        """Return a token with a good signature; ``header`` is added to the usual one, or bytes as they are."""
        said = header if isinstance(header, bytes) else self.header | (header or {})
        body = claims(**changes) if payload is None else payload
        return sign(said, body, digest=digest) if self.key is None else sign_with(self.key, said, body)

    @property
    def honest(self) -> bytes:
        """The token of which most attacks are made; always the same."""
        return _honest(self.name)

    @property
    def parts(self) -> tuple[bytes, bytes, bytes]:
        """Its three parts."""
        header, payload, signature = self.honest.split(b".")
        return header, payload, signature


@cache
def _honest(name: str) -> bytes:
    return signers()[name].token()


@cache
def signers() -> dict[str, Signer]:
    """Return all signers by name."""
    own = (
        Signer("secret", "secret", {"alg": "HS256", "typ": "JWT"}, None),
        Signer("rsa of a set", "keys", {"alg": "RS256", "kid": "rsa-key"}, rsa_key()),
        Signer("ec of a set", "keys", {"alg": "ES256", "kid": "ec-key"}, ec_key()),
        Signer("rsa", "rsa", {"alg": "RS256", "typ": "JWT"}, rsa_key()),
        Signer("ec", "ec", {"alg": "ES256", "typ": "JWT"}, ec_key()),
        Signer("okp", "okp", {"alg": "EdDSA", "typ": "JWT"}, okp_key()),
    )
    return {one.name: one for one in own}


@cache
def verifiers() -> dict[str, Jwt]:
    """Return the verifiers that are attacked: a shared secret, a set of public keys, and one public key of each kind."""
    options: dict[str, Any] = {"issuer": ISSUER, "audience": AUDIENCE, "id_claim": "sub", "role_claim": "roles"}
    keys = Keys.of(json.dumps({"keys": [key.as_dict(private=False) for key in (rsa_key(), ec_key())]}))
    return {
        "secret": Jwt(SECRET, **options),
        "keys": Jwt(keys=keys, **options),
        "rsa": Jwt(rsa_key().as_pem(private=False), ["RS256"], **options),
        "ec": Jwt(ec_key().as_pem(private=False), ["ES256"], **options),
        "okp": Jwt(okp_key().as_pem(private=False), ["EdDSA"], **options),
    }


# Their names, which are known before any key is made.
VERIFIERS = ("secret", "keys", "rsa", "ec", "okp")
SIGNERS = ("secret", "rsa of a set", "ec of a set", "rsa", "ec", "okp")


def secret_token(header: dict[str, Any] | None = None, **changes: Any) -> bytes:
    """Return a token as the verifier with a secret takes them, but for the changes."""
    return signers()["secret"].token(header, **changes)


def joined(*each: object) -> bytes:
    """Return a token of these parts: bytes as they are, anything else as JSON in base64url."""
    return b".".join(part if isinstance(part, bytes) else b64(json.dumps(part).encode()) for part in each)
