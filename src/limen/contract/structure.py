"""Which members of a JSON document a type reads, at every depth: derived from pydantic's core schema, once per route.

pydantic says whether a document fits, and not what it ignored. What is ignored must not reach a service, so this module
derives where a type reads nothing but certain names. ``limen.contract.pruning`` takes the others out.
"""

from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any, Final, cast

from limen.contract import schema_kinds as kinds
from limen.contract.core_schema import Schema
from limen.contract.field_names import names_of_field
from limen.contract.nodes import (
    ANYTHING,
    GUARDED_SCALAR,
    SCALAR,
    ArrayNode,
    MappingNode,
    Node,
    ObjectNode,
    RefNode,
    UnionNode,
    has_open_object,
    mark_ignoring,
    reachable,
    resolved,
)
from limen.contract.union_schema import refuse_doubling, union_selector

# The default of an enumeration, which refuses values that it does not have.
_DEFAULT_MISSING: Final[object] = cast("Any", Enum)._missing_.__func__

_MODULES_OF_PYDANTICS_TYPES: Final = frozenset(
    ("pydantic._internal._validators", "pydantic.networks", "pydantic.types")
)
_INSTEAD: Final = 'let the model say extra="forbid", or the route body="as sent"'
_HIDES: Final = (
    "what is ignored here cannot be known, and would reach the service: a validator sees the value before pydantic does "
    f"(mode before, wrap or plain, or a type of your own); {_INSTEAD}"
)


