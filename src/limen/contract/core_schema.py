"""Copies pydantic's core schemas with changes. The parts that validate are copied; everything else is shared."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

Schema = Mapping[str, Any]

SchemaChange = Callable[[Schema, Schema, dict[str, Any]], None]
"""Changes the copy of one schema. It is called with the schema, the configuration that applies to it, and the copy."""

# Keys under which a core schema holds schemas that validate. ``serialization``, defaults and metadata are not among them.
_INNER_KEYS: Final = (
    "schema",
    "items_schema",
    "keys_schema",
    "values_schema",
    "extras_schema",
    "extras_keys_schema",
    "lax_schema",
    "strict_schema",
    "json_schema",
    "python_schema",
    "arguments_schema",
    "var_args_schema",
    "var_kwargs_schema",
    "steps",
    "definitions",
)
_COLLECTION_KEYS: Final = ("fields", "choices")


def copy_schema(schema: Schema, *changes: SchemaChange) -> dict[str, Any]:
    """Return a copy of ``schema``; ``changes`` are applied to each schema in it, in their order."""
    return _Copier(changes).copy(schema, {})


class _Copier:
    def __init__(self, changes: Sequence[SchemaChange]) -> None:
        self._changes = changes
        # One schema object may stand in several places, or within itself: it is copied once. The original stays alive here,
        # so that no other object can get its id.
        self._copies: dict[int, tuple[Schema, dict[str, Any]]] = {}

    def copy(self, schema: Schema, config: Schema) -> dict[str, Any]:
        known = self._copies.get(id(schema))
        if known is not None:
            return known[1]
        config = schema.get("config") or config
        copied = dict(schema)
        self._copies[id(schema)] = (schema, copied)
        for change in self._changes:
            change(schema, config, copied)
        for key in _INNER_KEYS:
            if key in copied:
                copied[key] = self._copy_inner(copied[key], config)
        for key in _COLLECTION_KEYS:
            if key in copied:
                inner = copied[key]
                copied[key] = (
                    {
                        name: self._copy_inner(one, config)
                        for name, one in cast("Mapping[object, object]", inner).items()
                    }
                    if isinstance(inner, Mapping)
                    else self._copy_inner(inner, config)
                )
        return copied

    def _copy_inner(self, inner: object, config: Schema) -> object:
        if isinstance(inner, Mapping):
            return self.copy(cast("Schema", inner), config)
        if isinstance(inner, tuple):
            return tuple(self._copy_inner(one, config) for one in cast("Sequence[object]", inner))
        if isinstance(inner, list):
            return [self._copy_inner(one, config) for one in cast("Sequence[object]", inner)]
        return inner
