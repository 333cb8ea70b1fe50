"""Cheap password hashes, for tests (and the processes they start) that are not about the cost of hashing."""

import re
from pkgutil import resolve_name

from pwdlib.hashers.argon2 import Argon2Hasher
from pwdlib.hashers.bcrypt import BcryptHasher

from limen_accounts.passwords import DUMMY_HASH

HASHER = Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1, hash_len=32, salt_len=16)
"""Takes 0.01 ms for each hash; the library's own takes 0.2 s."""

REPLACEMENTS = {
    "limen_accounts.passwords._LIBRARY.hashers": (HASHER, BcryptHasher()),
    "limen_accounts.passwords._LIBRARY.current_hasher": HASHER,
    # Still the hash of no password: only the parameters change.
    "limen_accounts.passwords.DUMMY_HASH": re.sub(r"m=\d+,t=\d+,p=\d+", "m=8,t=1,p=1", DUMMY_HASH),
}
"""The names that determine the cost of a hash, and their replacements: for ``monkeypatch.setattr``."""


def hash_cheaply() -> None:
    """Make all hashes of this process cheap, for good. Never for a service that somebody uses."""
    for name, value in REPLACEMENTS.items():
        owner, _, attribute = name.rpartition(".")
        setattr(resolve_name(owner), attribute, value)
