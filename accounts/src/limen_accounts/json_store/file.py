"""The file itself: reads, the lock of writers, and the replacement of its content.

Writers of all processes take turns with a lock on a second file, and replace the whole file atomically: a change happens
completely or not at all, also in a crash. Reads need no lock.
"""

import fcntl
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from anyio import to_thread

from limen_accounts.json_store.document import Document
from limen_accounts.json_store.reading import parse, unparse

T = TypeVar("T")


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
        with path.open("rb") as file:
            modified_at = datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
            content = file.read()
    except FileNotFoundError:
        return Document()
    try:
        return parse(content, modified_at)
    except ValueError as error:
        raise ValueError(f"{path} is not a users file: {error}") from None


def _save(path: Path, document: Document) -> None:
    new_path = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(new_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(unparse(document))
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
