"""Copies of pydantic's core schemas that differ in places: what validates is copied, all else stays as it is."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

Schema = Mapping[str, Any]

Change = Callable[[Schema, Schema, dict[str, Any]], None]
"""Changes the copy of one part; of the part itself, the configuration that holds there, and the copy."""

# Where a core schema holds others that validate. ``serialization``, defaults and metadata are not among them.
_INNER: Final = (
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
_NAMED: Final = ("fields", "choices")


def copied(schema: Schema, *changes: Change) -> dict[str, Any]:
    """Return a copy of ``schema``, each part of which ``changes`` have seen, in their order."""
    return _Copier(changes).copy(schema, {})


class _Copier:
    def __init__(self, changes: Sequence[Change]) -> None:
        self._changes = changes
        # A schema may stand in several places as one object: it is copied once, or the copies could be without end. What was
        # copied stays alive, or another could get its id.
        self._done: dict[int, tuple[Schema, dict[str, Any]]] = {}

    def copy(self, schema: Schema, config: Schema) -> dict[str, Any]:
        known = self._done.get(id(schema))
        if known is not None:
            return known[1]
        config = schema.get("config") or config
        made = dict(schema)
        self._done[id(schema)] = (schema, made)
        for change in self._changes:
            change(schema, config, made)
        for key in _INNER:
            if key in made:
                made[key] = self._within(made[key], config)
        for key in _NAMED:
            if key in made:
                inner = made[key]
                made[key] = (
                    {name: self._within(one, config) for name, one in cast("Mapping[object, object]", inner).items()}
                    if isinstance(inner, Mapping)
                    else self._within(inner, config)
                )
        return made

    def _within(self, inner: object, config: Schema) -> object:
        if isinstance(inner, Mapping):
            return self.copy(cast("Schema", inner), config)
        if isinstance(inner, tuple):
            return tuple(self._within(one, config) for one in cast("Sequence[object]", inner))
        if isinstance(inner, list):
            return [self._within(one, config) for one in cast("Sequence[object]", inner)]
        return inner
