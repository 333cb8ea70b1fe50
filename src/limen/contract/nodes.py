"""What a type takes of a JSON document, place by place: all, an array, an object with certain names, one of several."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from pydantic_core import SchemaValidator


class Node:
    """What a type takes at one place: everything, unless a subclass says less. ``drops`` where something may be ignored."""

    __slots__ = ("drops",)

    def __init__(self) -> None:
        """Nothing is ignored, as far as is known."""
        self.drops = False

    def inner(self) -> Sequence["Node"]:
        """Return what is within."""
        return ()


class Items(Node):
    """An array: ``first`` by position, then ``rest``."""

    __slots__ = ("first", "rest")

    def __init__(self, first: Sequence[Node], rest: Node) -> None:
        """See the class."""
        super().__init__()
        self.first = tuple(first)
        self.rest = rest

    def inner(self) -> Sequence[Node]:
        """Return what is within."""
        return (*self.first, self.rest)


class Values(Node):
    """An object with any names."""

    __slots__ = ("each",)

    def __init__(self, each: Node) -> None:
        """See the class."""
        super().__init__()
        self.each = each

    def inner(self) -> Sequence[Node]:
        """Return what is within."""
        return (self.each,)


class Members(Node):
    """An object of which certain names are taken; ``extra`` None ignores the others.

    ``names`` has for each the number of its field, its rank and what is taken of its value. Of several names that one field
    may have, only that of the lowest rank is taken.
    """

    __slots__ = ("closed", "extra", "names")

    def __init__(self) -> None:
        """Nothing is taken yet: a type may contain itself."""
        super().__init__()
        self.names: dict[str, tuple[int, int, Node]] = {}
        self.extra: Node | None = None
        self.closed = False  # others are refused

    def inner(self) -> Sequence[Node]:
        """Return what is within."""
        within = [node for _, _, node in self.names.values()]
        return within if self.extra is None else [*within, self.extra]


class Choice(Node):
    """One of several; ``which`` tells the number of the one that pydantic takes for a document.

    Where a member of the object says so itself, that is ``tag``, and ``tags`` has the number for each of its values.
    """

    __slots__ = ("nodes", "tag", "tags", "which")

    def __init__(
        self,
        nodes: Sequence[Node],
        which: Callable[[], SchemaValidator],
        tag: str | None = None,
        tags: Mapping[object, int] | None = None,
    ) -> None:
        """``which`` makes the validator that gives the number."""
        super().__init__()
        self.nodes = tuple(nodes)
        self.which = which
        self.tag = tag
        self.tags = tags or {}

    def inner(self) -> Sequence[Node]:
        """Return what is within."""
        return self.nodes


class Link(Node):
    """A type that is defined elsewhere, perhaps around this very place."""

    __slots__ = ("node",)

    def __init__(self) -> None:
        """It is not known yet."""
        super().__init__()
        self.node: Node = WHOLE

    def inner(self) -> Sequence[Node]:
        """Return what is within."""
        return (self.node,)


WHOLE: Final = Node()
"""Everything is taken, objects included."""
SCALAR: Final = Node()
"""No object or array is ever taken here."""
SEEN: Final = Node()
"""Nor here; a validator of somebody's sees the value first, and is kept from objects."""


def reached(node: Node) -> Iterator[Node]:
    """Yield ``node`` and whatever is within, each once."""
    seen: set[int] = set()
    left = [node]
    while left:
        one = left.pop()
        if id(one) not in seen:
            seen.add(id(one))
            yield one
            left += one.inner()


def opens(node: Node) -> bool:
    """Tell whether an object within may have members that its type does not name, and does not refuse."""
    return any(isinstance(one, Members) and not one.closed for one in reached(node))


def behind(node: Node) -> Node:
    """Return what a link leads to."""
    while isinstance(node, Link):
        node = node.node
    return node


def settle(node: Node) -> None:
    """Find out where something may be ignored."""
    nodes = list(reached(node))
    for one in nodes:
        one.drops = isinstance(one, Members) and one.extra is None and not one.closed
    changed = True
    while changed:
        changed = False
        for one in nodes:
            if not one.drops and any(within.drops for within in one.inner()):
                one.drops = changed = True
