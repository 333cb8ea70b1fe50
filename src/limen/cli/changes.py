"""What ``--reload`` watches, and what counts as a change. watchfiles is imported here alone, and this for ``--reload`` alone.

Folders are watched, never files: a link or a file that is moved into another's place is no event of the one that it replaces.

A change is one of a Python file or of an ``.env``, which settings are read from; and a folder, or a link to one, that
appears with Python files in it. Hidden folders (``.git``, ``.venv``, ``.limen``), ``__pycache__``, ``node_modules`` and the
files that editors write beside the one they save are none. Nor is TOML: ``limen.toml`` is read by ``limen up`` at its
start alone.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Collection, Sequence
from pathlib import Path

import click
from watchfiles import Change, awatch  # pyright: ignore[reportUnknownVariableType] - of trio's events, not used

# Seconds without a further change after which one is told, so that a burst of saves is one; and how long a burst may be.
QUIET = 0.1
LONGEST = 2.0

# Milliseconds between two looks at what the system has told, and until it is said that nothing was.
_STEP = 25
_TICK = 100

_NOT_SOURCES = frozenset(("__pycache__", "node_modules"))

Batch = Collection[tuple[Change, str]]


class Changes:
    """The changes in some folders, from ``start`` on, one burst at a time."""

    def __init__(self, folders: Sequence[Path], batches: AsyncGenerator[Batch] | None = None) -> None:
        """Watch nothing yet. ``batches`` is what tells of changes, the first time that it watches: watchfiles if None."""
        self.folders = [folder.resolve() for folder in folders]
        self._batches = self._watch() if batches is None else batches
        self._changed: dict[str, Path] = {}
        self._more = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return when nothing is missed from now on. Raises ClickException when the system cannot watch so much."""
        try:
            await anext(self._batches)
        except OSError as error:
            folders = ", ".join(map(str, self.folders))
            raise click.ClickException(
                f"--reload cannot watch {folders}: {error}; name smaller folders with --watch"
            ) from error
        self._reading = asyncio.get_running_loop().create_task(self._read())

    async def stop(self) -> None:
        """Watch no longer."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait((self._reading,))
        await self._batches.aclose()

    async def next(self) -> dict[str, Path]:
        """Wait for a burst of changes, and for its end. Raises what the watcher failed with."""
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
        return self.taken()

    def taken(self) -> dict[str, Path]:
        """Return what has changed and was not told yet, by its name within the folder that is watched."""
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
                    if name := source(change, Path(path), self.folders):
                        self._changed[name] = Path(path)
                        self._more.set()
        finally:
            self._more.set()


def source(change: Change, path: Path, folders: Sequence[Path]) -> str:
    """Return the name of ``path`` within the one of ``folders`` that it is a source in; empty if it is none."""
    for folder in folders:
        if path.is_relative_to(folder):
            name = path.relative_to(folder)
            if not any(part.startswith(".") or part in _NOT_SOURCES for part in name.parts[:-1]):
                return name.as_posix() if _counts(change, path) else ""
    return ""


def _counts(change: Change, path: Path) -> bool:
    name = path.name
    if name == ".env":
        return True
    if name.endswith(".py"):
        return not name.startswith((".", "flycheck_"))  # locks of Emacs, and what it has checked while one types
    # A folder that was moved here is one event, as is a link that is made to lead elsewhere (Kubernetes calls it ..data).
    hidden = name.startswith(".") and not path.is_symlink()
    if change is Change.deleted or hidden or name in _NOT_SOURCES or not path.is_dir():
        return False
    return next(path.rglob("*.py"), None) is not None
