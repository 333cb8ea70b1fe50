"""What users and a document must fulfil beyond the types of their members: the file is also edited by hand.

What is let through here would fail later, in the request of somebody who cannot mend it, or give one account to two people.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import datetime

from limen_accounts.accounts import Account, email_key, former_username_key
from limen_accounts.json_store.document import Document

_DIGEST = re.compile(r"[0-9a-f]{64}")

Place = tuple[int | str, ...]


class Misread(Exception):
    """``problem`` is wrong at ``place`` in the file."""

    def __init__(self, place: Place, problem: str) -> None:
        """Keep both."""
        super().__init__(problem)
        self.place = place
        self.problem = problem


def check_users(users: Sequence[Account], place: Place = ()) -> None:
    """Refuse two users with one id, username or email; raises Misread. ``place`` is where ``users`` are."""
    for name, keys in (
        ("id", [str(user.id) for user in users]),
        ("username", [former_username_key(user.username) for user in users]),
        ("email", [email_key(user.email) for user in users]),
    ):
        known: set[str] = set()
        for index, key in enumerate(keys):
            if key is None:
                continue
            if key in known:
                raise Misread(
                    (*place, index, name), f"another user has the same {name} (the case of letters does not count)"
                )
            known.add(key)


def check_document(document: Document) -> None:
    """Refuse ids that are no ids, are used twice or would be, times without a zone, and digests of another form."""
    check_users(document.users, ("users",))
    _check_ids("users", "next_id", document.next_id, [account.id for account in document.users])
    _check_ids("api_keys", "next_key_id", document.next_key_id, [key.id for key in document.api_keys])
    for place, time in _times(document):
        if time.tzinfo is None:
            raise Misread(place, "a time needs its zone, such as 2026-01-01T00:00:00Z")
    for name, rows in (("sessions", document.sessions), ("api_keys", document.api_keys)):
        for index, row in enumerate(rows):
            if not _DIGEST.fullmatch(row.digest):
                raise Misread((name, index, "digest"), "a digest has 64 hexadecimal digits")


def _check_ids(name: str, next_name: str, next_id: int, ids: Sequence[int]) -> None:
    if len(set(ids)) < len(ids) or min(ids, default=1) < 1:
        raise Misread((name,), "an id is 1 or more, and no two are the same")
    # It would give an account or key to whoever has an old token or key.
    if next_id <= max(ids, default=0):
        raise Misread((next_name,), "it has to be above every id in use")


def _times(document: Document) -> Iterator[tuple[Place, datetime]]:
    for name in ("users", "sessions", "api_keys", "events"):
        for index, row in enumerate(getattr(document, name)):
            for member in fields(row):
                if isinstance(time := getattr(row, member.name), datetime):
                    yield (name, index, member.name), time