class Structure:
    """What a type reads of a document, and what it ignores.

    ``root`` is the node of the whole document. Schemas are named by id: those in ``ignoring`` ignore members that they do
    not name; those in ``guarded`` have a function that may see only objects with certain names, or none (None), because
    nobody knows what it ignores of others. ``ambiguous`` is True if a document is read as one of several types: with members
    taken out, it could be read as another.
    """

    def __init__(self, schema: Schema, *, decoded: bool = False) -> None:
        """Derive it from a core ``schema``. ``decoded`` says that a document is decoded before it is checked.

        Raises TypeError, with the place, where it cannot be known what is ignored.
        """
        self._decoded = decoded
        self.ignoring: set[int] = set()
        self.guarded: dict[int, frozenset[str] | None] = {}
        self.ambiguous = False
        self._defined: dict[str, Schema] = {}
        self._references: dict[str, RefNode] = {}
        self._definitions: list[Schema] = []
        self._checks: list[Callable[[], None]] = []  # run once every reference has a target
        self.root = self._node(schema, {}, (), closed=False)
        for check in self._checks:
            check()
        mark_ignoring(self.root)

    def _node(self, schema: Schema, config: Schema, at: tuple[str, ...], *, closed: bool) -> Node:
        ref = schema.get("ref")
        if ref is None:
            return self._read(schema["type"], schema, config, at, closed=closed)
        if ref not in self._references:
            reference = self._references[ref] = RefNode()  # made first: the type may contain itself
            reference.node = self._read(schema["type"], schema, config, at, closed=False)
        return self._references[ref]

    def _read(self, kind: str, schema: Schema, config: Schema, at: tuple[str, ...], *, closed: bool) -> Node:
        def within(key: str) -> Node:
            return self._node(schema[key], config, at, closed=closed)

        if kind in kinds.SCALARS:
            return self._scalar(schema)
        if kind in kinds.ANYTHING:
            return ANYTHING
        if kind in kinds.WRAPPERS:
            if schema.get("on_error") in ("omit", "default"):
                raise TypeError(
                    f"{_place(at)}: what does not fit is ignored here, and would reach the service; {_INSTEAD}"
                )
            return within("schema")
        if kind in kinds.ARRAYS:
            return ArrayNode(
                (), self._node(schema.get("items_schema") or _ANY_SCHEMA, config, (*at, "[]"), closed=closed)
            )
        if kind in kinds.MAPPINGS:
            return MappingNode(
                self._node(schema.get("values_schema") or _ANY_SCHEMA, config, (*at, "{}"), closed=closed)
            )
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
            return self._references.get(ref) or self._node(self._defined[ref], config, at, closed=closed)
        if kind == "model" or kind == "dataclass":
            return self._class(schema, at)
        if kind in kinds.OBJECTS:
            return self._object(kind, schema, schema.get("config") or config, at)
        if kind in kinds.UNIONS:
            return self._union(schema, config, at, closed=closed)
        if kind == "chain":
            return self._chain(schema, config, at, closed=closed)
        if kind == "json":
            return self._json(schema, config, at, closed=closed)
        if kind in kinds.FUNCTIONS:
            return self._function(kind, schema, config, at, closed=closed)
        return self._opaque(at, ANYTHING, closed=False)

    def _opaque(self, at: tuple[str, ...], node: Node, *, closed: bool) -> Node:
        if closed:
            return node
        raise TypeError(f"{_place(at)}: {_HIDES}")

    def _scalar(self, schema: Schema) -> Node:
        if schema["type"] == "enum" and schema["cls"]._missing_.__func__ is not _DEFAULT_MISSING:
            self.guarded[id(schema)] = None
            return GUARDED_SCALAR
        return SCALAR

    def _chain(self, schema: Schema, config: Schema, at: tuple[str, ...], *, closed: bool) -> Node:
        first, *others = [self._node(step, config, at, closed=closed) for step in schema["steps"]]

        def check() -> None:
            if any(has_open_object(one) for one in others):  # they read the result of the first
                self._opaque(at, first, closed=False)

        self._checks.append(check)
        return first

    def _json(self, schema: Schema, config: Schema, at: tuple[str, ...], *, closed: bool) -> Node:
        text = self._node(schema.get("schema") or _ANY_SCHEMA, config, at, closed=closed)

        def check() -> None:
            mark_ignoring(text)
            if text.ignores:
                raise TypeError(f"{_place(at)}: what Json ignores within its text would reach the service; {_INSTEAD}")

        self._checks.append(check)
        return SCALAR

    def _function(self, kind: str, schema: Schema, config: Schema, at: tuple[str, ...], *, closed: bool) -> Node:
        if kind == "function-plain":
            known = _is_of_pydantic(schema["function"]["function"])
            return SCALAR if known else self._opaque(at, ANYTHING, closed=closed)
        inner = self._node(schema["schema"], config, at, closed=closed)
        if _is_of_pydantic(schema["function"]["function"]):
            return inner
        if inner is SCALAR:
            self.guarded[id(schema)] = None
            return GUARDED_SCALAR

        def check() -> None:
            nodes = list(reachable(inner))
            if has_open_object(inner):
                self._opaque(at, inner, closed=False)
            reads_objects = any(one is ANYTHING or isinstance(one, ObjectNode | MappingNode) for one in nodes)
            if not reads_objects:
                self.guarded[id(schema)] = None
            elif isinstance(members := resolved(inner), ObjectNode):
                self.guarded[id(schema)] = frozenset(members.names)
            else:
                has_any_name = any(one is ANYTHING or isinstance(one, MappingNode) for one in nodes)
                self._opaque(at, inner, closed=closed or not has_any_name)

        self._checks.append(check)
        return inner

    def _class(self, schema: Schema, at: tuple[str, ...]) -> Node:
        if schema.get("custom_init"):
            name = schema["cls"].__name__
            raise TypeError(
                f"{_place(at)}: {name} has an __init__ of its own, which hides what it ignores, and that would reach the "
                'service; let the route say body="as sent"'
            )
        return self._node(schema["schema"], schema.get("config") or {}, at, closed=False)

    def _object(self, kind: str, schema: Schema, config: Schema, at: tuple[str, ...]) -> Node:
        behavior = schema.get("extra_behavior") or config.get("extra_fields_behavior") or "ignore"
        result = ObjectNode()
        result.closed = behavior == "forbid"
        if behavior == "allow":
            result.extra = self._node(schema.get("extras_schema") or _ANY_SCHEMA, config, (*at, "{}"), closed=False)
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
            node = self._node(field["schema"], config, (*at, name), closed=result.closed)
            place = _place((*at, name))
            aliases = names_of_field(name, field, by_alias=by_alias, by_name=by_name, place=place)
            for rank, alias in enumerate(aliases):
                other = result.names.get(alias)
                if other is not None and other[2] is not node:
                    raise TypeError(f"{_place(at)}: two fields read the member {alias!r}; give them names of their own")
                result.names[alias] = (number, rank, node)
        return result

    def _tuple(self, schema: Schema, config: Schema, at: tuple[str, ...], *, closed: bool) -> Node:
        nodes = [self._node(one, config, (*at, "[]"), closed=closed) for one in schema["items_schema"]]
        variadic: int | None = schema.get("variadic_item_index")
        if variadic is None:
            return ArrayNode(nodes, SCALAR)  # no further items are accepted
        if variadic + 1 < len(nodes):
            return self._opaque(at, ANYTHING, closed=False)  # the positions after a variadic item are not known
        return ArrayNode(nodes[:variadic], nodes[variadic])

    def _named_tuple(self, schema: Schema, config: Schema, at: tuple[str, ...], *, closed: bool) -> Node:
        nodes = [self._node(one["schema"], config, (*at, one["name"]), closed=closed) for one in schema["fields"]]

        def check() -> None:
            for one in nodes:
                mark_ignoring(one)
            if any(one.ignores for one in nodes):
                raise TypeError(f"{_place(at)}: a named tuple may come as an array or as an object; use a model for it")

        self._checks.append(check)
        return ANYTHING

    def _union(self, schema: Schema, config: Schema, at: tuple[str, ...], *, closed: bool) -> Node:
        given: Any = schema["choices"]
        tags: list[object] = list(cast("Mapping[object, Any]", given)) if isinstance(given, Mapping) else []
        labelled: list[Any] = [given[tag] for tag in tags] if tags else list(cast("list[Any]", given))
        choices: list[Schema] = [one[0] if isinstance(one, tuple) else one for one in labelled]
        nodes = [self._node(one, config, at, closed=closed) for one in choices]
        discriminator: object = schema.get("discriminator")
        if sum(one is not SCALAR for one in nodes) > 1 or callable(discriminator):
            self.ambiguous = True
        if GUARDED_SCALAR in nodes and any(one is not SCALAR and one is not GUARDED_SCALAR for one in nodes):
            self._opaque(at, GUARDED_SCALAR, closed=False)
        selectors: list[Callable[[str], int]] = []  # made when first needed

        def selector() -> Callable[[str], int]:
            if not selectors:
                selectors.append(union_selector(schema, config, self._definitions, decoded=self._decoded))
            return selectors[0]

        if isinstance(discriminator, str):
            return UnionNode(nodes, selector, discriminator, {tag: number for number, tag in enumerate(tags)})
        union = UnionNode(nodes, selector)
        if schema["type"] == "union":
            self._checks.append(lambda: refuse_doubling(union, _place(at)))
        return union


def may_hold_objects(schema: Schema) -> bool:
    """Tell whether a document of the core ``schema`` may hold objects. Raises TypeError where that cannot be known."""
    return any(
        one is ANYTHING or isinstance(one, ObjectNode | MappingNode) for one in reachable(Structure(schema).root)
    )


_ANY_SCHEMA: Final[Schema] = {"type": "any"}


def _is_of_pydantic(function: Callable[..., object]) -> bool:
    """Tell whether a validator belongs to a type of pydantic's or Python's, such as an address: those read no objects."""
    return getattr(function, "__module__", None) in _MODULES_OF_PYDANTICS_TYPES


def _place(at: tuple[str, ...]) -> str:
    return ".".join(("the body", *at))
