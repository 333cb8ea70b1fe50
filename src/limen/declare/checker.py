"""What checks a value against a type, and finds only as many misfits as there is use for.

pydantic collects every error before it raises: ``[{},{},...]`` of 256 KiB has 87,000 items, and with eight required fields
each 700,000 errors, which take 0.3 s to find and 1.3 s to list. So a value is checked by a validator whose collections
stop at their first misfit (``fail_fast``). Only a small value that does not fit is checked again, to list all that is wrong
with it.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any, Final, cast

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError, SchemaValidator

from limen.declare.misfits import Misfits, listed

# Values in a document of which everything is listed that is wrong with it; a larger one stops at the first misfit of each
# collection. A model with ten required fields makes 5,000 errors of so many empty objects: about 2 ms.
MOST_SEARCHED: Final = 512

# Kinds of a core schema that hold any number of values, and can stop at the first that does not fit.
_COLLECTIONS: Final = frozenset(
    ("list", "tuple", "set", "frozenset", "deque", "dict", "frozendict", "ordered-dict", "counter")
)

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


# A value that does not fit, where nobody asks why.
UNTOLD: Final = Misfits(())


class Checker:
    """A type's validator. A value that does not fit comes back as ``Misfits``."""

    __slots__ = ("_adapter", "_first", "_stops")

    def __init__(
        self, adapter: TypeAdapter[object], *, guarded: Collection[int] = (), closed: Collection[int] = ()
    ) -> None:
        """Derive the validator that stops early, where there is anything to stop in.

        ``guarded`` are the parts of the core schema, by id, whose function may see no object, and ``closed`` those that
        refuse what they do not name, although the type ignores it.
        """
        self._adapter = adapter
        copier = _Copier(guarded, closed)
        schema = copier.copy(cast("Mapping[str, Any]", adapter.core_schema))
        self._stops = copier.stops
        # Not the validators that models have ready: those are not of the copy.
        changed = copier.stops or guarded or closed
        self._first = SchemaValidator(cast("Any", schema), _use_prebuilt=False) if changed else adapter.validator

    def json(self, content: bytes, at: tuple[str | int, ...]) -> object | Misfits:
        """Return what the JSON ``content`` says, or what is wrong with it; ``at`` is where it stands."""
        try:
            return self._first.validate_json(content)
        except ValidationError as error:
            # Those in strings are counted too: it is a bound on work, and no exact one.
            values = content.count(b",") + content.count(b"{") + content.count(b"[")
            return self._found(error, at, values, partial(self._adapter.validate_json, content))

    def quick(self, content: bytes) -> object | Misfits:
        """Return what the JSON ``content`` says, or ``UNTOLD`` where something is wrong with it."""
        try:
            return self._first.validate_json(content)
        except ValidationError:
            return UNTOLD

    def python(self, value: object, at: tuple[str | int, ...], values: int = 1) -> object | Misfits:
        """Return ``value`` as the type has it, or what is wrong with it; ``values`` is how many it holds."""
        try:
            return self._first.validate_python(value)
        except ValidationError as error:
            return self._found(error, at, values, partial(self._adapter.validate_python, value))

    def attributes(self, value: object) -> object:
        """Return ``value`` as the type has it, attributes of objects taken for members; raises what is wrong with it."""
        try:
            return self._first.validate_python(value, from_attributes=True)
        except ValidationError as error:
            again = partial(self._adapter.validate_python, value, from_attributes=True)
            raise self._searched(error, _values(value), again) from None

    def _found(
        self, error: ValidationError, at: tuple[str | int, ...], values: int, again: Callable[[], object]
    ) -> Misfits:
        return listed(self._searched(error, values, again), at)

    def _searched(self, error: ValidationError, values: int, again: Callable[[], object]) -> ValidationError:
        if self._stops and values <= MOST_SEARCHED:
            try:
                again()
            except ValidationError as whole:
                return whole
        return error


def _values(value: object) -> int:
    """Count what lists and mappings within ``value`` hold, no further than is worth knowing."""
    count, left = 0, [value]
    while left and count <= MOST_SEARCHED:
        one = left.pop()
        if isinstance(one, Mapping):
            within = list(islice(cast("Mapping[object, object]", one).values(), MOST_SEARCHED + 1))
        elif isinstance(one, list):
            within = cast("list[object]", one)[: MOST_SEARCHED + 1]
        else:
            continue
        count += 1 + len(within)
        left += within
    return count


class _Copier:
    """Copies a core schema so that its collections stop; ``stops`` tells whether there were any."""

    def __init__(self, guarded: Collection[int], closed: Collection[int]) -> None:
        self.stops = False
        self._guarded = guarded
        self._closed = closed
        # A schema may stand in several places as one object: it is copied once, or the copies could be without end.
        self._done: dict[int, dict[str, Any]] = {}

    def copy(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        known = self._done.get(id(schema))
        if known is not None:
            return known
        made = self._done[id(schema)] = dict(schema)
        if made.get("type") in _COLLECTIONS:
            made["fail_fast"] = True
            self.stops = True
        if id(schema) in self._closed:
            made["extra_behavior"] = "forbid"
        if id(schema) in self._guarded:
            made["function"] = made["function"] | {"function": _guard(made["function"]["function"])}
        for key in _INNER:
            if key in made:
                made[key] = self._within(made[key])
        for key in _NAMED:
            if key in made:
                inner = made[key]
                made[key] = (
                    {name: self._within(one) for name, one in cast("Mapping[object, object]", inner).items()}
                    if isinstance(inner, Mapping)
                    else self._within(inner)
                )
        return made

    def _within(self, inner: object) -> object:
        if isinstance(inner, Mapping):
            return self.copy(cast("Mapping[str, Any]", inner))
        if isinstance(inner, tuple):
            return tuple(map(self._within, cast("Sequence[object]", inner)))
        if isinstance(inner, list):
            return list(map(self._within, cast("Sequence[object]", inner)))
        return inner


def _guard(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a validator that refuses objects before ``function`` sees them: what it ignores of one cannot be known."""

    def guarded(value: object, *more: Any) -> Any:
        if _has_object(value):
            raise PydanticCustomError("object_not_taken", "Input should hold no object here")
        return function(value, *more)

    return guarded


def _has_object(value: object) -> bool:
    return isinstance(value, Mapping) or (
        isinstance(value, list) and any(map(_has_object, cast("list[object]", value)))
    )
