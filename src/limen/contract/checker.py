"""What checks a value against a type, and finds only as many misfits as there is use for.

pydantic collects every error before it raises: ``[{},{},...]`` of 256 KiB has 87,000 items, and with eight required fields
each 700,000 errors, which take 0.3 s to find and 1.3 s to list. So a value is checked by a validator whose collections
stop at their first misfit (``fail_fast``). Only a small value that does not fit is checked again, to list all that is wrong
with it.
"""

from collections.abc import Callable, Collection, Mapping
from itertools import islice
from typing import Any, Final, cast

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError, SchemaValidator

from limen.contract.core_schema import Change, Schema, copied
from limen.contract.misfits import Misfits, listed

# Values in a document of which everything is listed that is wrong with it; a larger one stops at the first misfit of each
# collection. A model with ten required fields makes 5,000 errors of so many empty objects: about 2 ms.
MOST_SEARCHED: Final = 512

# Kinds of a core schema that hold any number of values, and can stop at the first that does not fit.
_COLLECTIONS: Final = frozenset(
    ("list", "tuple", "set", "frozenset", "deque", "dict", "frozendict", "ordered-dict", "counter")
)

# A value that does not fit, where nobody asks why.
UNTOLD: Final = Misfits(())


class Checker:
    """A type's validator. A value that does not fit comes back as ``Misfits``.

    ``names`` are those that the type itself gives to members.
    """

    __slots__ = ("_adapter", "_changes", "_first", "_stops", "_whole", "names")

    def __init__(self, adapter: TypeAdapter[object], *changes: Change) -> None:
        """Derive the validator that stops early, where there is anything to stop in, with further ``changes``."""
        self._adapter = adapter
        stops = _Stops()
        names = _Names()
        schema = copied(cast("Schema", adapter.core_schema), stops, names, *changes)
        self._stops = stops.any
        self.names = frozenset(names.found)
        # Not the validators that models have ready: those are not of the copy.
        changed = stops.any or changes
        self._first = SchemaValidator(cast("Any", schema), _use_prebuilt=False) if changed else adapter.validator
        self._changes = changes
        self._whole: SchemaValidator | None = None  # the one that finds everything, made when it is first asked

    def json(self, content: bytes, at: tuple[str | int, ...]) -> object | Misfits:
        """Return what the JSON ``content`` says, or what is wrong with it; ``at`` is where it stands."""
        try:
            return self._first.validate_json(content)
        except ValidationError as error:
            # Those in strings are counted too: it is a bound on work, and no exact one.
            values = content.count(b",") + content.count(b"{") + content.count(b"[")
            return self._found(error, at, values, lambda: self._searching().validate_json(content))

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
            return self._found(error, at, values, lambda: self._searching().validate_python(value))

    def attributes(self, value: object) -> object:
        """Return ``value`` as the type has it, attributes of objects taken for members; raises what is wrong with it."""
        try:
            return self._first.validate_python(value, from_attributes=True)
        except ValidationError as error:
            raise self._searched(
                error, _values(value), lambda: self._searching().validate_python(value, from_attributes=True)
            ) from None

    def _searching(self) -> SchemaValidator:
        if self._whole is None:
            if self._changes:
                schema = copied(cast("Schema", self._adapter.core_schema), *self._changes)
                self._whole = SchemaValidator(cast("Any", schema), _use_prebuilt=False)
            else:
                self._whole = cast("SchemaValidator", self._adapter.validator)
        return self._whole

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


class _Stops:
    """A change: collections stop at their first misfit; ``any`` tells whether there are any."""

    def __init__(self) -> None:
        self.any = False

    def __call__(self, schema: Schema, config: Schema, made: dict[str, Any]) -> None:
        if schema.get("type") in _COLLECTIONS:
            made["fail_fast"] = True
            self.any = True


class _Names:
    """No change: collects the names that the type itself gives to members. Others are a client's, or a service's."""

    def __init__(self) -> None:
        self.found: set[str] = set()

    def __call__(self, schema: Schema, config: Schema, made: dict[str, Any]) -> None:
        fields: object = schema.get("fields")
        if isinstance(fields, Mapping):
            self.found.update(cast("Mapping[str, object]", fields))
        elif schema.get("type") == "dataclass-args":
            self.found.update(one["name"] for one in schema["fields"])
        alias: object = schema.get("validation_alias")
        if isinstance(alias, str):
            self.found.add(alias)


def closed(parts: Collection[int]) -> Change:
    """Return a change: those ``parts`` of the core schema, by id, refuse what they do not name."""

    def change(schema: Schema, config: Schema, made: dict[str, Any]) -> None:
        if id(schema) in parts:
            made["extra_behavior"] = "forbid"

    return change


def guarded(parts: Mapping[int, frozenset[str] | None]) -> Change:
    """Return a change: the function of those ``parts``, by id, sees objects with certain names alone; None is no object."""

    def change(schema: Schema, config: Schema, made: dict[str, Any]) -> None:
        if id(schema) in parts:
            names = parts[id(schema)]
            if schema["type"] == "enum":  # with a ``_missing_`` of its own
                inner = {key: value for key, value in schema.items() if key not in ("ref", "serialization")}
                made["type"] = "function-wrap"
                made["function"] = {"type": "no-info", "function": _guard(_handle, names)}
                made["schema"] = inner
                for key in inner.keys() - {"type", "metadata"}:
                    del made[key]
            else:
                made["function"] = schema["function"] | {"function": _guard(schema["function"]["function"], names)}

    return change


def _handle(value: object, handler: Callable[[object], object]) -> object:
    return handler(value)


def _guard(function: Callable[..., Any], names: frozenset[str] | None) -> Callable[..., Any]:
    """Return ``function``, which is kept from what it could ignore."""

    def seen(value: object, *more: Any) -> Any:
        if names is None:
            if _has_object(value):
                raise PydanticCustomError("object_not_taken", "Input should hold no object here")
        elif isinstance(value, Mapping) and not names.issuperset(cast("Mapping[str, object]", value)):
            raise PydanticCustomError("extra_forbidden", "Input should have no members but those of the model")
        return function(value, *more)

    return seen


def _has_object(value: object) -> bool:
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, Mapping):
            return True
        if isinstance(one, list):
            left += cast("list[object]", one)
    return False
