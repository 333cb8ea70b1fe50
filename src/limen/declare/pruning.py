"""Takes out of a JSON document what its type ignores, and leaves every other byte as it came.

Python walks only where something may be ignored; whatever else there is, the scanner of Python's json skips, which is C.
The walk goes step by step, so that a large document can be left between two of them.
"""

import re
from collections.abc import Iterator
from json import JSONDecoder
from typing import Final

from pydantic import ValidationError

from limen.declare.structure import SCALAR, WHOLE, Choice, Items, Link, Members, Node, Structure, Values

# Members and items between two moments in which others have their turn: about 2 ms.
STEP: Final = 2048

# Bytes that are read again to find out which of several types they are, for one document: each such type within another is
# read once more for each that it is in.
MOST_AGAIN: Final = 1024 * 1024

_BLANKS: Final = re.compile(r"[ \t\n\r]*")
# Numbers as text: their value is of no interest, and neither has a bound to its digits.
_READER: Final = JSONDecoder(parse_float=str, parse_int=str, strict=False)


class TooAmbiguous(Exception):
    """Types that are one of several are within one another more often than there is work for."""


class _Frame:
    """An object or array that the walk is in."""

    __slots__ = ("count", "found", "node", "pending")

    def __init__(self, node: Members | Values | Items) -> None:
        self.node = node
        self.count = 0
        # Of an object with certain names: comma before, begin, end and name of each member.
        self.found: list[tuple[int, int, int, str]] = []
        self.pending: tuple[int, int, str] | None = None


class Pruning:
    """One document on its way. It is known to be JSON, and to fit the type."""

    def __init__(self, structure: Structure, content: bytes) -> None:
        """Nothing is taken out yet."""
        self._text = content.decode()
        self._content = content
        self._cuts: list[tuple[int, int]] = []
        self._again = MOST_AGAIN
        self._steps = self._walk(structure.root)

    def step(self) -> bytes | None:
        """Go on; return the document when it is done. Raises TooAmbiguous."""
        for _ in self._steps:
            return None
        if not self._cuts:
            return self._content
        self._cuts.sort()
        kept: list[str] = []
        at = 0
        for begin, end in self._cuts:
            if begin >= at:
                kept.append(self._text[at:begin])
            at = max(at, end)
        kept.append(self._text[at:])
        return "".join(kept).encode()

    def _walk(self, root: Node) -> Iterator[None]:
        """Yield between steps."""
        text = self._text
        stack: list[_Frame] = []
        at = self._enter(stack, root, _skipped(text, 0))
        done = 0
        while stack:
            done += 1
            if done % STEP == 0:
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
                    self._cut(frame.node, frame.found)
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
        return end

    def _chosen(self, choice: Choice, at: int, char: str) -> Node:
        ahead = [
            one
            for one in choice.nodes
            if one is not SCALAR and not isinstance(_behind(one), Items if char == "{" else Members | Values)
        ]
        if len(ahead) == 1:
            return ahead[0]
        value = self._text[at : _READER.raw_decode(self._text, at)[1]]
        self._again -= len(value)
        if self._again < 0:
            raise TooAmbiguous
        try:
            number: int = choice.which().validate_json(value)
        except ValidationError:
            raise TooAmbiguous from None
        return choice.nodes[number]

    def _cut(self, node: Members, found: list[tuple[int, int, int, str]]) -> None:
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
            known = node.names.get(name)
            if known is not None and taken[known[0]] == known[1]:
                kept = True
            elif kept:
                self._cuts.append((comma, end))
            else:
                self._cuts.append((begin, found[index + 1][1] if index + 1 < len(found) else end))


def _skipped(text: str, at: int) -> int:
    """Return where after ``at`` the first character is that is no white space."""
    if text[at] > " ":
        return at
    found = _BLANKS.match(text, at)
    assert found is not None  # nothing is enough
    return found.end()


def _behind(node: Node) -> Node:
    while isinstance(node, Link):
        node = node.node
    return node
