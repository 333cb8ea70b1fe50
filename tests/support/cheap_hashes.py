"""Password hashes at next to no cost: for tests, and processes that they start, which are not about what a hash costs."""

import re

from pwdlib.hashers.argon2 import Argon2Hasher
from pwdlib.hashers.bcrypt import BcryptHasher

from shop_users.passwords import NOBODY

HASHER = Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1, hash_len=32, salt_len=16)
"""A hundredth of a millisecond each, where those of the service take a fifth of a second."""

# The names in shop_users that say what a hash costs, and what is there instead.
INSTEAD = {
    "shop_users.passwords._HASHER.hashers": (HASHER, BcryptHasher()),
    "shop_users.passwords._HASHER.current_hasher": HASHER,
    # Of nobody, as before: only the cost that it says is another.
    "shop_users.passwords.NOBODY": re.sub(r"m=\d+,t=\d+,p=\d+", "m=8,t=1,p=1", NOBODY),
}
