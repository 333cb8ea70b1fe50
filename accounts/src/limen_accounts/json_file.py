"""One JSON file with all accounts, sessions and API keys, for a shop without a database.

Writers of all processes take turns with a lock on a second file, and replace the whole file atomically: a change happens
completely or not at all, also in a crash. Reads need no lock.
"""

import fcntl
import json
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from anyio import to_thread
from pydantic import TypeAdapter, ValidationError

from limen_accounts.accounts import Account
from limen_accounts.api_keys import ApiKey
from limen_accounts.sessions import Session

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSession(Session):
    """A session with the digests of its current refresh token and, while it may be used once more, of the previous one."""

    digest: str = field(repr=False)
    digest_before: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKey(ApiKey):
    """A key with its digest."""

    digest: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Document:
    """The content of the file. Ids are never reused: an old token or key must not match a new account."""

    next_id: int = 1
    users: list[Account] = field(default_factory=list[Account])
    sessions: list[StoredSession] = field(default_factory=list[StoredSession])
    next_key_id: int = 1
    api_keys: list[StoredKey] = field(default_factory=list[StoredKey])


_DOCUMENT: TypeAdapter[Document] = TypeAdapter(Document)


class JsonFile:
    """The file ``path``, which the first write creates."""

    def __init__(self, path: Path) -> None:
        """Open nothing yet."""
        self.path = path

    async def read(self) -> Document:
        """Return the current content."""
        return await to_thread.run_sync(_load, self.path)

    async def write(self, change: Callable[[Document], tuple[Document, T]]) -> T:
        """Replace the content with the first result of ``change``, under the lock; return the second."""

        def work() -> T:
            with _locked(self.path):
                before = _load(self.path)
                after, result = change(before)
                if after != before:
                    _save(self.path, after)
                return result

        return await to_thread.run_sync(work)


def _load(path: Path) -> Document:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return Document()
    try:
        document = _DOCUMENT.validate_json(content)
    except ValidationError as error:
        # The file holds hashes: the message says where the error is, never the content.
        first = error.errors(include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"{path} is not a users file: {place or 'the whole'}: {first['msg']}") from None
    if document.next_id <= max((a.id for a in document.users), default=0):
        raise ValueError(f"{path} is not a users file: next_id: it has to be above every id in use")
    if document.next_key_id <= max((key.id for key in document.api_keys), default=0):
        raise ValueError(f"{path} is not a users file: next_key_id: it has to be above every id in use")
    return document


def _save(path: Path, document: Document) -> None:
    text = json.dumps(_DOCUMENT.dump_python(document, mode="json"), indent=4, ensure_ascii=False)
    new_path = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(new_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    new_path.replace(path)
    # The new name is durable only once the folder is synced.
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def _locked(path: Path) -> Generator[None]:
    # A file of its own: the data file is replaced, and a lock on it would stay with the old inode.
    with path.with_name(f".{path.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
