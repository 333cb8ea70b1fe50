"""The gateway's public keys, from the source that ``IDENTITY_KEYS`` names: a JWK Set as text, a file, or an address.

The cost of a bad or dead source is bounded here. ``limen_kit.assertion`` verifies signatures. This module loads a
cryptographic library, so it is imported only where keys are configured.
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

from limen_kit.fetch import MAX_BYTES, fetch

_log = logging.getLogger("limen_kit.identity")

MAX_KEYS = 100
MIN_RSA_BITS = 2048
# The algorithm of each type of key: the key decides, never the token. None is symmetric: a shared secret can also sign, so
# one service could pose as the gateway to another.
_ALGORITHMS = {("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA", ("OKP", "Ed448"): "EdDSA", ("RSA", ""): "RS256"}
_KEY_TYPES: dict[str, type[ECKey | OKPKey | RSAKey]] = {"EC": ECKey, "OKP": OKPKey, "RSA": RSAKey}
_PRIVATE_MEMBERS = frozenset(("d", "p", "q", "dp", "dq", "qi", "oth", "k"))


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key and the one algorithm that it is used with."""

    kid: str
    algorithm: str
    key: Key = field(repr=False)


KeysByKid = Mapping[str, PublicKey]


class KeySource(Protocol):
    """Where keys come from. ``version`` changes whenever they do; ``failed`` is true when the last renewal failed."""

    version: int
    failed: bool

    def find(self, kid: str) -> PublicKey | None:
        """Return the key with this ``kid``, if it is known now."""
        ...

    async def renew(self) -> None:
        """Look for newer keys. Never raises: on failure, the known keys stay."""
        ...

    async def aclose(self) -> None:
        """Cancel the fetch that is under way."""
        ...


def key_source(setting: str) -> "KeySource":
    """Return the source that ``setting`` names.

    Raises ValueError that says what is wrong and how to fix it. An address that does not answer is no error: the gateway may
    start later.
    """
    text = setting.strip()
    if text.startswith("{"):
        return StaticKeys(text)
    if "://" in text:
        return RemoteKeys(text)
    if text.startswith("-----BEGIN"):
        raise ValueError(
            "IDENTITY_KEYS is PEM; give a JWK Set (RFC 7517), which names its keys: limen keys list --public"
        )
    return KeyFile(Path(text))


def parse_jwks(text: str | bytes, *, strict: bool) -> dict[str, PublicKey]:
    """Return the keys of a JWK Set, or of one JWK.

    Raises ValueError when no key is usable; with ``strict``, when any is not. Without ``strict``, unusable keys are left out
    with a warning, so that one new type of key does not disable the others. No message repeats a key.
    """
    try:
        document: object = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("this is not JSON; a JWK Set is needed (RFC 7517)") from None
    members: object = None
    if isinstance(document, dict):
        jwk = cast("dict[str, object]", document)
        members = jwk.get("keys", [jwk])
    if not isinstance(members, list):
        raise ValueError('this is no JWK Set, which is {"keys": [...]} (RFC 7517)')  # noqa: TRY004  # a value of a setting
    keys: dict[str, PublicKey] = {}
    for position, member in enumerate(cast("list[object]", members)[:MAX_KEYS]):
        try:
            key = _parse_jwk(member)
            if key.kid in keys:
                raise ValueError("another one has the same kid")
        except ValueError as error:
            if strict:
                raise ValueError(f"key {position}: {error}") from None
            _log.warning("a key of the gateway is left out: key %d: %s", position, error)
        else:
            keys[key.kid] = key
    if not keys:
        raise ValueError("there is no key that can be used; the gateway publishes its keys at /.well-known/jwks.json")
    return keys


