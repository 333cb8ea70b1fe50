"""API keys in the JSON file."""

from dataclasses import fields, replace
from pathlib import Path

from limen_accounts.api_keys import (
    MAX_KEYS,
    ApiKey,
    CreatedKey,
    NewKey,
    TooManyKeys,
    digests_equal,
    format_key,
    new_secret,
    parse_key,
)
from limen_accounts.json_file import Document, JsonFile, StoredKey
from limen_accounts.sessions import AccountMissing, Clock, wall_clock


class JsonApiKeyStore:
    """An ``ApiKeyStore`` in the file ``path``."""

    def __init__(self, path: Path, now: Clock = wall_clock) -> None:
        """Open nothing yet."""
        self._file = JsonFile(path)
        self._now = now

    async def create(self, new: NewKey) -> CreatedKey:
        """Remove the owner's expired keys, and append."""
        secret = new_secret()

        def change(document: Document) -> tuple[Document, CreatedKey]:
            if all(account.id != new.owner for account in document.users):
                raise AccountMissing
            now = self._now()
            remaining = [key for key in document.api_keys if key.owner != new.owner or key.active(now)]
            if sum(key.owner == new.owner for key in remaining) >= MAX_KEYS:
                raise TooManyKeys
            number = document.next_key_id
            text, digest = format_key(number, secret)
            key = StoredKey(
                id=number,
                owner=new.owner,
                name=new.name,
                scopes=new.scopes,
                digest=digest,
                created_at=now,
                expires_at=new.expiry(now),
                last_used_at=None,
            )
            return replace(document, next_key_id=number + 1, api_keys=[*remaining, key]), CreatedKey(
                _without_digest(key), text
            )

        return await self._file.write(change)

    async def list_for(self, owner: int) -> list[ApiKey]:
        """Filter by the owner."""
        return [_without_digest(key) for key in (await self._file.read()).api_keys if key.owner == owner]

    async def revoke(self, owner: int, number: int) -> bool:
        """Remove the key."""

        def change(document: Document) -> tuple[Document, bool]:
            remaining = [key for key in document.api_keys if (key.id, key.owner) != (number, owner)]
            return replace(document, api_keys=remaining), len(remaining) < len(document.api_keys)

        return await self._file.write(change)

    async def introspect(self, text: str) -> ApiKey | None:
        """Read, compare, and write ``last_used_at`` when it is outdated."""
        number, digest = parse_key(text)
        key = next((key for key in (await self._file.read()).api_keys if key.id == number), None)
        matches = digests_equal(digest, None if key is None else key.digest)
        now = self._now()
        if key is None or not matches or not key.active(now):
            return None
        if key.last_used_is_outdated(now):

            def change(document: Document) -> tuple[Document, None]:
                keys = [replace(k, last_used_at=now) if k.id == number else k for k in document.api_keys]
                return replace(document, api_keys=keys), None

            await self._file.write(change)
        return _without_digest(key)


def _without_digest(stored: StoredKey) -> ApiKey:
    return ApiKey(**{field.name: getattr(stored, field.name) for field in fields(ApiKey)})
