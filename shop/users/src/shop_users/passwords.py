"""Password hashes: argon2id made, old bcrypt verified and upgraded, a few at a time, never on the event loop."""

import logging

from anyio import CapacityLimiter, to_thread
from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError
from pwdlib.hashers.argon2 import Argon2Hasher
from pwdlib.hashers.bcrypt import BcryptHasher

# Each argon2 takes 64 MiB and a core for about 0.1 s: more at once would starve everything else.
_AT_ONCE = 4

# bcrypt reads no further, and its library refuses more.
_BCRYPT_MOST = 72

_hasher = PasswordHash((Argon2Hasher(), BcryptHasher()))

_log = logging.getLogger("shop_users.passwords")


class Passwords:
    """Hashes and verifies; one for each service, since it bounds how many threads do so."""

    def __init__(self) -> None:
        """Must be made before the first call, anywhere."""
        self._limiter: CapacityLimiter | None = None

    async def hashed(self, password: str) -> str:
        """Return a new argon2id hash."""
        return await to_thread.run_sync(_hasher.hash, password, limiter=self._bound())

    async def verified(self, password: str, hashed: str) -> tuple[bool, str | None]:
        """Tell whether ``password`` is right, and the better hash that should replace an old one."""
        if hashed.startswith("$2") and len(password.encode()) > _BCRYPT_MOST:
            return False, None
        try:
            return await to_thread.run_sync(_hasher.verify_and_update, password, hashed, limiter=self._bound())
        except (UnknownHashError, ValueError):
            # No password fits. The text of the error stays out of the log: it may repeat the hash.
            _log.warning("a stored hash is neither argon2 nor bcrypt; set that account's password anew")
            return False, None

    def _bound(self) -> CapacityLimiter:
        # Made within the event loop that it belongs to.
        if self._limiter is None:
            self._limiter = CapacityLimiter(_AT_ONCE)
        return self._limiter
