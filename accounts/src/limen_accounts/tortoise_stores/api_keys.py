"""API keys in a database, with Tortoise."""

from datetime import timedelta

from tortoise.expressions import Q
from tortoise.transactions import in_transaction

from limen_accounts.api_keys import (
    MAX_KEY_LIFETIME,
    MAX_KEYS,
    ApiKey,
    CreatedKey,
    NewKey,
    SessionMissing,
    TooManyKeys,
    digests_equal,
    format_key,
    new_secret,
    parse_key,
)
from limen_accounts.clock import Clock, wall_clock
from limen_accounts.tortoise_stores.accounts import lock_row
from limen_accounts.tortoise_stores.models import ApiKeyRow, SessionRow


class TortoiseApiKeyStore:
    """An ``ApiKeyStore`` in the database that Tortoise has opened."""

    def __init__(self, max_lifetime: timedelta = MAX_KEY_LIFETIME, now: Clock = wall_clock) -> None:
        """End keys after ``max_lifetime``; take the time from ``now``."""
        self._max_lifetime = max_lifetime
        self._now = now

    async def create_key(self, new: NewKey) -> CreatedKey:
        """Lock the owner, delete expired keys, insert; the digest follows in an update, since the key contains the id."""
        async with in_transaction():
            await lock_row(new.owner, locked_at=None)
            if new.session_id is not None and not await SessionRow.exists(id=new.session_id, account_id=new.owner):
                raise SessionMissing
            now = self._now()
            of_owner = ApiKeyRow.filter(owner_id=new.owner)
            await of_owner.filter(Q(expires_at__lte=now) | Q(created_at__lte=now - self._max_lifetime)).delete()
            if await of_owner.count() >= MAX_KEYS:
                raise TooManyKeys
            row = await ApiKeyRow.create(
                owner_id=new.owner,
                name=new.name,
                scopes=" ".join(new.scopes),
                digest="",
                created_at=now,
                expires_at=new.expiry(now),
            )
            text, digest = format_key(row.id, new_secret())
            await ApiKeyRow.filter(id=row.id).update(digest=digest)
        return CreatedKey(self._key(row), text)

    async def list_keys(self, owner: int) -> list[ApiKey]:
        """Filter by the owner."""
        return [self._key(row) for row in await ApiKeyRow.filter(owner_id=owner).order_by("id")]

    async def revoke_key(self, owner: int, number: int) -> bool:
        """Delete the row."""
        return bool(await ApiKeyRow.filter(id=number, owner_id=owner).delete())

    async def revoke_keys(self, owner: int) -> int:
        """Delete the rows."""
        active = sum(key.active(self._now()) for key in await self.list_keys(owner))
        await ApiKeyRow.filter(owner_id=owner).delete()
        return active

    async def introspect_key(self, text: str) -> ApiKey | None:
        """Read, compare, and write ``last_used_at`` when it is outdated."""
        number, digest = parse_key(text)
        row = await ApiKeyRow.get_or_none(id=number).select_related("owner")
        matches = digests_equal(digest, None if row is None else row.digest)
        now = self._now()
        if row is None or not matches or row.owner.locked_at is not None:
            return None
        key = self._key(row)
        if not key.active(now):
            return None
        if key.last_used_is_outdated(now):
            await ApiKeyRow.filter(id=row.id).update(last_used_at=now)
        return key

    def _key(self, row: ApiKeyRow) -> ApiKey:
        key = ApiKey(
            id=row.id,
            owner=row.owner_id,
            name=row.name,
            scopes=tuple(row.scopes.split()),
            created_at=row.created_at,
            expires_at=row.expires_at,
            last_used_at=row.last_used_at,
        )
        return key.limited(self._max_lifetime)
