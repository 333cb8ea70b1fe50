"""The gateway's public keys, from where ``IDENTITY_KEYS`` says: a JWK Set as text, a file, or an address.

What a bad or dead source may cost is bounded here. That a signature is good is judged in ``limen_kit.assertion``. This module
loads a cryptographic library, so nothing imports it that does without keys.
"""

import asyncio
import json
import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import stat_result
from pathlib import Path
from time import monotonic
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from limen_kit.fetch import MOST_BYTES, fetch

_log = logging.getLogger("limen_kit.identity")

MOST_KEYS = 100
LEAST_RSA = 2048
# What each kind of key is for: the key decides, never the token. Nothing here is symmetric, since who verifies with a
# shared secret could also sign, and a service could pose as the gateway to another one.
_FOR = {("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA", ("OKP", "Ed448"): "EdDSA", ("RSA", ""): "RS256"}
_KINDS: dict[str, type[ECKey | OKPKey | RSAKey]] = {"EC": ECKey, "OKP": OKPKey, "RSA": RSAKey}
_PRIVATE = frozenset(("d", "p", "q", "dp", "dq", "qi", "oth", "k"))


@dataclass(frozen=True, slots=True)
class PublicKey:
    """One key and the one algorithm that it is for."""

    kid: str
    algorithm: str
    key: Key = field(repr=False)


Found = Mapping[str, PublicKey]


class Keys(Protocol):
    """Where keys come from. ``version`` changes whenever they do; ``failed`` tells that the last try to renew them failed."""

    version: int
    failed: bool

    def find(self, kid: str) -> PublicKey | None:
        """Return the key of that name, if it is known now."""
        ...

    async def renew(self) -> None:
        """Look for newer keys. Never raises: what was known stays known."""
        ...

    async def aclose(self) -> None:
        """Give up what is under way."""
        ...


def keys_from(setting: str) -> "Keys":
    """Return the keys that ``setting`` leads to.

    Raises ValueError that says what is wrong and how to mend it. An address that does not answer is not wrong: the gateway
    may start later.
    """
    text = setting.strip()
    if text.startswith("{"):
        return Given(text)
    if "://" in text:
        return Remote(text)
    if text.startswith("-----BEGIN"):
        raise ValueError(
            "IDENTITY_KEYS is PEM; give a JWK Set (RFC 7517), which names its keys: limen keys list --public"
        )
    return Stored(Path(text))


def read(text: str | bytes, *, strict: bool) -> dict[str, PublicKey]:
    """Return the keys of a JWK Set, or of one JWK.

    Raises ValueError when there is none that can be used; with ``strict``, for each one that cannot. Else those are left out
    with a warning: one new kind of key must not stop the others. No message repeats a key.
    """
    try:
        document: object = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("this is not JSON; a JWK Set is needed (RFC 7517)") from None
    members: object = None
    if isinstance(document, dict):
        only = cast("dict[str, object]", document)
        members = only.get("keys", [only])
    if not isinstance(members, list):
        raise ValueError('this is no JWK Set, which is {"keys": [...]} (RFC 7517)')  # noqa: TRY004  # a value of a setting
    found: dict[str, PublicKey] = {}
    for place, member in enumerate(cast("list[object]", members)[:MOST_KEYS]):
        try:
            key = _key(member)
            if key.kid in found:
                raise ValueError("another one has the same kid")
        except ValueError as error:
            if strict:
                raise ValueError(f"key {place}: {error}") from None
            _log.warning("a key of the gateway is left out: key %d: %s", place, error)
        else:
            found[key.kid] = key
    if not found:
        raise ValueError("there is no key that can be used; the gateway publishes its keys at /.well-known/jwks.json")
    return found


def _key(member: object) -> PublicKey:
    if not isinstance(member, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004  # as above
    jwk = cast("dict[str, Any]", member)
    kid, kty = jwk.get("kid"), jwk.get("kty")
    if kty == "oct" or not _PRIVATE.isdisjoint(jwk):
        raise ValueError(
            "it is secret, and whoever has it can pose as the gateway; give the public part: limen keys list --public"
        )
    if not isinstance(kid, str) or not 0 < len(kid) <= 256:
        raise ValueError('it needs a name: "kid"')
    algorithm = _FOR.get((str(kty), str(jwk.get("crv", ""))))
    if algorithm is None or jwk.get("alg", algorithm) != algorithm or jwk.get("use", "sig") != "sig":
        raise ValueError(f"it is not for one of {', '.join(sorted(set(_FOR.values())))}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about sizes, which are refused below
            key = _KINDS[str(kty)].import_key(jwk)
        small = isinstance(key, RSAKey) and key.raw_value.key_size < LEAST_RSA
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise ValueError(f"it cannot be read ({type(error).__name__})") from None
    if small:
        raise ValueError(f"an RSA key needs at least {LEAST_RSA} bits")
    return PublicKey(kid, algorithm, key)


class Given:
    """Keys that stay as they are."""

    version = 0
    failed = False

    def __init__(self, text: str) -> None:
        """Read ``text``, a JWK Set."""
        try:
            self._keys = read(text, strict=True)
        except ValueError as error:
            raise ValueError(f"IDENTITY_KEYS: {error}") from None

    def find(self, kid: str) -> PublicKey | None:
        """Return the key of that name."""
        return self._keys.get(kid)

    async def renew(self) -> None:
        """Do nothing: there are no others."""

    async def aclose(self) -> None:
        """Do nothing."""


class Stored:
    """Keys in a file, read again when it has changed; if the change is bad, the keys of before stay."""

    failed = False

    def __init__(self, path: Path) -> None:
        """Read ``path``."""
        self.version = 0
        self._path = path
        try:
            self._seen = _identity(path.stat())
            self._keys = self._load()
        except (OSError, ValueError) as error:
            raise ValueError(f"IDENTITY_KEYS: the file {str(path)!r}: {_told(error)}") from None

    def find(self, kid: str) -> PublicKey | None:
        """Return the key of that name; a look at the file's date costs little beside a signature."""
        try:
            seen = _identity(self._path.stat())
            if seen != self._seen:
                self._seen = seen
                self._keys = self._load()
                self.version += 1
        except (OSError, ValueError) as error:
            _log.warning("IDENTITY_KEYS: the file %r: %s; the keys of before stay", str(self._path), _told(error))
        return self._keys.get(kid)

    def _load(self) -> Found:
        with self._path.open("rb") as file:
            text = file.read(MOST_BYTES + 1)
        if len(text) > MOST_BYTES:
            raise ValueError(f"it is larger than {MOST_BYTES} bytes")
        return read(text, strict=True)

    async def renew(self) -> None:
        """Do nothing: every look is at the file as it is now."""

    async def aclose(self) -> None:
        """Do nothing."""


class Remote:
    """Keys at an address, fetched when one is needed, and anew after ``refresh`` seconds while nobody waits for it.

    An unknown name makes all who bring one wait for one and the same fetch; fetches begin at least ``floor`` seconds apart,
    so that invented names cannot make this service a burden to the gateway. ``seconds`` bounds a fetch as a whole. Keys of
    before serve on while the address is dead. Over plain ``http`` whoever controls the network between can replace the keys:
    there, use ``https`` or a file. ``SSL_CERT_FILE`` names the authorities of a private ``https``.
    """

    def __init__(self, url: str, *, floor: float = 1.0, refresh: float = 300.0, seconds: float = 5.0) -> None:
        """Check ``url``; nothing is fetched yet. Raises ValueError for what can never be fetched."""
        self.version = 0
        self.failed = False
        self._url = _checked(url)
        self._floor, self._refresh, self._seconds = floor, refresh, seconds
        self._keys: Found = {}
        self._begun = -float("inf")
        self._task: asyncio.Task[None] | None = None

    def find(self, kid: str) -> PublicKey | None:
        """Return the key of that name, if it was fetched."""
        if self._keys and monotonic() - self._begun >= self._refresh:
            self._fetching()
        return self._keys.get(kid)

    async def renew(self) -> None:
        """Fetch, or wait for the fetch that is under way; one caller's end is not that of the others."""
        await asyncio.shield(self._fetching())

    async def aclose(self) -> None:
        """End the fetch that is under way."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _fetching(self) -> "asyncio.Task[None]":
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._fetch())
        return self._task

    async def _fetch(self) -> None:
        await asyncio.sleep(max(0.0, self._begun + self._floor - monotonic()))
        self._begun = monotonic()
        try:
            keys = read(await fetch(self._url, self._seconds), strict=False)
        except (OSError, ValueError) as error:
            self.failed = True
            known = "the keys of before stay" if self._keys else "no caller can be identified until then"
            _log.warning("IDENTITY_KEYS: %s: %s; %s", self._url, _told(error), known)
            return
        self.failed = False
        if {kid: key.key.thumbprint() for kid, key in keys.items()} != {
            kid: key.key.thumbprint() for kid, key in self._keys.items()
        }:
            self._keys = keys
            self.version += 1


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:  # which repeats what it took for a port: it may be the beginning of a password
        raise ValueError(
            "IDENTITY_KEYS is no address: it has no valid host and port, or a user and a password"
        ) from None
    if parts.username is not None or parts.password is not None:
        raise ValueError("IDENTITY_KEYS: an address of keys needs no user and no password; leave them out")
    if parts.scheme not in ("http", "https") or not host or port == 0 or parts.fragment:
        raise ValueError(
            "IDENTITY_KEYS must be like https://gateway/.well-known/jwks.json, a JWK Set, or a file's path"
        )
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("IDENTITY_KEYS: an address has no blanks, and only ASCII")
    return url


def _identity(stat: stat_result) -> tuple[int, int, int]:
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _told(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
