"""Password hashing: new hashes are argon2id of a normal form; old ones, bcrypt's too, are verified and upgraded. A few run
at a time, never on the event loop. When too many wait, ``HashingBusy`` answers at once; it is a Problem, so every route that
hashes answers the same.
"""

import asyncio
import logging
import os
import sys
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from secrets import choice, token_bytes
from threading import get_native_id
from typing import Protocol, TypeVar
from unicodedata import category, normalize

from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError
from pwdlib.hashers.argon2 import Argon2Hasher
from pwdlib.hashers.bcrypt import BcryptHasher

from limen_kit.problems import Problem

# Callers that may wait for a thread. Each holds one of the gateway's 128 connections to this service: more would leave none
# for requests that need no password. The last one waits some 5 s on two cores.
MAX_WAITING = 50

# Seconds, chosen at random: clients that were refused at once must not all come back at once.
_RETRY_AFTER = range(5, 16)

# The memory (in KiB) and passes of RFC 9106, section 4, second choice, but one lane instead of four: the same work for an
# attacker, and each thread uses exactly one core. All are explicit, so that DUMMY_HASH costs the same.
_MEMORY_KIB, _PASSES, _LANES = 65536, 3, 1

# bcrypt ignores further bytes, and its library refuses them.
_BCRYPT_MAX_BYTES = 72

# Of 19: a hashing thread gets a tenth of the time of a serving one (sched(7)), and all of it when no thread serves.
_NICENESS = 10

_log = logging.getLogger("limen_accounts.passwords")

T = TypeVar("T")


def normalized(password: str) -> str:
    """Return the form in which passwords are hashed: that of OpaqueString (RFC 8265, section 4.2).

    Keyboards and systems write one character in several ways: with a combining mark or as a whole, or another blank. Case and
    width stay as they are: they are part of the password.
    """
    blanks = "".join(" " if category(character) == "Zs" else character for character in password)
    return normalize("NFC", blanks)


class HashingLibrary(Protocol):
    """The part of pwdlib's ``PasswordHash`` that is used here; tests replace it."""

    def hash(self, password: str, /) -> str:
        """Return a new hash."""
        ...

    def verify_and_update(self, password: str, hashed: str, /) -> tuple[bool, str | None]:
        """Return whether ``password`` is right, and the upgraded hash; raises UnknownHashError or ValueError."""
        ...


def _dummy_hash() -> str:
    """Return a hash of no known password: verifying against it costs as much as against a real one."""
    salt, digest = (b64encode(token_bytes(size)).decode().rstrip("=") for size in (16, 32))
    return f"$argon2id$v=19$m={_MEMORY_KIB},t={_PASSES},p={_LANES}${salt}${digest}"


DUMMY_HASH = _dummy_hash()

_LIBRARY = PasswordHash((Argon2Hasher(_PASSES, _MEMORY_KIB, _LANES, 32, 16), BcryptHasher()))


class HashingBusy(Problem):
    """Too many callers wait for a hash."""

    def __init__(self) -> None:
        """Say when to come back."""
        super().__init__(
            503,
            "busy",
            "Too many passwords are being checked; try again later.",
            {"retry-after": str(choice(_RETRY_AFTER))},
        )


class PasswordHasher:
    """Hashes and verifies passwords; bounds how many threads hash and how many callers wait. One for each process.

    ``threads`` None is one fewer than this process has cores. A hash takes 64 MiB, and about 0.2 s of a core.
    """

    def __init__(
        self, threads: int | None = None, max_waiting: int = MAX_WAITING, library: HashingLibrary = _LIBRARY
    ) -> None:
        """Start nothing: threads are made when they are needed."""
        count = threads or max(1, _cores() - 1)
        self._max_callers = count + max_waiting
        self._callers = 0
        self._library = library
        # A pool of its own: the shared threads must keep their priority.
        self._threads = ThreadPoolExecutor(count, "hash", initializer=_lower_priority)

    def __repr__(self) -> str:
        """Show how busy it is."""
        return f"<PasswordHasher callers={self._callers} of {self._max_callers}>"

    @property
    def full(self) -> bool:
        """Whether the next call would raise HashingBusy."""
        return self._callers >= self._max_callers

    def check_capacity(self) -> None:
        """Raise HashingBusy if there is no room now, so that callers can fail before they look anything up."""
        if self.full:
            raise HashingBusy

    async def hash(self, password: str) -> str:
        """Return a new argon2id hash of the normal form; raises HashingBusy."""
        return await self._run(lambda: self._library.hash(normalized(password)))

    async def verify(self, password: str, hashed: str | None) -> tuple[bool, str | None]:
        """Return whether ``password`` is right, and the hash that should replace an old one; raises HashingBusy.

        ``hashed`` None is for an unknown account: no password is right, and the check takes as long as for a wrong one.
        """
        return await self._run(lambda: self._verify_normalized(password, hashed))

    def _verify_normalized(self, password: str, hashed: str | None) -> tuple[bool, str | None]:
        """Verify the normal form, and then what was sent: earlier hashes are of that, and are replaced.

        What takes a second hash is the text that was sent, never the account.
        """
        normal = normalized(password)
        found = self._verify(normal, hashed)
        if found[0] or normal == password:
            return found
        matches, _ = self._verify(password, hashed)
        return matches, self._library.hash(normal) if matches else None

    def _verify(self, password: str, hashed: str | None) -> tuple[bool, str | None]:
        """Verify exactly once in every case: a faster answer would reveal something about the account.

        An old hash (bcrypt, or argon2 with other parameters) takes its own time until a login replaces it.
        """
        if hashed is not None and not (hashed.startswith("$2") and len(password.encode()) > _BCRYPT_MAX_BYTES):
            try:
                return self._library.verify_and_update(password, hashed)
            except (UnknownHashError, ValueError):
                # No password matches. The error's text is not logged: it may repeat the hash.
                _log.warning("a stored hash is neither argon2 nor bcrypt; set that account's password anew")
        self._library.verify_and_update(password, DUMMY_HASH)
        return False, None

    async def _run(self, work: Callable[[], T]) -> T:
        self.check_capacity()
        self._callers += 1
        try:
            # In the request's context, so that log lines carry its id.
            return await asyncio.get_running_loop().run_in_executor(self._threads, copy_context().run, work)
        finally:
            self._callers -= 1


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _lower_priority() -> None:
    """Give serving threads priority, and one core of their own; only Linux can do either per thread.

    Not SCHED_IDLE: a thread that never runs may hold the interpreter lock (GIL), and the event loop would wait for it.
    """
    if sys.platform == "linux":
        thread = get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, _NICENESS)
        _, *rest = sorted(os.sched_getaffinity(thread))
        if rest:
            os.sched_setaffinity(thread, rest)
