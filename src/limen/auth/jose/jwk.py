"""One key of tokens (RFC 7517): its algorithm, and all the reasons to refuse it. No message repeats a key.

The algorithm belongs to the key, so that a token can never choose it. Files, sets and time are not known here.
"""

import copy
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from limen.auth.jose.claims import PRINTABLE, is_time

SYMMETRIC = ("HS256", "HS384", "HS512")
ASYMMETRIC = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA")
LEAST_SECRET = 32
LEAST_RSA = 2048

_KEY_CLASSES: dict[str, type[OctKey | RSAKey | ECKey | OKPKey]] = {
    "oct": OctKey,
    "RSA": RSAKey,
    "EC": ECKey,
    "OKP": OKPKey,
}
_KTY_OF_ALGORITHM = {"H": "oct", "R": "RSA", "P": "RSA", "E": "EC"}
_CURVES = {"ES256": ("P-256",), "ES384": ("P-384",), "EdDSA": ("Ed25519", "Ed448")}
_ALGORITHM_OF_CURVE = {"P-256": "ES256", "P-384": "ES384", "Ed25519": "EdDSA", "Ed448": "EdDSA"}


def _without_warnings(name: str) -> Any:
    """Return joserfc's algorithm without its warning at each use of EdDSA: RFC 9864 renames it, and the keys stay good."""
    algorithm = copy.copy(JWSRegistry.algorithms[name])
    algorithm.security_warning = None
    return algorithm


_ALGORITHMS: dict[str, Any] = {name: _without_warnings(name) for name in SYMMETRIC + ASYMMETRIC}


@dataclass(frozen=True, slots=True)
class Jwk:
    """A key for one algorithm.

    ``kid`` names it in the headers of tokens; "" is a key without a name. ``created`` and ``retires`` are in seconds since
    the epoch: a key that retires no longer signs, and verifies until then. ``text`` is what it was read from.
    """

    kid: str
    algorithm: str
    key: Key = field(repr=False, compare=False)
    text: str = field(repr=False)
    created: float = 0.0
    retires: float | None = None

    @property
    def private(self) -> bool:
        """Whether it can sign."""
        return self.key.is_private

    @property
    def symmetric(self) -> bool:
        """Whether a service that verifies with it could also sign with it."""
        return self.algorithm in SYMMETRIC

    def ended(self, now: float) -> bool:
        """Tell whether it no longer verifies; ``now`` is in seconds since the epoch."""
        return self.retires is not None and now >= self.retires

    def sign(self, data: bytes) -> bytes:
        """Return the signature of ``data``; raises ValueError for a public key."""
        if not self.private:
            raise ValueError(f"{_describe(self.kid)} is public and signs nothing; give the private key")
        return cast("bytes", _ALGORITHMS[self.algorithm].sign(data, self.key))

    def verifies(self, data: bytes, signature: bytes) -> bool:
        """Tell whether ``signature`` is that of ``data``. Never raises."""
        try:
            return bool(_ALGORITHMS[self.algorithm].verify(data, signature, self.key))
        except (JoseError, ValueError, TypeError):
            # Libraries raise different errors for bytes that are no signature; all mean the same.
            return False

    def public(self) -> dict[str, str] | None:
        """Return the public half as a JWK; None for a shared secret."""
        if isinstance(self.key, OctKey):
            return None
        # From the key itself, not from the text: the two halves of a JWK could differ.
        bare = type(self.key).import_key(cast("Any", self.key.public_key))
        known = {name: str(value) for name, value in bare.as_dict(private=False).items()}
        return known | {"kid": self.kid or bare.thumbprint(), "alg": self.algorithm, "use": "sig"}


def key_from_jwk(
    member: Mapping[str, object],
    where: str,
    algorithms: Sequence[str] = (),
    known: Mapping[str, Jwk] | None = None,
) -> Jwk:
    """Return the key of a JWK. ``where`` it comes from is for messages; ``algorithms`` are those accepted, if not all.

    One of ``known`` with the same text is returned as it is: checking a large RSA key takes milliseconds. Raises ValueError
    for a key that would protect nothing, or could never verify anything.
    """
    text = json.dumps(member, sort_keys=True)
    if known and text in known:
        return known[text]
    kty, algorithm, kid = member.get("kty"), member.get("alg"), member.get("kid")
    if not isinstance(kty, str) or kty not in _KEY_CLASSES:
        raise ValueError(f'{where}: "kty" of a key is not one of {", ".join(_KEY_CLASSES)}; is this a JWK (RFC 7517)?')
    if kid is not None and (not isinstance(kid, str) or not PRINTABLE.fullmatch(kid)):
        raise ValueError(f'{where}: "kid" of a key is not printable ASCII text of at most 256 characters')
    name = _describe(kid or "")
    if algorithm is None:
        raise ValueError(f'{where}: {name} names no algorithm; add "alg", such as "ES256" (limen keys new does)')
    if not isinstance(algorithm, str) or algorithm not in _ALGORITHMS:
        raise ValueError(f'{where}: "alg" of {name} is not one of {", ".join(_ALGORITHMS)}')
    if member.get("use", "sig") != "sig":
        raise ValueError(f'{where}: {name} is not for signatures: its "use" is not "sig"')
    times = {name: member.get(name) for name in ("iat", "exp")}
    for claim, value in times.items():
        if value is not None and not is_time(value):
            raise ValueError(f'{where}: "{claim}" of {name} is not a time in seconds since the epoch')
    key = import_key(_KEY_CLASSES[kty], dict(member), f"{where}: {name}")
    check_key_fits(key, algorithm, f"{where}: {name}")
    if algorithms and algorithm not in algorithms:
        raise ValueError(f"{where}: {name} is for {algorithm}, which algorithms={list(algorithms)} does not accept")
    created, retires = cast("float | None", times["iat"]), cast("float | None", times["exp"])
    return Jwk(kid or key.thumbprint(), algorithm, key, text, created or 0.0, retires)


