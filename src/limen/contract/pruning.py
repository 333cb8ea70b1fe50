"""Takes out of a JSON document what its type ignores, and leaves every other byte as it came.

Python code walks only where something may be ignored; everything else is skipped by the decoder of Python's json, which is
C. The walk pauses between steps, so that a large document does not hold up other requests.
"""

import re
from collections.abc import Generator
from json import JSONDecoder
from typing import Any, Final, cast

from pydantic import ValidationError

from limen.contract.nodes import (
    ANYTHING,
    SCALAR,
    ArrayNode,
    MappingNode,
    Node,
    ObjectNode,
    RefNode,
    UnionNode,
    resolved,
)
from limen.contract.structure import Structure

# Work of one step, about 2 ms, in members and items. So many skipped bytes, or bytes that pydantic reads, count as one.
STEP: Final = 2048
_BYTES_SKIPPED: Final = 64
_BYTES_READ: Final = 16

# Bytes of one document that are read again to choose among several types. A union within a union is read once more for each.
MOST_REREAD: Final = 4 * 1024 * 1024

_BLANKS: Final = re.compile(r"[ \t\n\r]*")
# Numbers stay text: nobody needs their values, and so their digits have no bound.
_DECODER: Final = JSONDecoder(parse_float=str, parse_int=str, strict=False)


class AmbiguousTypeError(Exception):
    """Nobody can tell as which of several types a document is read, or it would take too much work."""


_Member = tuple[int, int, int, str]  # comma before, begin, end, name


class _Frame:
    """An object or array that the walk is in."""

    __slots__ = ("count", "members", "node", "open_member")

    def __init__(self, node: ObjectNode | MappingNode | ArrayNode) -> None:
        self.node = node
        self.count = 0
        self.members: list[_Member] = []  # of an ObjectNode
        self.open_member: tuple[int, int, str] | None = None


def prune(structure: Structure, content: bytes) -> Generator[None, None, bytes]:
    """Return ``content``, which is JSON and fits the type, without the members that the type ignores.

    Others have their turn at each yield. Raises AmbiguousTypeError.
    """
    walker = _Walker(content)
    yield from walker.walk(structure.root)
    if not walker.cuts:
        return content
    yield
    kept = walker.remaining().encode()
    if structure.ambiguous:
        # With members taken out, it could be read as another of several types.
        again = _Walker(kept)
        yield
        yield from again.walk(structure.root)
        if again.cuts or again.chosen != walker.chosen:
            raise AmbiguousTypeError
    return kept


class _Walker:
    """One walk through a document: what it cuts, and which types it chose in unions."""

    __slots__ = ("_rereads_left", "_text", "_work", "chosen", "cuts")

    def __init__(self, content: bytes) -> None:
        self._text = content.decode()
        self._rereads_left = MOST_REREAD
        self._work = 0
        self.cuts: list[tuple[int, int]] = []
        self.chosen: list[int] = []

    def remaining(self) -> str:
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

    def walk(self, root: Node) -> Generator[None, None, None]:
        text = self._text
        stack: list[_Frame] = []
        at = self._enter_value(stack, root, _skip_blanks(text, 0))
        while stack:
            self._work += 1
            if self._work >= STEP:
                self._work = 0
                yield
            frame = stack[-1]
            if frame.open_member is not None:  # the walk is behind its value
                comma, begin, name = frame.open_member
                frame.members.append((comma, begin, at, name))
                frame.open_member = None
            at = _skip_blanks(text, at)
            char = text[at]
            comma = at
            if char == ",":
                at = _skip_blanks(text, at + 1)
            elif char in "]}":
                stack.pop()
                at += 1
                if isinstance(frame.node, ObjectNode):
                    yield from self._cut_ignored(frame.node, frame.members)
                continue
            node = frame.node
            if isinstance(node, ArrayNode):
                child = node.first[frame.count] if frame.count < len(node.first) else node.rest
                frame.count += 1
            else:
                begin = at
                name, at = _DECODER.raw_decode(text, at)
                at = _skip_blanks(text, _skip_blanks(text, at) + 1)
                if isinstance(node, MappingNode):
                    child = node.each
                else:
                    known = node.names.get(name)
                    child = (node.extra or ANYTHING) if known is None else known[2]
                    frame.open_member = (comma, begin, name)
            at = self._enter_value(stack, child, at)

    def _enter_value(self, stack: list[_Frame], node: Node, at: int) -> int:
        """Enter the value at ``at`` if something in it may be ignored, else skip it; return where the walk goes on."""
        text = self._text
        char = text[at]
        while node.ignores and char in "{[":
            if isinstance(node, RefNode):
                node = node.node
            elif isinstance(node, UnionNode):
                node = self._chosen_node(node, at, char)
            elif isinstance(node, ArrayNode | ObjectNode | MappingNode) and isinstance(node, ArrayNode) is (
                char == "["
            ):
                stack.append(_Frame(node))
                return at + 1
            else:
                break
        end: int = _DECODER.raw_decode(text, at)[1]
        self._work += (end - at) // _BYTES_SKIPPED
        return end

    def _chosen_node(self, union: UnionNode, at: int, char: str) -> Node:
        fitting = [
            one
            for one in union.nodes
            if one is not SCALAR
            and not isinstance(resolved(one), ArrayNode if char == "{" else ObjectNode | MappingNode)
        ]
        if len(fitting) == 1:
            return fitting[0]
        decoded: tuple[Any, int] = _DECODER.raw_decode(self._text, at)
        value, end = decoded
        self._rereads_left -= end - at
        if self._rereads_left < 0:
            raise AmbiguousTypeError
        self._work += (end - at) // _BYTES_SKIPPED
        number = self._number_by_tag(union, value)
        if number is None:
            self._work += (end - at) // _BYTES_READ
            try:
                chosen: int = union.selector()(self._text[at:end])
            except ValidationError:
                raise AmbiguousTypeError from None
            number = chosen
        self.chosen.append(number)
        return union.nodes[number]

    def _number_by_tag(self, union: UnionNode, value: object) -> int | None:
        """Return the number of the type that the object itself names."""
        if union.tag is None or not isinstance(value, dict):
            return None
        tag = cast("dict[str, object]", value).get(union.tag)
        return union.tags.get(tag) if isinstance(tag, str) else None

    def _cut_ignored(self, node: ObjectNode, members: list[_Member]) -> Generator[None, None, None]:
        """Cut the members that are not read, each with one comma."""
        if node.extra is not None or node.closed:
            return
        lowest: dict[int, int] = {}  # rank, by the number of the field
        for *_, name in members:
            known = node.names.get(name)
            if known is not None:
                number, rank, _ = known
                lowest[number] = min(rank, lowest.get(number, rank))
        kept = False
        for index, (comma, begin, end, name) in enumerate(members):
            if index % STEP == STEP - 1:
                yield
            known = node.names.get(name)
            if known is not None and lowest[known[0]] == known[1]:
                kept = True
            elif kept:
                self.cuts.append((comma, end))
            else:
                self.cuts.append((begin, members[index + 1][1] if index + 1 < len(members) else end))


def _skip_blanks(text: str, at: int) -> int:
    """Return the position of the first character from ``at`` on that is not white space."""
    if text[at] > " ":
        return at
    blanks = _BLANKS.match(text, at)
    assert blanks is not None  # it matches nothing as well
    return blanks.end()
