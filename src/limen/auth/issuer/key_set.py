"""The keys of an outside issuer, read strictly from its JWK Set (RFC 7517), and looked up by what a token names.

Pure. A set comes from outside and may hold anything: a key for something else is skipped, an unsound one is skipped with a
reason for the log. No reason repeats key material.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import cast

from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from limen.auth.jose.json_object import read_json_object
from limen.auth.jose.jwk import Jwk, check_key_fits, import_key
from limen.auth.jose.tenants import PLACE

MOST_KEYS = 100
MOST_TRIED = 4
"""Keys without ``kid`` that are tried for one token."""
MOST_BITS = 8192
# Public exponents are small; a large one only makes every verification slow.
MOST_EXPONENT = 1 << 32

# The algorithms of each type of key (RFC 7518 section 3, RFC 8037). Symmetric keys are not here: a public one is no secret.
_ALGORITHMS_OF_KEY: dict[tuple[str, str], tuple[str, ...]] = {
    ("RSA", ""): ("RS256", "RS384", "RS512", "PS256"),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("OKP", "Ed25519"): ("EdDSA",),
    ("OKP", "Ed448"): ("EdDSA",),
}
_PUBLIC_MEMBERS = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
_KEY_CLASSES: dict[str, type[RSAKey | ECKey | OKPKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}


class KeySet:
    """The keys of one issuer at one time. ``thumbprints`` (RFC 7638) identify them across fetches."""

    __slots__ = ("_by_kid", "_issuers", "_keys", "thumbprints")

    def __init__(self, keys: Iterable[Jwk], issuers: Mapping[str, str] | None = None) -> None:
        """Keep ``keys``, each for one algorithm. Their ``text`` is the thumbprint; ``kid`` is "" if there is none.

        ``issuers`` are those of keys that serve one alone, by thumbprint.
        """
        self._keys = tuple(keys)
        self._by_kid = {(key.kid, key.algorithm): key for key in self._keys if key.kid}
        self._issuers = dict(issuers or {})
        self.thumbprints = frozenset(key.text for key in self._keys)

    def find(self, kid: str | None, algorithm: str) -> tuple[Jwk, ...]:
        """Return the keys that a token may mean: the one with its ``kid``, else those that have none.

        Without a ``kid`` it may be any. Some providers name no key, and have two while they change them, so a few are tried;
        of more than ``MOST_TRIED`` none is: whoever has so many must say which.
        """
        named = None if kid is None else self._by_kid.get((kid, algorithm))
        if named is not None:
            return (named,)
        fitting = tuple(key for key in self._keys if key.algorithm == algorithm and (kid is None or not key.kid))
        return fitting if len(fitting) <= MOST_TRIED else ()

    def serves(self, key: Jwk, issuer: object) -> bool:
        """Tell whether ``key`` may sign tokens of ``issuer``: in the set of many tenants, some are of one tenant alone."""
        return self._issuers.get(key.text, issuer) == issuer

    def __len__(self) -> int:
        """Count the keys, however many algorithms each serves."""
        return len(self.thumbprints)


def read_key_set(content: bytes, algorithms: Collection[str]) -> tuple[KeySet, list[str]]:
    """Return the keys in ``content`` that serve one of ``algorithms``, and why others were skipped.

    Raises ValueError for what is no JWK Set, or has no key to use: an issuer without keys is more likely out of order than
    without callers.
    """
    document = read_json_object(content)
    listed = document.get("keys") if document is not None else None
    if not isinstance(listed, list):
        raise ValueError("the document is no JWK Set: it must be a JSON object with a list named 'keys'")  # noqa: TRY004 - what was read is wrong, not who called
    entries = cast("list[object]", listed)
    keys: list[Jwk] = []
    issuers: dict[str, str] = {}
    skipped: list[str] = []
    if len(entries) > MOST_KEYS:
        skipped.append(f"the set has {len(entries)} keys; those after the first {MOST_KEYS} are not looked at")
    for number, entry in enumerate(entries[:MOST_KEYS], start=1):
        try:
            found = _public_keys(entry, algorithms, keys)
            keys += found
            issuers |= dict.fromkeys((key.text for key in found), _only_issuer(entry))
        except ValueError as error:
            skipped.append(f"key {number} of the set is not used: {error}")
    if not keys:
        raise ValueError("; ".join([f"the set has no key for {', '.join(sorted(algorithms))}", *skipped[:3]]))
    return KeySet(keys, {text: issuer for text, issuer in issuers.items() if issuer}), skipped


def _public_keys(entry: object, accepted: Collection[str], before: Collection[Jwk]) -> list[Jwk]:
    """Return the key, once for each algorithm; nothing if it is not for verifying with one that is ``accepted``.

    Raises ValueError for an unsound key, or one that could be mistaken for one of those ``before``.
    """
    if not isinstance(entry, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004 - as above
    jwk = cast("dict[str, object]", entry)
    kty, curve, kid, use = (jwk.get(name) for name in ("kty", "crv", "kid", "use"))
    uses = jwk.get("key_ops")
    serves = _ALGORITHMS_OF_KEY.get((str(kty), "" if kty == "RSA" else str(curve)), ())
    algorithms = [name for name in serves if name in accepted and jwk.get("alg", name) == name]
    if not algorithms or use not in (None, "sig") or (isinstance(uses, list) and "verify" not in uses):
        return []
    if "d" in jwk:
        raise ValueError("its private part is published, so anybody can sign with it")
    if kid is not None and not (isinstance(kid, str) and kid):
        raise ValueError("its kid is no text")
    if kid is not None and any(kid == key.kid and key.algorithm in algorithms for key in before):
        raise ValueError("another one before it has the same kid")
    key = _import_public_key(str(kty), jwk)
    return [Jwk(kid or "", name, key, key.thumbprint()) for name in algorithms]


def _only_issuer(entry: object) -> str:
    """Return the one issuer whose tokens a key signs; "" where it says none, or stands for all tenants (Entra ID)."""
    issuer = cast("dict[str, object]", entry).get("issuer", "") if isinstance(entry, dict) else ""
    return issuer if isinstance(issuer, str) and PLACE not in issuer else ""


def _import_public_key(kty: str, jwk: Mapping[str, object]) -> Key:
    # Only the members that make the key: the rest of an entry (certificates, dates) is not for limen to judge.
    parts = {name: jwk.get(name) for name in _PUBLIC_MEMBERS[kty]}
    key = import_key(_KEY_CLASSES[kty], {"kty": kty, **parts}, kty)
    if isinstance(key, RSAKey):
        numbers = key.public_key.public_numbers()
        if numbers.n.bit_length() > MOST_BITS or numbers.e >= MOST_EXPONENT:
            raise ValueError(f"its modulus has more than {MOST_BITS} bits, or its exponent more than 32")
        check_key_fits(key, "RS256", kty)
    return key