def _parse_jwk(member: object) -> PublicKey:
    if not isinstance(member, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004  # as above
    jwk = cast("dict[str, Any]", member)
    kid, kty = jwk.get("kid"), jwk.get("kty")
    if kty == "oct" or not _PRIVATE_MEMBERS.isdisjoint(jwk):
        raise ValueError(
            "it is secret, and whoever has it can pose as the gateway; give the public part: limen keys list --public"
        )
    if not isinstance(kid, str) or not 0 < len(kid) <= 256:
        raise ValueError('it needs a name: "kid"')
    algorithm = _ALGORITHMS.get((str(kty), str(jwk.get("crv", ""))))
    if algorithm is None or jwk.get("alg", algorithm) != algorithm or jwk.get("use", "sig") != "sig":
        raise ValueError(f"it is not for one of {', '.join(sorted(set(_ALGORITHMS.values())))}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about sizes, which are refused below
            key = _KEY_TYPES[str(kty)].import_key(jwk)
        too_small = isinstance(key, RSAKey) and key.raw_value.key_size < MIN_RSA_BITS
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise ValueError(f"it cannot be read ({type(error).__name__})") from None
    if too_small:
        raise ValueError(f"an RSA key needs at least {MIN_RSA_BITS} bits")
    return PublicKey(kid, algorithm, key)


class StaticKeys:
    """Keys that never change."""

    version = 0
    failed = False

    def __init__(self, text: str) -> None:
        """Read ``text``, a JWK Set."""
        try:
            self._keys = parse_jwks(text, strict=True)
        except ValueError as error:
            raise ValueError(f"IDENTITY_KEYS: {error}") from None

    def find(self, kid: str) -> PublicKey | None:
        """Return the key of that name."""
        return self._keys.get(kid)

    async def renew(self) -> None:
        """Do nothing: there are no other keys."""

    async def aclose(self) -> None:
        """Do nothing."""


class KeyFile:
    """Keys in a file, which is read again when it has changed. If the new content is bad, the previous keys stay."""

    failed = False

    def __init__(self, path: Path) -> None:
        """Read ``path``."""
        self.version = 0
        self._path = path
        try:
            self._version_read = _file_version(path.stat())
            self._keys = self._load()
        except (OSError, ValueError) as error:
            raise ValueError(f"IDENTITY_KEYS: the file {str(path)!r}: {_describe(error)}") from None

    def find(self, kid: str) -> PublicKey | None:
        """Return the key with this ``kid``. Reading the file's date costs little compared to a signature."""
        try:
            current = _file_version(self._path.stat())
            if current != self._version_read:
                self._version_read = current
                self._keys = self._load()
                self.version += 1
        except (OSError, ValueError) as error:
            _log.warning("IDENTITY_KEYS: the file %r: %s; the keys of before stay", str(self._path), _describe(error))
        return self._keys.get(kid)

    def _load(self) -> KeysByKid:
        with self._path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
        if len(text) > MAX_BYTES:
            raise ValueError(f"it is larger than {MAX_BYTES} bytes")
        return parse_jwks(text, strict=True)

    async def renew(self) -> None:
        """Do nothing: ``find`` reads the current file."""

    async def aclose(self) -> None:
        """Do nothing."""


class RemoteKeys:
    """Keys at an address. They are fetched at first use, and again in the background once they are ``max_age`` seconds old.

    All callers with an unknown ``kid`` wait for the same fetch. Fetches begin at least ``min_interval`` seconds apart, so
    that invented kids do not make this service flood the gateway. ``timeout`` bounds a whole fetch, in seconds. The previous
    keys stay in use while the address does not answer. Over plain ``http``, an attacker in the network can replace the keys:
    use ``https`` or a file there. ``SSL_CERT_FILE`` names the authorities of a private ``https``.
    """

    def __init__(self, url: str, *, min_interval: float = 1.0, max_age: float = 300.0, timeout: float = 5.0) -> None:
        """Check ``url``; nothing is fetched yet. Raises ValueError for an address that can never be fetched."""
        self.version = 0
        self.failed = False
        self._url = _checked_url(url)
        self._min_interval, self._max_age, self._timeout = min_interval, max_age, timeout
        self._keys: KeysByKid = {}
        self._last_fetch = -float("inf")
        self._task: asyncio.Task[None] | None = None

    def find(self, kid: str) -> PublicKey | None:
        """Return the key with this ``kid``, if it was fetched."""
        if self._keys and monotonic() - self._last_fetch >= self._max_age:
            self._start_fetch()
        return self._keys.get(kid)

    async def renew(self) -> None:
        """Fetch, or wait for the fetch that is under way. Cancelling one caller does not cancel the others."""
        await asyncio.shield(self._start_fetch())

    async def aclose(self) -> None:
        """Cancel the fetch that is under way."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _start_fetch(self) -> "asyncio.Task[None]":
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._fetch())
        return self._task

    async def _fetch(self) -> None:
        await asyncio.sleep(max(0.0, self._last_fetch + self._min_interval - monotonic()))
        self._last_fetch = monotonic()
        try:
            keys = parse_jwks(await fetch(self._url, self._timeout), strict=False)
        except (OSError, ValueError) as error:
            self.failed = True
            consequence = "the keys of before stay" if self._keys else "no caller can be identified until then"
            _log.warning("IDENTITY_KEYS: %s: %s; %s", self._url, _describe(error), consequence)
            return
        self.failed = False
        if {kid: key.key.thumbprint() for kid, key in keys.items()} != {
            kid: key.key.thumbprint() for kid, key in self._keys.items()
        }:
            self._keys = keys
            self.version += 1


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:  # its message repeats what it took for a port, which may be the beginning of a password
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


def _file_version(stat: stat_result) -> tuple[int, int, int]:
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _describe(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
