"""``limen keys``: make, replace and show the keys in a folder. The folder is the whole state.

Several commands may run at once: a lock keeps them apart, and a gateway that reads meanwhile sees complete files only. No key
is ever printed, except the public halves of ``list --public``.
"""

import contextlib
import json
import os
import secrets
import sys
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from limen.auth.jose.jwk import Jwk
from limen.auth.jose.keyring import Keyring
from limen.auth.jose.keys import SUFFIXES, Keys

ALGORITHMS = ("ES256", "ES384", "EdDSA", "RS256", "HS256")

State = Literal["signs", "verifies", "ended"]

_SUFFIX = ".jwk.json"
# Seconds for which an ended key is kept, so that logs of the day before can be matched with it.
_KEEP = 86400


@dataclass(frozen=True)
class StoredKey:
    """A key and its file; ``alone`` tells whether ``limen keys`` wrote that file, with this key only."""

    key: Jwk
    path: Path
    alone: bool


def new(directory: Path, algorithm: str, *, if_none: bool = False, now: float | None = None) -> None:
    """Make the first key of ``directory``; ``now`` is in seconds since the epoch.

    If there are keys already, this does nothing with ``if_none``, else it raises ClickException.
    """
    with _locked(directory):
        if _stored_keys(directory):
            if if_none:
                return
            raise click.ClickException(
                f"{directory} has keys; to replace the one that signs: limen keys rotate --directory {directory}"
            )
        key = _make(directory, algorithm, time.time() if now is None else now)
    click.echo(f"{key.kid} ({algorithm}) signs from now on: {directory / (key.kid + _SUFFIX)}")


def rotate(directory: Path, algorithm: str | None, overlap: float, *, now: float | None = None) -> None:
    """Make the key that signs from now on; the keys before it verify for at most ``overlap`` seconds more."""
    when = time.time() if now is None else now
    with _locked(directory):
        stored = _stored_keys(directory)
        if not stored:
            raise click.ClickException(
                f"{directory} has no keys to replace; make the first: limen keys new --directory {directory}"
            )
        active = [one for one in stored if one.key.private and one.key.retires is None]
        end = int(when + overlap)
        # Keys that retired before as well, if they would end later: their tokens end earlier, and an overlap of 0 is for all.
        retiring = [one for one in stored if one.key.private and (one.key.retires is None or one.key.retires > end)]
        for one in retiring:
            if not one.alone:
                raise click.ClickException(
                    f'{one.path} was not written by limen keys: add "exp" to its key {one.key.kid}, or move it away'
                )
        before = max(active or stored, key=lambda one: one.key.created).key.algorithm
        # The new key comes first, so that the folder always has a key that signs.
        key = _make(directory, algorithm or before, when)
        for one in retiring:
            _write(one.path, json.loads(one.key.text) | {"exp": end})
        ended = [one for one in stored if one.alone and one.key.ended(when - _KEEP)]
        for one in ended:
            one.path.unlink()
    click.echo(f"{key.kid} ({key.algorithm}) signs from now on")
    for one in retiring:
        click.echo(f"{one.key.kid} ({one.key.algorithm}) verifies until {_utc(end)}")
    for one in ended:
        click.echo(f"{one.key.kid} ({one.key.algorithm}) had ended, and was removed")


def show(directory: Path, *, as_json: bool, public: bool, now: float | None = None) -> None:
    """Print a list of the keys, or the JWK Set to publish; never a private key."""
    when = time.time() if now is None else now
    stored = sorted(_stored_keys(directory), key=lambda one: (-one.key.created, one.key.kid))
    if public:
        click.echo(json.dumps(Keyring([one.key for one in stored]).public(when), indent=2))
        return
    active = [one.key for one in stored if one.key.private and one.key.retires is None]
    signing = max(active, key=lambda key: (key.created, key.kid), default=None)
    rows: list[tuple[Jwk, State]] = [(one.key, _state(one.key, signing, when)) for one in stored]
    if as_json:
        click.echo(json.dumps([_row(key, state) for key, state in rows], indent=2))
        return
    if not rows:
        click.echo(f"{directory} has no keys; make the first: limen keys new --directory {directory}", err=True)
    lines = [("KID", "ALGORITHM", "CREATED", "STATE")]
    for key, state in rows:
        until = "" if key.retires is None else f"{' until' if state == 'verifies' else ''} {_utc(key.retires)}"
        lines.append((key.kid, key.algorithm, _utc(key.created) if key.created else "-", state + until))
    widths = [max(len(line[column]) for line in lines) for column in range(4)]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _state(key: Jwk, signing: Jwk | None, now: float) -> State:
    if key is signing:
        return "signs"
    return "ended" if key.ended(now) else "verifies"


def _row(key: Jwk, state: State) -> dict[str, object]:
    return {
        "kid": key.kid,
        "algorithm": key.algorithm,
        "created": key.created or None,
        "retires": key.retires,
        "state": state,
    }


def _utc(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))


def _stored_keys(directory: Path) -> list[StoredKey]:
    """Return all keys of ``directory``; none if there is no folder, or no key in it."""
    try:
        names = sorted(entry.name for entry in directory.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise click.ClickException(f"{directory}: {error.strerror}") from None
    paths = [directory / name for name in names if name.endswith(SUFFIXES) and name[0] != "."]
    if not paths:
        return []
    try:
        Keys.directory(directory).load()  # checks all of them together
        keys_by_file = [(path, Keys.file(path).load()) for path in paths]
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    return [StoredKey(key, path, path.name == key.kid + _SUFFIX) for path, keys in keys_by_file for key in keys]


def _make(directory: Path, algorithm: str, now: float) -> Jwk:
    if algorithm not in ALGORITHMS:
        raise click.ClickException(f"keys for {algorithm} are not made here; name one with --algorithm")
    if algorithm == "HS256":
        key: OctKey | ECKey | OKPKey | RSAKey = OctKey.generate_key(256)
    elif algorithm == "RS256":
        key = RSAKey.generate_key(3072)  # NIST SP 800-57 requires it of keys that are used after 2030
    elif algorithm == "EdDSA":
        key = OKPKey.generate_key("Ed25519")
    else:
        key = ECKey.generate_key({"ES256": "P-256", "ES384": "P-384"}[algorithm])
    # The date is for people, the random part for uniqueness.
    kid = f"{time.strftime('%Y%m%d', time.gmtime(now))}-{secrets.token_hex(6)}"
    member = key.as_dict(private=True) | {"kid": kid, "alg": algorithm, "use": "sig", "iat": int(now)}
    _write(directory / (kid + _SUFFIX), member)
    return Jwk(kid, algorithm, key, "", int(now))


def _write(path: Path, member: Mapping[str, object]) -> None:
    """Write a file atomically, with mode 0600."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(json.dumps(member, indent=2) + "\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if sys.platform != "win32":  # Windows cannot open folders
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextlib.contextmanager
def _locked(directory: Path) -> Generator[None]:
    """Make the folder, with mode 0700, and hold its lock; other commands wait."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(directory / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise click.ClickException(f"{directory}: {error.strerror}") from None
    try:
        if sys.platform == "win32":
            raise click.ClickException("limen keys new and rotate need a POSIX system: there is no lock for this one")
        import fcntl

        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    except OSError as error:
        raise click.ClickException(f"{directory}: {error.strerror}") from None
    finally:
        os.close(lock)
