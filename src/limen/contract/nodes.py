"""What a type reads of a JSON document, as a tree: anything, an array, an object with certain names, one of several."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final


class Node:
    """What a type reads at one place: everything, unless a subclass says less.

    ``ignores`` is True where the type may ignore something, here or deeper.
    """

    __slots__ = ("ignores",)

    def __init__(self) -> None:
        """Ignore nothing, until ``mark_ignoring`` says otherwise."""
        self.ignores = False

    def inner(self) -> Sequence["Node"]:
        """Return the nodes directly within."""
        return ()


class ArrayNode(Node):
    """An array: ``first`` by position, then ``rest``."""

    __slots__ = ("first", "rest")

    def __init__(self, first: Sequence[Node], rest: Node) -> None:
        """See the class."""
        super().__init__()
        self.first = tuple(first)
        self.rest = rest

    def inner(self) -> Sequence[Node]:
        """Return the nodes directly within."""
        return (*self.first, self.rest)


class MappingNode(Node):
    """An object with any names."""

    __slots__ = ("each",)

    def __init__(self, each: Node) -> None:
        """See the class."""
        super().__init__()
        self.each = each

    def inner(self) -> Sequence[Node]:
        """Return the nodes directly within."""
        return (self.each,)


class ObjectNode(Node):
    """An object of which certain names are read. Others are refused if it is ``closed``, or read as ``extra``, or ignored.

    ``names`` has for each name the number of its field, its rank and the node of its value. If a field has several names,
    only the present one of the lowest rank is read.
    """

    __slots__ = ("closed", "extra", "names")

    def __init__(self) -> None:
        """Begin without names: they are added later, because a type may contain itself."""
        super().__init__()
        self.names: dict[str, tuple[int, int, Node]] = {}
        self.extra: Node | None = None
        self.closed = False

    def inner(self) -> Sequence[Node]:
        """Return the nodes directly within."""
        within = [node for _, _, node in self.names.values()]
        return within if self.extra is None else [*within, self.extra]


class UnionNode(Node):
    """One of several types. ``selector()`` tells of a document the number of the one that pydantic chooses.

    If a member of the object names the type, that is the discriminator ``tag``; ``tags`` has the number for each of its
    values.
    """

    __slots__ = ("nodes", "selector", "tag", "tags")

    def __init__(
        self,
        nodes: Sequence[Node],
        selector: Callable[[], Callable[[str], int]],
        tag: str | None = None,
        tags: Mapping[object, int] | None = None,
    ) -> None:
        """See the class."""
        super().__init__()
        self.nodes = tuple(nodes)
        self.selector = selector
        self.tag = tag
        self.tags = tags or {}

    def inner(self) -> Sequence[Node]:
        """Return the nodes directly within."""
        return self.nodes


class RefNode(Node):
    """A reference to a type that is defined elsewhere, perhaps around this very place."""

    __slots__ = ("node",)

    def __init__(self) -> None:
        """Begin without a target."""
        super().__init__()
        self.node: Node = ANYTHING

    def inner(self) -> Sequence[Node]:
        """Return the nodes directly within."""
        return (self.node,)


ANYTHING: Final = Node()
"""Everything is read, objects included."""
SCALAR: Final = Node()
"""Neither an object nor an array is ever accepted."""
GUARDED_SCALAR: Final = Node()
"""The same; a validator of the user's sees the value first, and is guarded from objects."""


def reachable(node: Node) -> Iterator[Node]:
    """Yield ``node`` and all nodes within, each once."""
    known: set[int] = set()
    left = [node]
    while left:
        one = left.pop()
        if id(one) not in known:
            known.add(id(one))
            yield one
            left += one.inner()


def has_open_object(node: Node) -> bool:
    """Tell whether an object within may have members that its type neither names nor refuses."""
    return any(isinstance(one, ObjectNode) and not one.closed for one in reachable(node))


def resolved(node: Node) -> Node:
    """Return the node that a reference leads to, or ``node`` itself."""
    while isinstance(node, RefNode):
        node = node.node
    return node


def mark_ignoring(node: Node) -> None:
    """Set ``ignores`` of ``node`` and of all nodes within."""
    nodes = list(reachable(node))
    for one in nodes:
        one.ignores = isinstance(one, ObjectNode) and one.extra is None and not one.closed
    changed = True
    while changed:
        changed = False
        for one in nodes:
            if not one.ignores and any(within.ignores for within in one.inner()):
                one.ignores = changed = True
