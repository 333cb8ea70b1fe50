"""Which members of a JSON document a type takes, at every depth: derived from pydantic's core schema, once per route.

pydantic says whether a document fits, and not what of it was ignored. What was ignored must not reach a service, so it is
derived here where in a document nothing but certain names is taken. ``limen.contract.pruning`` takes the others out.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any, Final, cast

from pydantic_core import SchemaValidator

from limen.contract.core_schema import Schema
from limen.contract.nodes import (
    SCALAR,
    SEEN,
    WHOLE,
    Choice,
    Items,
    Link,
    Members,
    Node,
    Values,
    behind,
    opens,
    reached,
    settle,
)

_SCALARS: Final = frozenset(
    (
        *("none", "bool", "int", "float", "complex", "str", "bytes", "decimal", "fraction", "literal", "enum", "uuid"),
        *("date", "time", "datetime", "timedelta", "url", "multi-host-url", "missing-sentinel", "ellipsis"),
    )
)
_ANY: Final = frozenset(("any", "is-instance", "is-subclass", "callable", "invalid"))
_ARRAYS: Final = frozenset(("list", "set", "frozenset", "deque"))
_MAPPINGS: Final = frozenset(("dict", "frozendict", "ordered-dict", "counter"))
# What only looks at, or replaces, what the schema within has read.
_AROUND: Final = frozenset(("nullable", "default", "function-after", "custom-error"))
_FUNCTIONS: Final = frozenset(("function-before", "function-wrap", "function-plain"))
_OWN: Final = frozenset(
    (
        *(
            "tuple",
            "named-tuple",
            "json-or-python",
            "lax-or-strict",
            "definitions",
            "definition-ref",
            "model",
            "dataclass",
        ),
        *("model-fields", "typed-dict", "dataclass-args", "union", "tagged-union", "chain", "json"),
    )
)
# What is read only when somebody iterates, and calls, of which nothing is known.
_HIDDEN: Final = frozenset(("generator", "arguments", "arguments-v3", "call"))

KINDS: Final = _SCALARS | _ANY | _ARRAYS | _MAPPINGS | _AROUND | _FUNCTIONS | _OWN | _HIDDEN
"""All kinds of core schemas that have their place here; another one is hidden."""

# Of an enumeration that says nothing of values that it does not have.
_MISSING: Final[object] = cast("Any", Enum)._missing_.__func__

_OF_TYPES: Final = frozenset(("pydantic._internal._validators", "pydantic.networks", "pydantic.types"))
_INSTEAD: Final = 'let the model say extra="forbid", or the route body="as sent"'
_HIDES: Final = (
    "what is ignored here cannot be known, and would reach the service: a validator sees the value before pydantic does "
    f"(mode before, wrap or plain, or a type of your own); {_INSTEAD}"
)


class Structure:
    """What a type takes.

    ``root`` is the whole document. ``ignoring`` are the parts of the core schema, by id, that ignore what they do not name,
    ``guarded`` those whose function sees no object, or one with certain names alone: what it ignored of others could not be
    known. ``ambiguous`` tells that a document is read as one of several types: with less in it, it could be another.
    """

    def __init__(self, schema: Schema) -> None:
        """Derive it from a core ``schema``. Raises TypeError, with the place, where it cannot be known."""
        self.ignoring: set[int] = set()
        self.guarded: dict[int, frozenset[str] | None] = {}
        self.ambiguous = False
        self._defined: dict[str, Schema] = {}
        self._links: dict[str, Link] = {}
        self._definitions: list[Schema] = []
        self._later: list[Callable[[], None]] = []  # what can be asked once all links lead somewhere
        self.root = self._node(schema, {}, (), closed=False)
        for check in self._later:
            check()
        settle(self.root)

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
            return self._scalar(schema)
        if kind in _ANY:
            return WHOLE
        if kind in _AROUND:
            if schema.get("on_error") in ("omit", "default"):
                raise TypeError(
                    f"{_place(at)}: what does not fit is ignored here, and would reach the service; {_INSTEAD}"
                )
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
            return self._chain(schema, config, at, closed=closed)
        if kind == "json":
            return self._json(schema, config, at, closed=closed)
        if kind in _FUNCTIONS:
            return self._function(kind, schema, config, at, closed=closed)
        return self._hidden(at, WHOLE, closed=False)

    def _hidden(self, at: tuple[str, ...], node: Node, *, closed: bool) -> Node:
        if closed:
            return node
        raise TypeError(f"{_place(at)}: {_HIDES}")

    def _scalar(self, schema: Schema) -> Node:
        if schema["type"] == "enum" and schema["cls"]._missing_.__func__ is not _MISSING:
            self.guarded[id(schema)] = None
            return SEEN
        return SCALAR

    def _chain(self, schema: Schema, config: Schema, at: tuple[str, ...], *, closed: bool) -> Node:
        first, *others = [self._node(step, config, at, closed=closed) for step in schema["steps"]]

        def check() -> None:
            if any(opens(one) for one in others):  # they read what the first has made
                self._hidden(at, first, closed=False)

        self._later.append(check)
        return first

    def _json(self, schema: Schema, config: Schema, at: tuple[str, ...], *, closed: bool) -> Node:
        text = self._node(schema.get("schema") or _ANYTHING, config, at, closed=closed)

        def check() -> None:
            settle(text)
            if text.drops:
                raise TypeError(f"{_place(at)}: what Json ignores within its text would reach the service; {_INSTEAD}")

        self._later.append(check)
        return SCALAR

    def _function(self, kind: str, schema: Schema, config: Schema, at: tuple[str, ...], *, closed: bool) -> Node:
        if kind == "function-plain":
            known = _is_pydantics(schema["function"]["function"])
            return SCALAR if known else self._hidden(at, WHOLE, closed=closed)
        inner = self._node(schema["schema"], config, at, closed=closed)
        if _is_pydantics(schema["function"]["function"]):
            return inner
        if inner is SCALAR:
            self.guarded[id(schema)] = None
            return SEEN

        def check() -> None:
            nodes = list(reached(inner))
            if opens(inner):
                self._hidden(at, inner, closed=False)
            takes = any(one is WHOLE or isinstance(one, Members | Values) for one in nodes)
            if not takes:
                self.guarded[id(schema)] = None  # of arrays
            elif isinstance(members := behind(inner), Members):
                self.guarded[id(schema)] = frozenset(members.names)
            else:
                self._hidden(
                    at, inner, closed=closed or not any(one is WHOLE or isinstance(one, Values) for one in nodes)
                )

        self._later.append(check)
        return inner

    def _class(self, schema: Schema, at: tuple[str, ...]) -> Node:
        if schema.get("custom_init"):
            name = schema["cls"].__name__
            raise TypeError(
                f"{_place(at)}: {name} has an __init__ of its own, which hides what it ignores, and that would reach the "
                'service; let the route say body="as sent"'
            )
        return self._node(schema["schema"], schema.get("config") or {}, at, closed=False)

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
            return Items(nodes, SCALAR)  # there are no more
        if varies + 1 < len(nodes):
            return self._hidden(at, WHOLE, closed=False)  # where those after items of any number stand is not known
        return Items(nodes[:varies], nodes[varies])

    def _named_tuple(self, schema: Schema, config: Schema, at: tuple[str, ...], *, closed: bool) -> Node:
        nodes = [self._node(one["schema"], config, (*at, one["name"]), closed=closed) for one in schema["fields"]]

        def check() -> None:
            for one in nodes:
                settle(one)
            if any(one.drops for one in nodes):
                raise TypeError(f"{_place(at)}: a named tuple may come as an array or as an object; use a model for it")

        self._later.append(check)
        return WHOLE

    def _choice(self, schema: Schema, config: Schema, at: tuple[str, ...], *, closed: bool) -> Node:
        given: Any = schema["choices"]
        tags: list[object] = list(cast("Mapping[object, Any]", given)) if isinstance(given, Mapping) else []
        listed: list[Any] = [given[tag] for tag in tags] if tags else list(cast("list[Any]", given))
        choices: list[Schema] = [one[0] if isinstance(one, tuple) else one for one in listed]
        nodes = [self._node(one, config, at, closed=closed) for one in choices]
        discriminator: object = schema.get("discriminator")
        if sum(one is not SCALAR for one in nodes) > 1 or callable(discriminator):
            self.ambiguous = True
        if SEEN in nodes and any(one is not SCALAR and one is not SEEN for one in nodes):
            self._hidden(at, SEEN, closed=False)
        made: list[SchemaValidator] = []

        def which() -> SchemaValidator:
            if not made:
                marked = cast("Any", _marked(schema, self._definitions))
                made.append(SchemaValidator(marked, cast("Any", config) or None, _use_prebuilt=False))
            return made[0]

        if isinstance(discriminator, str):
            return Choice(nodes, which, discriminator, {tag: number for number, tag in enumerate(tags)})
        choice = Choice(nodes, which)
        if schema["type"] == "union":
            self._later.append(lambda: _bounded(choice, at))
        return choice


def takes_objects(schema: Schema) -> bool:
    """Tell whether a document of that core ``schema`` may have objects in it. Raises TypeError where that cannot be known."""
    return any(one is WHOLE or isinstance(one, Members | Values) for one in reached(Structure(schema).root))


def _bounded(choice: Choice, at: tuple[str, ...]) -> None:
    """Refuse a type within itself of which pydantic tries several at each level: they take twice as long with each."""
    ways = Counter(
        name
        for node in map(behind, choice.nodes)
        if isinstance(node, Members)
        for name, (_, _, child) in node.names.items()
        if any(one is choice for one in reached(child))
    )
    if twice := next((name for name, count in ways.items() if count > 1), None):
        raise TypeError(
            f"{_place(at)}: several of these types have a member {twice!r} that may be any of them again, and each level "
            "takes twice as long to read; tell them apart with Field(discriminator=...)"
        )


def _marked(schema: Schema, definitions: list[Schema]) -> Schema:
    """Return a union with the number of each choice in the place of what it reads."""
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
    return {"type": "definitions", "schema": union, "definitions": definitions} if definitions else union


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
    """Tell whether a validator came with a type of pydantic's or Python's, such as an address: those take no objects."""
    return getattr(function, "__module__", None) in _OF_TYPES


def _place(at: tuple[str, ...]) -> str:
    return ".".join(("the body", *at))
