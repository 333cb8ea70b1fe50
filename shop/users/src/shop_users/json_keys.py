"""API keys in the JSON file."""

from dataclasses import fields, replace
from pathlib import Path

from shop_users.api_keys import MAX_KEYS, ApiKey, Created, NewKey, TooMany, read, same, secret, written
from shop_users.json_file import Document, JsonFile, StoredKey
from shop_users.sessions import Clock, Gone, wall_clock


class JsonKeys:
    """``Keys`` in the file ``path``."""

    def __init__(self, path: Path, now: Clock = wall_clock) -> None:
        """Open nothing yet."""
        self._file = JsonFile(path)
        self._now = now

    async def create(self, new: NewKey) -> Created:
        """Leave out those of the owner that are over, and append."""
        random = secret()

        def change(document: Document) -> tuple[Document, Created]:
            if all(account.id != new.owner for account in document.users):
                raise Gone
            now = self._now()
            kept = [key for key in document.api_keys if key.owner != new.owner or key.active(now)]
            if sum(key.owner == new.owner for key in kept) >= MAX_KEYS:
                raise TooMany
            number = document.next_key_id
            text, digest = written(number, random)
            key = StoredKey(
                id=number,
                owner=new.owner,
                name=new.name,
                scopes=new.scopes,
                digest=digest,
                created_at=now,
                expires_at=new.end(now),
                last_used_at=None,
            )
            return replace(document, next_key_id=number + 1, api_keys=[*kept, key]), Created(_told(key), text)

        return await self._file.write(change)

    async def of(self, owner: int) -> list[ApiKey]:
        """Return them all."""
        return [_told(key) for key in (await self._file.read()).api_keys if key.owner == owner]

    async def revoke(self, owner: int, number: int) -> bool:
        """Leave the key out."""

        def change(document: Document) -> tuple[Document, bool]:
            kept = [key for key in document.api_keys if (key.id, key.owner) != (number, owner)]
            return replace(document, api_keys=kept), len(kept) < len(document.api_keys)

        return await self._file.write(change)

    async def introspect(self, text: str) -> ApiKey | None:
        """Look, compare, and now and then write."""
        number, digest = read(text)
        key = next((key for key in (await self._file.read()).api_keys if key.id == number), None)
        right = same(digest, None if key is None else key.digest)
        now = self._now()
        if key is None or not right or not key.active(now):
            return None
        if key.unseen(now):

            def change(document: Document) -> tuple[Document, None]:
                keys = [replace(k, last_used_at=now) if k.id == number else k for k in document.api_keys]
                return replace(document, api_keys=keys), None

            await self._file.write(change)
        return _told(key)


def _told(stored: StoredKey) -> ApiKey:
    return ApiKey(**{each.name: getattr(stored, each.name) for each in fields(ApiKey)})
