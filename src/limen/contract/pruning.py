"""Takes out of a JSON document what its type ignores, and leaves every other byte as it came.

Python walks only where something may be ignored; whatever else there is, the scanner of Python's json skips, which is C.
The walk goes step by step, so that a large document can be left between two of them.
"""

import re
from collections.abc import Generator
from json import JSONDecoder
from typing import Any, Final, cast

from pydantic import ValidationError

from limen.contract.nodes import SCALAR, WHOLE, Choice, Items, Link, Members, Node, Values, behind
from limen.contract.structure import Structure

# Work between two moments in which others have their turn, about 2 ms: members and items, and what so many of them cost in
# bytes that are skipped, and in bytes that pydantic reads.
STEP: Final = 2048
_SKIPPED: Final = 64
_READ: Final = 16

# Bytes that are read again to find out which of several types they are, for one document: each such type within another is
# read once more for each that it is in.
MOST_AGAIN: Final = 4 * 1024 * 1024

_BLANKS: Final = re.compile(r"[ \t\n\r]*")
# Numbers as text: their value is of no interest, and neither has a bound to its digits.
_READER: Final = JSONDecoder(parse_float=str, parse_int=str, strict=False)


class TooAmbiguous(Exception):
    """It cannot be told as which of several types a document is read, or that takes more work than there is for it."""


class _Frame:
    """An object or array that the walk is in."""

    __slots__ = ("count", "found", "node", "pending")

    def __init__(self, node: Members | Values | Items) -> None:
        self.node = node
        self.count = 0
        # Of an object with certain names: comma before, begin, end and name of each member.
        self.found: list[tuple[int, int, int, str]] = []
        self.pending: tuple[int, int, str] | None = None


def pruned(structure: Structure, content: bytes) -> Generator[None, None, bytes]:
    """Return ``content``, which is JSON and fits the type, without what the type ignores.

    Others have their turn at each yield. Raises TooAmbiguous.
    """
    walk = _Walk(content)
    yield from walk.through(structure.root)
    if not walk.cuts:
        return content
    yield
    made = walk.left().encode()
    if structure.ambiguous:
        # With less in it, it could be read as another of several types.
        again = _Walk(made)
        yield
        yield from again.through(structure.root)
        if again.cuts or again.chosen != walk.chosen:
            raise TooAmbiguous
    return made


class _Walk:
    """One way through a document: what it cuts, and what it has chosen where there were several types."""

    __slots__ = ("_again", "_text", "_work", "chosen", "cuts")

    def __init__(self, content: bytes) -> None:
        self._text = content.decode()
        self._again = MOST_AGAIN
        self._work = 0
        self.cuts: list[tuple[int, int]] = []
        self.chosen: list[int] = []

    def left(self) -> str:
        """Return the document without its cuts."""
        self.cuts.sort()
        kept: list[str] = []
        at = 0
        for begin, end in self.cuts:
            if begin >= at:
                kept.append(self._text[at:begin])
            at = max(at, end)
        kept.append(self._text[at:])
        return "".join(kept)

    def through(self, root: Node) -> Generator[None, None, None]:
        text = self._text
        stack: list[_Frame] = []
        at = self._enter(stack, root, _skipped(text, 0))
        while stack:
            self._work += 1
            if self._work >= STEP:
                self._work = 0
                yield
            frame = stack[-1]
            if frame.pending is not None:  # what was within its last member is behind us
                comma, begin, name = frame.pending
                frame.found.append((comma, begin, at, name))
                frame.pending = None
            at = _skipped(text, at)
            char = text[at]
            comma = at
            if char == ",":
                at = _skipped(text, at + 1)
            elif char in "]}":
                stack.pop()
                at += 1
                if isinstance(frame.node, Members):
                    yield from self._cut(frame.node, frame.found)
                continue
            node = frame.node
            if isinstance(node, Items):
                child = node.first[frame.count] if frame.count < len(node.first) else node.rest
                frame.count += 1
            else:
                begin = at
                name, at = _READER.raw_decode(text, at)
                at = _skipped(text, _skipped(text, at) + 1)
                if isinstance(node, Values):
                    child = node.each
                else:
                    known = node.names.get(name)
                    child = (node.extra or WHOLE) if known is None else known[2]
                    frame.pending = (comma, begin, name)
            at = self._enter(stack, child, at)

    def _enter(self, stack: list[_Frame], node: Node, at: int) -> int:
        """Go into the value at ``at``, or behind it if nothing in it can be ignored; return where that is."""
        text = self._text
        char = text[at]
        while node.drops and char in "{[":
            if isinstance(node, Link):
                node = node.node
            elif isinstance(node, Choice):
                node = self._chosen(node, at, char)
            elif isinstance(node, Items | Members | Values) and isinstance(node, Items) is (char == "["):
                stack.append(_Frame(node))
                return at + 1
            else:
                break
        end: int = _READER.raw_decode(text, at)[1]
        self._work += (end - at) // _SKIPPED
        return end

    def _chosen(self, choice: Choice, at: int, char: str) -> Node:
        ahead = [
            one
            for one in choice.nodes
            if one is not SCALAR and not isinstance(behind(one), Items if char == "{" else Members | Values)
        ]
        if len(ahead) == 1:
            return ahead[0]
        decoded: tuple[Any, int] = _READER.raw_decode(self._text, at)
        value, end = decoded
        self._again -= end - at
        if self._again < 0:
            raise TooAmbiguous
        self._work += (end - at) // _SKIPPED
        number = self._tagged(choice, value)
        if number is None:
            self._work += (end - at) // _READ
            try:
                found: int = choice.which().validate_json(self._text[at:end])
            except ValidationError:
                raise TooAmbiguous from None
            number = found
        self.chosen.append(number)
        return choice.nodes[number]

    def _tagged(self, choice: Choice, value: object) -> int | None:
        """Return the choice that the object itself names."""
        if choice.tag is None or not isinstance(value, dict):
            return None
        tag = cast("dict[str, object]", value).get(choice.tag)
        return choice.tags.get(tag) if isinstance(tag, str) else None

    def _cut(self, node: Members, found: list[tuple[int, int, int, str]]) -> Generator[None, None, None]:
        """Take out the members that are not taken, each with one comma."""
        if node.extra is not None or node.closed:
            return
        taken: dict[int, int] = {}
        for *_, name in found:
            known = node.names.get(name)
            if known is not None:
                number, rank, _ = known
                taken[number] = min(rank, taken.get(number, rank))
        kept = False
        for index, (comma, begin, end, name) in enumerate(found):
            if index % STEP == STEP - 1:
                yield
            known = node.names.get(name)
            if known is not None and taken[known[0]] == known[1]:
                kept = True
            elif kept:
                self.cuts.append((comma, end))
            else:
                self.cuts.append((begin, found[index + 1][1] if index + 1 < len(found) else end))


def _skipped(text: str, at: int) -> int:
    """Return where after ``at`` the first character is that is no white space."""
    if text[at] > " ":
        return at
    found = _BLANKS.match(text, at)
    assert found is not None  # nothing is enough
    return found.end()
