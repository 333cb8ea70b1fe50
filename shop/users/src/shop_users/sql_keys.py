"""API keys in a database of Tortoise's."""

from tortoise.transactions import in_transaction

from shop_users.api_keys import MAX_KEYS, ApiKey, Created, NewKey, TooMany, read, same, secret, written
from shop_users.models import ApiKeyRow
from shop_users.sessions import Clock, wall_clock
from shop_users.sql_store import lock


class SqlKeys:
    """``Keys`` in the database that Tortoise has open."""

    def __init__(self, now: Clock = wall_clock) -> None:
        """Need nothing but the time."""
        self._now = now

    async def create(self, new: NewKey) -> Created:
        """Lock the owner, make room, insert; the digest follows, since the id is part of the key."""
        async with in_transaction():
            await lock(new.owner)
            now = self._now()
            mine = ApiKeyRow.filter(owner_id=new.owner)
            await mine.filter(expires_at__lte=now).delete()
            if await mine.count() >= MAX_KEYS:
                raise TooMany
            row = await ApiKeyRow.create(
                owner_id=new.owner,
                name=new.name,
                scopes=" ".join(new.scopes),
                digest="",
                created_at=now,
                expires_at=new.end(now),
            )
            text, digest = written(row.id, secret())
            await ApiKeyRow.filter(id=row.id).update(digest=digest)
        return Created(_key(row), text)

    async def of(self, owner: int) -> list[ApiKey]:
        """Return them all."""
        return [_key(row) for row in await ApiKeyRow.filter(owner_id=owner).order_by("id")]

    async def revoke(self, owner: int, number: int) -> bool:
        """Delete the row."""
        return bool(await ApiKeyRow.filter(id=number, owner_id=owner).delete())

    async def introspect(self, text: str) -> ApiKey | None:
        """Look, compare, and now and then write."""
        number, digest = read(text)
        row = await ApiKeyRow.get_or_none(id=number)
        right = same(digest, None if row is None else row.digest)
        now = self._now()
        if row is None or not right or not _key(row).active(now):
            return None
        if _key(row).unseen(now):
            await ApiKeyRow.filter(id=row.id).update(last_used_at=now)
        return _key(row)


def _key(row: ApiKeyRow) -> ApiKey:
    return ApiKey(
        id=row.id,
        owner=row.owner_id,
        name=row.name,
        scopes=tuple(row.scopes.split()),
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
    )
