"""For tests of services with accounts: cheap hashes, a clock, and short functions for sessions.

The fixtures are in ``limen_accounts.testing.fixtures``, a whole service in ``limen_accounts.testing.service``.
"""

from limen_accounts.testing.hashes import HASHER, REPLACEMENTS, hash_cheaply
from limen_accounts.testing.sessions import (
    UNKNOWN_TOKEN,
    FakeClock,
    OpenSessions,
    begin,
    ids,
    parse,
    refresh,
    refreshed,
)

__all__ = [
    "HASHER",
    "REPLACEMENTS",
    "UNKNOWN_TOKEN",
    "FakeClock",
    "OpenSessions",
    "begin",
    "hash_cheaply",
    "ids",
    "parse",
    "refresh",
    "refreshed",
]
