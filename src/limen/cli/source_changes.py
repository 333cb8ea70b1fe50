"""Watching the sources for ``--reload``. Only this module imports watchfiles, and only ``--reload`` imports this module.

Folders are watched, never files: when a file or link is replaced by another, the replaced one gets no event.

These are changes: a Python file, an ``.env`` (settings are read from it), and a new folder, or link to one, with Python files
in it. These are not: hidden folders (``.git``, ``.venv``, ``.limen``), ``__pycache__``, ``node_modules``, the temporary files
of editors, and TOML (``limen up`` reads ``limen.toml`` at its start only).
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Collection, Sequence
from pathlib import Path

import click
from watchfiles import Change, awatch  # pyright: ignore[reportUnknownVariableType] - of trio's events, not used

# Seconds without a further change that end a burst of saves, which counts as one; and the longest burst.
QUIET = 0.1
LONGEST = 2.0

# Milliseconds between two polls of watchfiles, and until it yields an empty batch.
_STEP = 25
_TICK = 100

_NOT_SOURCES = frozenset(("__pycache__", "node_modules"))

Batch = Collection[tuple[Change, str]]


class SourceChanges:
    """The changes in some folders, from ``start`` on, one burst at a time."""

    def __init__(self, folders: Sequence[Path], batches: AsyncGenerator[Batch] | None = None) -> None:
        """Watch nothing yet. ``batches`` yields changes, and first an empty batch once it watches; None is watchfiles."""
        self.folders = [folder.resolve() for folder in folders]
        self._batches = self._watch() if batches is None else batches
        self._changed: dict[str, Path] = {}
        self._more = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return once no change is missed any more. Raises ClickException when the system cannot watch so much."""
        try:
            await anext(self._batches)
        except OSError as error:
            folders = ", ".join(map(str, self.folders))
            raise click.ClickException(
                f"--reload cannot watch {folders}: {error}; name smaller folders with --watch"
            ) from error
        self._reading = asyncio.get_running_loop().create_task(self._read())

    async def stop(self) -> None:
        """Stop watching."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait((self._reading,))
        await self._batches.aclose()

    async def next(self) -> dict[str, Path]:
        """Wait for a burst of changes and its end, and return it. Raises the error of the watcher."""
        loop = asyncio.get_running_loop()
        await self._more.wait()
        last = loop.time() + LONGEST
        while (left := last - loop.time()) > 0:
            self._more.clear()
            try:
                async with asyncio.timeout(min(QUIET, left)):
                    await self._more.wait()
            except TimeoutError:
                break
            if self._reading is not None and self._reading.done():
                break
        return self.take()

    def take(self) -> dict[str, Path]:
        """Return the changes that were not returned yet, by their names within the watched folder."""
        if self._reading is not None and self._reading.done():
            self._reading.result()
        changed, self._changed = self._changed, {}
        self._more.clear()
        return changed

    async def _watch(self) -> AsyncGenerator[Batch]:
        logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it would log every change that it sees
        watching = awatch(
            *self.folders, watch_filter=None, step=_STEP, debounce=_TICK, rust_timeout=_TICK, yield_on_timeout=True
        )
        async for batch in watching:
            yield batch

    async def _read(self) -> None:
        try:
            async for batch in self._batches:
                for change, path in batch:
                    if name := source_name(change, Path(path), self.folders):
                        self._changed[name] = Path(path)
                        self._more.set()
        finally:
            self._more.set()


def source_name(change: Change, path: Path, folders: Sequence[Path]) -> str:
    """Return the name of ``path`` within one of ``folders``; empty if the change is none of a source."""
    for folder in folders:
        if path.is_relative_to(folder):
            name = path.relative_to(folder)
            if not any(part.startswith(".") or part in _NOT_SOURCES for part in name.parts[:-1]):
                return name.as_posix() if _is_source(change, path) else ""
    return ""


def _is_source(change: Change, path: Path) -> bool:
    name = path.name
    if name == ".env":
        return True
    if name.endswith(".py"):
        return not name.startswith((".", "flycheck_"))  # lock files of Emacs, and copies that its flycheck makes
    # A folder that was moved here is one event, and so is a link that is replaced (Kubernetes calls it ..data).
    hidden = name.startswith(".") and not path.is_symlink()
    if change is Change.deleted or hidden or name in _NOT_SOURCES or not path.is_dir():
        return False
    return next(path.rglob("*.py"), None) is not None