def key_from_pem(text: bytes, where: str, algorithms: Sequence[str] = ()) -> Jwk:
    """Return the key of a PEM document. Its curve names the algorithm, or ``algorithms`` do."""
    key = next(
        (key for key_class in (ECKey, OKPKey, RSAKey) if (key := _import_or_none(key_class, text)) is not None), None
    )
    if key is None:
        raise ValueError(f"{where}: no PEM key of RSA, EC or Ed25519 without a passphrase can be read from it")
    if isinstance(key, RSAKey):
        fitting = [name for name in algorithms if name[0] in "RP"]
        if len(fitting) != 1:
            raise ValueError(f"{where}: an RSA key in PEM names no algorithm; give one, such as algorithms=['RS256']")
        algorithm = fitting[0]
    else:
        algorithm = _ALGORITHM_OF_CURVE.get(key.curve_name, "")
        if not algorithm or (algorithms and algorithm not in algorithms):
            accepted = list(algorithms or ASYMMETRIC)
            raise ValueError(f"{where}: a key on the curve {key.curve_name} serves none of {accepted}")
    check_key_fits(key, algorithm, where)
    return Jwk(key.thumbprint(), algorithm, key, f"{algorithm}\n{text.decode('latin-1')}")


def key_without_kid(given: bytes, algorithm: str, where: str) -> Jwk:
    """Return the one key of a configuration, for ``algorithm``: a secret for HS, PEM for the others."""
    key_class = _KEY_CLASSES["OKP" if algorithm == "EdDSA" else _KTY_OF_ALGORITHM[algorithm[0]]]
    refused = f"{where}: the key does not serve {algorithm}"
    key = import_key(key_class, given, refused)
    if isinstance(key, ECKey | OKPKey) and key.curve_name not in _CURVES[algorithm]:
        raise ValueError(f"{refused}: its curve is {key.curve_name}")
    _check_rsa_size(key, where)
    return Jwk("", algorithm, key, "")


def import_key(key_class: type[OctKey | RSAKey | ECKey | OKPKey], given: Any, subject: str) -> Key:
    """Return joserfc's key; raises ValueError with the kind of error, and nothing of the key."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about sizes, which are checked here
            return key_class.import_key(given)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{subject}: not a key that can be read ({type(error).__name__})") from None


def check_key_fits(key: Key, algorithm: str, subject: str) -> None:
    """Raise ValueError if ``key`` is not for ``algorithm``, or too weak for it."""
    kty = "OKP" if algorithm == "EdDSA" else _KTY_OF_ALGORITHM[algorithm[0]]
    if key.key_type != kty:
        raise ValueError(f"{subject}: {algorithm} does not fit a key of type {key.key_type}")
    if isinstance(key, ECKey | OKPKey) and key.curve_name not in _CURVES[algorithm]:
        raise ValueError(f"{subject}: {algorithm} does not fit the curve {key.curve_name}")
    if isinstance(key, OctKey) and len(key.raw_value) < (least := int(algorithm[2:]) // 8):
        # RFC 7518 section 3.2: not shorter than the hash.
        raise ValueError(
            f"{subject}: the secret has {len(key.raw_value)} bytes; {algorithm} needs at least {least} random ones"
        )
    _check_rsa_size(key, subject)


def _check_rsa_size(key: Key, subject: str) -> None:
    if isinstance(key, RSAKey) and (bits := key.raw_value.key_size) < LEAST_RSA:
        raise ValueError(f"{subject}: an RSA key of {bits} bits; use at least {LEAST_RSA}")


def _import_or_none(key_class: type[RSAKey | ECKey | OKPKey], text: bytes) -> RSAKey | ECKey | OKPKey | None:
    try:
        return cast("RSAKey | ECKey | OKPKey", import_key(key_class, text, ""))
    except ValueError:
        return None


def _describe(kid: str) -> str:
    return f"the key {kid!r}" if kid else "a key without kid"
