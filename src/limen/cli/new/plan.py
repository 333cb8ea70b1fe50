"""What ``limen new`` is going to write, in memory: nothing reaches the disk before all of it is known to fit.

A file that is there is changed only by an edit that found its place, and never written over by a new one. If the disk
refuses something, ``write`` takes back what it has written.
"""

import contextlib
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import click


class CannotEdit(Exception):
    """A file has no place for what must be in it. ``lines`` are what to add by hand."""

    def __init__(self, reason: str, lines: str) -> None:
        """``reason`` completes "FILE cannot be changed: "."""
        super().__init__(reason)
        self.reason = reason
        self.lines = lines


@dataclass(frozen=True, slots=True)
class Change:
    """A file that changes: its text as it was, as it is going to be, and ``why`` in a few words."""

    before: str
    after: str
    why: str


class Plan:
    """Files below ``root`` that are going to be created and changed; paths are relative to it."""

    def __init__(self, root: Path, skipped: Collection[PurePosixPath] = ()) -> None:
        """Plan nothing yet. Files in ``skipped`` are left to somebody who has changed them by hand."""
        self.root = root
        self.skipped = frozenset(skipped)
        self._to_skip = set(skipped)
        self.created: dict[PurePosixPath, str] = {}
        self.changed: dict[PurePosixPath, Change] = {}
        self._refused: list[str] = []

    def __repr__(self) -> str:
        """Show how much it is."""
        return f"<Plan {len(self.created)} new, {len(self.changed)} changed, {len(self._refused)} refused>"

    def exists(self, path: PurePosixPath) -> bool:
        """Return whether there is something at ``path``, or will be."""
        return path in self.created or os.path.lexists(self.root / path)

    def text(self, path: PurePosixPath) -> str:
        """Return what ``path`` is going to hold. Raises ClickException if it cannot be read."""
        if path in self.created:
            return self.created[path]
        if path in self.changed:
            return self.changed[path].after
        return self._read(path)

    def create(self, files: Mapping[PurePosixPath, str], below: PurePosixPath) -> None:
        """Plan new ``files`` in the folder ``below``; one that is there already is a refusal."""
        for name, text in files.items():
            path = below / name
            if self.exists(path):
                self._refused.append(f"{path} is there already; move it away, or choose another name")
            else:
                self.created[path] = text

    def edit(self, path: PurePosixPath, why: str, change: Callable[[str], str]) -> None:
        """Plan a change of a file; where it has no place for it, that is a refusal."""
        if path in self.skipped:
            self._to_skip.discard(path)
            return
        try:
            before = self.text(path)
            after = change(before)
        except CannotEdit as error:
            self._refused.append(
                f"{path} cannot be changed: {error.reason}. Add this by hand, and leave the file out: --skip {path}\n\n"
                f"{_indented(error.lines)}"
            )
            return
        except click.ClickException as error:
            self._refused.append(error.message)
            return
        if path in self.created:
            self.created[path] = after
        elif after != before:
            old = self.changed.get(path)
            whys = why if old is None else f"{old.why}, {why}"
            self.changed[path] = Change(before if old is None else old.before, after, whys)

    def edit_if_there(self, path: PurePosixPath, why: str, change: Callable[[str], str]) -> None:
        """Plan a change of a file that a project may do without."""
        if self.exists(path):
            self.edit(path, why, change)

    def refuse(self, reason: str) -> None:
        """Note why nothing can be written."""
        self._refused.append(reason)

    def check(self) -> None:
        """Raise ClickException with everything that was refused."""
        self._refused += [
            f"--skip {path}: this file would not be changed; leave it out" for path in sorted(self._to_skip)
        ]
        self._to_skip.clear()
        if self._refused:
            refused = "\n".join(self._refused)
            raise click.ClickException(f"nothing was written.\n{refused}")

    def write(self) -> None:
        """Write everything, or nothing: raises ClickException where the disk refuses, after taking back what was written."""
        for path, change in self.changed.items():
            if self._read(path) != change.before:
                raise click.ClickException(f"nothing was written. {path} has changed meanwhile; run the command again")
        with contextlib.ExitStack() as undo:
            try:
                for path, text in self.created.items():
                    self._create(self.root / path, text, undo)
                for path, change in self.changed.items():
                    _replace(self.root / path, change.after)
                    undo.callback(_replace, self.root / path, change.before)
            except OSError as error:
                raise click.ClickException(
                    f"{error.filename or self.root} cannot be written: {error.strerror or error}; "
                    "what was written before it is taken back"
                ) from error
            undo.pop_all()

    def _read(self, path: PurePosixPath) -> str:
        try:
            text = (self.root / path).read_bytes().decode()
        except (OSError, UnicodeDecodeError) as error:
            raise click.ClickException(f"{path} cannot be read: {error}") from error
        if "\r" in text:  # it would be written with other line ends than it has
            raise click.ClickException(
                f"{path} has line ends other than a line feed; convert it first, as with dos2unix"
            )
        return text

    def _create(self, path: Path, text: str, undo: contextlib.ExitStack) -> None:
        for folder in reversed([folder for folder in path.parents if not folder.exists()]):
            folder.mkdir()
            undo.callback(_without_error(folder.rmdir))
        with path.open("x", encoding="utf-8", newline="\n") as file:
            undo.callback(_without_error(path.unlink))
            file.write(text)

    def listing(self) -> Iterator[str]:
        """Yield the lines that tell what is written: new files below their folders, then the changed ones."""
        yield "New:"
        yield from _tree(sorted(self.created, key=lambda path: path.parts))
        if self.changed:
            width = max(len(str(path)) for path in self.changed)
            yield "Changed:"
            yield from (f"  {path!s:<{width}}  {change.why}" for path, change in sorted(self.changed.items()))


def _tree(paths: list[PurePosixPath]) -> Iterator[str]:
    shown: set[PurePosixPath] = set()
    for path in paths:
        for folder in reversed(path.parents[:-1]):
            if folder not in shown:
                shown.add(folder)
                yield f"{'  ' * len(folder.parts)}{folder.name}/"
        yield f"{'  ' * len(path.parts)}{path.name}"


def _replace(path: Path, text: str) -> None:
    """Put ``text`` in place of the file in one step, with the rights that it had; a link stays one."""
    path = path.resolve()
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text, encoding="utf-8", newline="\n")
    beside.chmod(path.stat().st_mode & 0o777)
    beside.replace(path)


def _without_error(undo: Callable[[], None]) -> Callable[[], None]:
    def quietly() -> None:
        with contextlib.suppress(OSError):
            undo()

    return quietly


def _indented(lines: str) -> str:
    return "".join(f"    {line}\n" if line else "\n" for line in lines.splitlines())
