"""Sources of keys for tokens: a file, a folder, a variable, a text. Reading one finds every problem that it can have.

``keyring.py`` decides when to read, and what happens to the keys in use. No message repeats a key.
"""

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self, cast

from limen.auth.jose.json_object import read_json_object
from limen.auth.jose.jwk import Jwk, key_from_jwk, key_from_pem

MOST_KEYS = 100
MOST_BYTES = 256 * 1024
SUFFIXES = (".json", ".jwk", ".jwks", ".pem")
# A group may read private keys: that is how a secret is mounted for a process that is not root. Others may do nothing.
_FORBIDDEN_PRIVATE = stat.S_IRWXO | stat.S_IWGRP | stat.S_IXGRP
# Whoever can write public keys can sign in as anybody.
_FORBIDDEN_PUBLIC = stat.S_IWOTH


@dataclass(frozen=True, slots=True)
class Keys:
    """A source of keys: a JWK Set or a single JWK (RFC 7517) as JSON, or one key as PEM.

    Every key has a ``kid`` (by default its RFC 7638 thumbprint) and an ``alg``; a PEM key has that of its curve, or of
    ``algorithms``. A key may say when it was made (``iat``) and, once retired, until when it verifies (``exp``), both in
    seconds since the epoch. The newest private key that is not retired signs.

    Files and folders are read again when they change; ``Keys.env`` and ``Keys.of`` are read once.
    """

    kind: Literal["file", "directory", "env", "text"]
    place: str
    text: str = field(default="", repr=False)

    @classmethod
    def file(cls, path: str | Path) -> Self:
        """Take the keys from a file."""
        return cls("file", str(path))

    @classmethod
    def directory(cls, path: str | Path) -> Self:
        """Take the keys from all .json, .jwk, .jwks and .pem files of a folder, such as one that ``limen keys`` keeps."""
        return cls("directory", str(path))

    @classmethod
    def env(cls, name: str) -> Self:
        """Take the keys from an environment variable."""
        return cls("env", name)

    @classmethod
    def of(cls, text: str) -> Self:
        """Take the keys from a text."""
        return cls("text", "a text", text)

    @property
    def changes(self) -> bool:
        """Whether the source may change."""
        return self.kind in ("file", "directory")

    def stamp(self) -> tuple[int, int, int] | None:
        """Return a value that differs once the file is replaced; None if there is no file. It takes one system call."""
        try:
            status = os.stat(self.place)  # follows links: a mounted secret is renewed by changing one
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

    def load(self, algorithms: Sequence[str] = (), known: Mapping[str, Jwk] | None = None) -> tuple[Jwk, ...]:
        """Return the keys, at least one; ``algorithms`` are those accepted, if not all.

        ``known`` are the keys read before, by their text: an unchanged key stays the same object. Raises ValueError that
        says what is wrong, where, and how to mend it.
        """
        by_kid: dict[str, tuple[Jwk, str]] = {}
        for text, where, mode in self._sources():
            keys = _parse_keys(text, where, algorithms, known or {})
            _check_mode(keys, where, mode)
            for key in keys:
                if key.kid in by_kid:
                    before = by_kid[key.kid][1]
                    places = where if before == where else f"{before} and {where}"
                    raise ValueError(f"{places}: two keys have the kid {key.kid!r}; give each its own, or remove one")
                by_kid[key.kid] = (key, where)
        if not by_kid:
            raise ValueError(
                f"{self.place}: there is no key in it; make one: limen keys new --directory {self._folder()}"
            )
        if len(by_kid) > MOST_KEYS:
            raise ValueError(
                f"{self.place}: {len(by_kid)} keys are more than {MOST_KEYS}; remove those that have ended"
            )
        return tuple(key for key, _ in by_kid.values())

    def _folder(self) -> str:
        return self.place if self.kind == "directory" else "keys"

    def _sources(self) -> list[tuple[bytes, str, int | None]]:
        if self.kind == "text":
            return [(self.text.encode(), "Keys.of", None)]
        if self.kind == "env":
            text = os.environ.get(self.place, "").strip()
            if not text:
                raise ValueError(
                    f"the environment variable {self.place} is not set; it holds a JWK Set, or a key as PEM"
                )
            return [(text.encode(), f"the environment variable {self.place}", None)]
        path = Path(self.place)
        try:
            if self.kind == "file":
                return [_read_file(path)]
            names = sorted(entry.name for entry in path.iterdir())
            if os.name == "posix" and path.stat().st_mode & _FORBIDDEN_PUBLIC:
                raise ValueError(f"{path}: others may put keys into this folder; keep them out: chmod 700 {path}")
            # A name with a dot in front is a lock, a file half written, or the inside of a mounted secret.
            return [_read_file(path / name) for name in names if name.endswith(SUFFIXES) and name[0] != "."]
        except OSError as error:
            hint = f"; make a key: limen keys new --directory {self._folder()}"
            missing = isinstance(error, FileNotFoundError)
            raise ValueError(f"{path}: keys cannot be read: {error.strerror}{hint if missing else ''}") from None


def _read_file(path: Path) -> tuple[bytes, str, int | None]:
    with path.open("rb") as file:
        text = file.read(MOST_BYTES + 1)
        mode = os.fstat(file.fileno()).st_mode
    if len(text) > MOST_BYTES:
        raise ValueError(f"{path}: more than {MOST_BYTES} bytes; is this a file of keys?")
    return text, str(path), mode


def _check_mode(keys: Sequence[Jwk], where: str, mode: int | None) -> None:
    """Raise ValueError if others than the owner's group may read a private key, or replace a public one."""
    if mode is None or os.name != "posix":  # only POSIX has these bits
        return
    if any(key.private for key in keys):
        if mode & _FORBIDDEN_PRIVATE:
            raise ValueError(
                f"{where}: others may read this private key, or change it; keep them out: chmod 600 {where}"
            )
    elif mode & _FORBIDDEN_PUBLIC:
        raise ValueError(f"{where}: others may change these keys; keep them out: chmod 644 {where}")


def _parse_keys(text: bytes, where: str, algorithms: Sequence[str], known: Mapping[str, Jwk]) -> list[Jwk]:
    if text.lstrip().startswith(b"-----BEGIN"):
        key = key_from_pem(text.strip(), where, algorithms)
        return [known.get(key.text, key)]
    document = read_json_object(text)
    if document is None:
        raise ValueError(f"{where}: neither a JSON object of keys (RFC 7517) nor a key as PEM")
    members = document.get("keys", [document])
    if not isinstance(members, list):
        raise ValueError(f'{where}: "keys" is not a list of JWKs')  # noqa: TRY004  # it is a value of a file
    keys: list[Jwk] = []
    for member in cast("list[object]", members):
        if not isinstance(member, dict):
            raise ValueError(f'{where}: "keys" holds something that is no JWK')  # noqa: TRY004  # as above
        keys.append(key_from_jwk(cast("dict[str, object]", member), where, algorithms, known))
    return keys
