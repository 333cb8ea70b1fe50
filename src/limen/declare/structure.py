"""Which members of a JSON document a type takes, at every depth: derived from pydantic's core schema, once per route.

pydantic says whether a document fits, and not what of it was ignored. What was ignored must not reach a service, so it is
derived here where in a document nothing but certain names is taken. ``limen.declare.pruning`` takes the others out.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, cast

from pydantic_core import SchemaValidator

Schema = Mapping[str, Any]


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
    """One of several; ``which`` tells the number of the one that pydantic takes for a document."""

    __slots__ = ("nodes", "which")

    def __init__(self, nodes: Sequence[Node], which: Callable[[], SchemaValidator]) -> None:
        """``which`` makes the validator that gives the number."""
        super().__init__()
        self.nodes = tuple(nodes)
        self.which = which

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

_SCALARS: Final = frozenset(
    (
        *("none", "bool", "int", "float", "complex", "str", "bytes", "decimal", "fraction", "literal", "enum", "uuid"),
        *("date", "time", "datetime", "timedelta", "url", "multi-host-url", "missing-sentinel"),
    )
)
_ANY: Final = frozenset(("any", "is-instance", "is-subclass", "callable", "invalid"))
_ARRAYS: Final = frozenset(("list", "set", "frozenset", "deque", "generator"))
_MAPPINGS: Final = frozenset(("dict", "frozendict", "ordered-dict", "counter", "defaultdict"))
# What only looks at, or replaces, what the schema within has read.
_AROUND: Final = frozenset(("nullable", "default", "function-after", "custom-error", "model-field"))
_FUNCTIONS: Final = frozenset(("function-before", "function-wrap", "function-plain"))
_INSTEAD: Final = 'let the model say extra="forbid", or the route body="as sent"'
_HIDES: Final = (
    "what is ignored here cannot be known, and would reach the service: a validator sees the value before pydantic does "
    f"(mode before, wrap or plain, an __init__, or a type of your own); {_INSTEAD}"
)


class Structure:
    """What a type takes.

    ``root`` is the whole document. ``ignoring`` are the parts of the core schema, by id, that ignore what they do not name,
    ``guarded`` those with a function that may see no object: it could ignore members of one. ``ambiguous`` tells that a
    document is read as one of several types, which another document, with less in it, could be read differently.
    """

    def __init__(self, schema: Schema) -> None:
        """Derive it from a core ``schema``. Raises TypeError, with the place, where it cannot be known."""
        self.ignoring: set[int] = set()
        self.guarded: set[int] = set()
        self.ambiguous = False
        self._defined: dict[str, Schema] = {}
        self._links: dict[str, Link] = {}
        self._definitions: list[Schema] = []
        self.root = self._node(schema, {}, (), closed=False)
        _settle(self.root)

    def _node(self, schema: Schema, config: Schema, at: tuple[str, ...], *, closed: bool) -> Node:
        ref = schema.get("ref")
        if ref is None:
            return self._read(schema["type"], schema, config, at, closed=closed)
        if ref not in self._links:
            link = self._links[ref] = Link()  # before it is read: it may contain itself
            link.node = self._read(schema["type"], schema, config, at, closed=False)
        return self._links[ref]

    def _read(self, kind: str, schema: Schema, config: Schema, at: tuple[str, ...], *, closed: bool) -> Node:
        def within(key: str) -> Node:
            return self._node(schema[key], config, at, closed=closed)

        if kind in _SCALARS:
            return SCALAR
        if kind in _ANY:
            return WHOLE
        if kind in _AROUND:
            return within("schema")
        if kind in _ARRAYS:
            return Items((), self._node(schema.get("items_schema") or _ANYTHING, config, (*at, "[]"), closed=closed))
        if kind in _MAPPINGS:
            return Values(self._node(schema.get("values_schema") or _ANYTHING, config, (*at, "{}"), closed=closed))
        if kind == "tuple":
            return self._tuple(schema, config, at, closed=closed)
        if kind == "named-tuple":
            return self._named_tuple(schema, config, at, closed=closed)
        if kind == "json-or-python":
            return within("json_schema")
        if kind == "lax-or-strict":
            return within("strict_schema" if schema.get("strict", config.get("strict")) else "lax_schema")
        if kind == "definitions":
            for one in schema["definitions"]:
                self._defined[one["ref"]] = one
            self._definitions += schema["definitions"]
            return within("schema")
        if kind == "definition-ref":
            ref = schema["schema_ref"]
            return self._links.get(ref) or self._node(self._defined[ref], config, at, closed=closed)
        if kind == "model" or kind == "dataclass":
            return self._class(schema, at)
        if kind in ("model-fields", "typed-dict", "dataclass-args"):
            return self._members(kind, schema, schema.get("config") or config, at)
        if kind in ("union", "tagged-union"):
            return self._choice(schema, config, at, closed=closed)
        if kind == "chain":
            first, *others = (self._node(step, config, at, closed=True) for step in schema["steps"])
            return first if not any(_opens(one) for one in others) else self._hidden(at, first, closed=closed)
        if kind == "json":
            text = self._node(schema.get("schema") or _ANYTHING, config, at, closed=closed)
            _settle(text)
            if text.drops:
                raise TypeError(f"{_place(at)}: what Json ignores within its text would reach the service; {_INSTEAD}")
            return SCALAR
        if kind in _FUNCTIONS:
            return self._function(kind, schema, config, at, closed=closed)
        return self._hidden(at, WHOLE, closed=closed)

    def _hidden(self, at: tuple[str, ...], node: Node, *, closed: bool) -> Node:
        if closed:
            return node
        raise TypeError(f"{_place(at)}: {_HIDES}")

    def _function(self, kind: str, schema: Schema, config: Schema, at: tuple[str, ...], *, closed: bool) -> Node:
        plain = kind == "function-plain"
        inner = WHOLE if plain else self._node(schema["schema"], config, at, closed=closed)
        if _is_pydantics(schema["function"]["function"]):
            return SCALAR if plain else inner
        if plain or _opens(inner):
            return self._hidden(at, inner, closed=closed and not _opens(inner))
        reached = list(_reached(inner))
        if closed or not any(one is WHOLE or isinstance(one, Members | Values) for one in reached):
            if not closed:
                self.guarded.add(id(schema))
            return inner
        # What is left takes objects, and the models among them are closed: is there anything else?
        return self._hidden(at, inner, closed=not any(one is WHOLE or isinstance(one, Values) for one in reached))

    def _class(self, schema: Schema, at: tuple[str, ...]) -> Node:
        inner = self._node(schema["schema"], schema.get("config") or {}, at, closed=False)
        return self._hidden(at, inner, closed=False) if schema.get("custom_init") and _opens(inner) else inner

    def _members(self, kind: str, schema: Schema, config: Schema, at: tuple[str, ...]) -> Node:
        behavior = schema.get("extra_behavior") or config.get("extra_fields_behavior") or "ignore"
        made = Members()
        made.closed = behavior == "forbid"
        if behavior == "allow":
            made.extra = self._node(schema.get("extras_schema") or _ANYTHING, config, (*at, "{}"), closed=False)
        elif behavior == "ignore":
            self.ignoring.add(id(schema))
        by_alias = config.get("validate_by_alias", True)
        by_name = config.get("validate_by_name") or config.get("populate_by_name") or False
        fields = schema["fields"]
        pairs: Iterator[tuple[str, Schema]]
        pairs = ((one["name"], one) for one in fields) if kind == "dataclass-args" else iter(fields.items())
        for number, (name, field) in enumerate(pairs):
            if field.get("init") is False:
                continue
            node = self._node(field["schema"], config, (*at, name), closed=made.closed)
            for rank, given in enumerate(_names(name, field, by_alias=by_alias, by_name=by_name, at=at)):
                other = made.names.get(given)
                if other is not None and other[2] is not node:
                    raise TypeError(f"{_place(at)}: two fields read the member {given!r}; give them names of their own")
                made.names[given] = (number, rank, node)
        return made

    def _tuple(self, schema: Schema, config: Schema, at: tuple[str, ...], *, closed: bool) -> Node:
        nodes = [self._node(one, config, (*at, "[]"), closed=closed) for one in schema["items_schema"]]
        varies: int | None = schema.get("variadic_item_index")
        if varies is None:
            return Items(nodes, WHOLE)
        if varies + 1 < len(nodes):
            return self._hidden(at, WHOLE, closed=closed)  # where those after items of any number stand is not known
        return Items(nodes[:varies], nodes[varies])

    def _named_tuple(self, schema: Schema, config: Schema, at: tuple[str, ...], *, closed: bool) -> Node:
        nodes = [self._node(one["schema"], config, (*at, one["name"]), closed=closed) for one in schema["fields"]]
        for one in nodes:
            _settle(one)
        if any(one.drops for one in nodes):
            raise TypeError(f"{_place(at)}: a named tuple may come as an array or as an object; use a model for it")
        return WHOLE

    def _choice(self, schema: Schema, config: Schema, at: tuple[str, ...], *, closed: bool) -> Node:
        given: Any = schema["choices"]
        listed: list[Any] = list(cast("Mapping[Any, Any]", given).values() if isinstance(given, Mapping) else given)
        choices: list[Schema] = [one[0] if isinstance(one, tuple) else one for one in listed]
        nodes = [self._node(one, config, at, closed=closed) for one in choices]
        if sum(one is not SCALAR for one in nodes) > 1:
            self.ambiguous = True
        made: list[SchemaValidator] = []

        def which() -> SchemaValidator:
            if not made:
                made.append(
                    SchemaValidator(cast("Any", self._marked(schema)), cast("Any", config) or None, _use_prebuilt=False)
                )
            return made[0]

        return Choice(nodes, which)

    def _marked(self, schema: Schema) -> Schema:
        """Return the union with the number of each choice in the place of what it reads."""
        given: Any = schema["choices"]

        def mark(number: int, one: Any) -> Any:
            if isinstance(one, tuple):
                choice, label = cast("tuple[Any, Any]", one)
                return (mark(number, choice), label)

            def tell(_: object) -> int:
                return number

            return {"type": "function-after", "function": {"type": "no-info", "function": tell}, "schema": one}

        if isinstance(given, Mapping):
            items = cast("Mapping[Any, Any]", given).items()
            choices: Any = {tag: mark(number, one) for number, (tag, one) in enumerate(items)}
        else:
            choices = [mark(number, one) for number, one in enumerate(cast("list[Any]", given))]
        union = {key: value for key, value in schema.items() if key not in ("ref", "serialization")}
        union["choices"] = choices
        if not self._definitions:
            return union
        return {"type": "definitions", "schema": union, "definitions": self._definitions}


_ANYTHING: Final[Schema] = {"type": "any"}


def _names(name: str, field: Schema, *, by_alias: bool, by_name: bool, at: tuple[str, ...]) -> Iterator[str]:
    """Yield the names of members that ``field`` is read from, the first that is there is the one that counts."""
    alias = field.get("validation_alias")
    if alias is None or not by_alias:
        yield name
        return
    if isinstance(alias, str):
        yield alias
    else:
        paths = cast("list[Any]", alias)
        for path in paths if isinstance(paths[0], list) else [paths]:
            if len(path) > 1:
                raise TypeError(
                    f"{_place((*at, name))}: an AliasPath takes a part of a member, and the rest would reach the service; "
                    'read the member with a model, or let the route say body="as sent"'
                )
            yield path[0]
    if by_name and name != alias:
        yield name


def _is_pydantics(function: Callable[..., object]) -> bool:
    """Tell whether a validator came with the type: those for addresses, patterns and the like take no objects."""
    module: object = getattr(function, "__module__", None)
    return isinstance(module, str) and module.partition(".")[0] in ("pydantic", "pydantic_core", "ipaddress")


def _reached(node: Node) -> Iterator[Node]:
    seen: set[int] = set()
    left = [node]
    while left:
        one = left.pop()
        if id(one) not in seen:
            seen.add(id(one))
            yield one
            left += one.inner()


def _opens(node: Node) -> bool:
    return any(isinstance(one, Members) and not one.closed for one in _reached(node))


def _settle(node: Node) -> None:
    """Find out where something may be ignored."""
    nodes = list(_reached(node))
    for one in nodes:
        one.drops = isinstance(one, Members) and one.extra is None and not one.closed
    changed = True
    while changed:
        changed = False
        for one in nodes:
            if not one.drops and any(within.drops for within in one.inner()):
                one.drops = changed = True


def _place(at: tuple[str, ...]) -> str:
    return ".".join(("the body", *at))
