"""Password hashes: argon2id made, old bcrypt verified and upgraded, a few at a time, never on the event loop. Who has to
wait too long is told so at once, in every route that hashes: ``Busy`` is a problem of HTTP, not only of ours.
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

from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError
from pwdlib.hashers.argon2 import Argon2Hasher
from pwdlib.hashers.bcrypt import BcryptHasher

from limen_kit.problems import Problem

# Callers that may wait for a thread. Each holds a connection of the gateway's, of which it has 128 for this service: more
# would leave none for requests that need no password. The last one waits some 5 s on two cores.
WAITING = 50

# Seconds, spread out: whoever is turned away at once is not to come back at once.
_RETRY_AFTER = range(5, 16)

# The memory (in KiB) and passes of RFC 9106, section 4, second choice, but one lane instead of four: the same work for a
# guesser, and a hash runs on one core, so that the number of threads is the number of cores they take.
# All are written down, so that NOBODY costs the same.
_MEMORY, _PASSES, _LANES = 65536, 3, 1

# bcrypt reads no further, and its library refuses more.
_BCRYPT_MOST = 72

# Of 19: a thread that hashes gets a tenth of the time of one that serves (sched(7)), and all of it when nobody serves.
_NICE = 10

_log = logging.getLogger("shop_users.passwords")

T = TypeVar("T")


class Hasher(Protocol):
    """What does the work; ``PasswordHash`` of pwdlib, unless a test counts."""

    def hash(self, password: str, /) -> str:
        """Return a new hash."""
        ...

    def verify_and_update(self, password: str, hashed: str, /) -> tuple[bool, str | None]:
        """Tell whether ``password`` is right, and the better hash; raises UnknownHashError or ValueError."""
        ...


def _nobody() -> str:
    """Return a hash that no password is known for: verifying against it costs what any other does."""
    salt, digest = (b64encode(token_bytes(size)).decode().rstrip("=") for size in (16, 32))
    return f"$argon2id$v=19$m={_MEMORY},t={_PASSES},p={_LANES}${salt}${digest}"


NOBODY = _nobody()

_HASHER = PasswordHash((Argon2Hasher(_PASSES, _MEMORY, _LANES, 32, 16), BcryptHasher()))


class Busy(Problem):
    """Too many callers wait for a hash."""

    def __init__(self) -> None:
        """Say when to come back."""
        super().__init__(
            503,
            "busy",
            "Too many passwords are being checked; try again later.",
            {"retry-after": str(choice(_RETRY_AFTER))},
        )


class Passwords:
    """Hashes and verifies; one for each service, since it bounds how many threads do so, and how many callers wait.

    ``threads`` None is one fewer than this process has cores. Each takes 64 MiB, and about 0.2 s of a core for a hash.
    """

    def __init__(self, threads: int | None = None, waiting: int = WAITING, hasher: Hasher = _HASHER) -> None:
        """Start nothing: threads are made when they are needed."""
        count = threads or max(1, _cores() - 1)
        self._most = count + waiting
        self._callers = 0
        self._hasher = hasher
        # Threads of its own: those that everybody shares are not to become slow ones.
        self._threads = ThreadPoolExecutor(count, "hash", initializer=_step_back)

    def __repr__(self) -> str:
        """Show how busy it is."""
        return f"<Passwords callers={self._callers} of {self._most}>"

    @property
    def full(self) -> bool:
        """Whether there is no room now."""
        return self._callers >= self._most

    def check(self) -> None:
        """Raise Busy if there is no room now, so that nothing is looked up for nothing."""
        if self.full:
            raise Busy

    async def hashed(self, password: str) -> str:
        """Return a new argon2id hash; raises Busy."""
        return await self._run(lambda: self._hasher.hash(password))

    async def verified(self, password: str, hashed: str | None) -> tuple[bool, str | None]:
        """Tell whether ``password`` is right, and the better hash that should replace an old one; raises Busy.

        ``hashed`` None is nobody's: no password is right, which takes as long to find out as a wrong one.
        """
        return await self._run(lambda: self._verified(password, hashed))

    def _verified(self, password: str, hashed: str | None) -> tuple[bool, str | None]:
        """Verify once, whatever comes: what costs nothing would tell that there is something odd about an account.

        An old hash (bcrypt, or argon2 of another cost) takes its own time until a login replaces it.
        """
        if hashed is not None and not (hashed.startswith("$2") and len(password.encode()) > _BCRYPT_MOST):
            try:
                return self._hasher.verify_and_update(password, hashed)
            except (UnknownHashError, ValueError):
                # No password fits. The text of the error stays out of the log: it may repeat the hash.
                _log.warning("a stored hash is neither argon2 nor bcrypt; set that account's password anew")
        self._hasher.verify_and_update(password, NOBODY)
        return False, None

    async def _run(self, work: Callable[[], T]) -> T:
        self.check()
        self._callers += 1
        try:
            # With the context of the request, so that what is logged names it.
            return await asyncio.get_running_loop().run_in_executor(self._threads, copy_context().run, work)
        finally:
            self._callers -= 1


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _step_back() -> None:
    """Let whoever serves go first, and leave one core to them alone; only Linux has either for each thread.

    Not SCHED_IDLE, which goes further: a thread that is never given time may hold the lock of the interpreter (GIL), and the
    event loop then waits for it.
    """
    if sys.platform == "linux":
        thread = get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, _NICE)
        _, *rest = sorted(os.sched_getaffinity(thread))
        if rest:
            os.sched_setaffinity(thread, rest)
