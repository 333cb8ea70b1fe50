"""Checks a value against a type, and lists no more violations than are useful.

pydantic collects every error before it raises: ``[{},{},...]`` of 256 KiB has 87,000 items. With eight required fields each
that makes 700,000 errors, which take 0.3 s to find and 1.3 s to list. So the validator that checks a value first stops each
collection at its first error (``fail_fast``). Only a small value that does not fit is checked again, to list all errors.
"""

from collections.abc import Callable, Collection, Mapping
from itertools import islice
from typing import Any, Final, cast

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError, SchemaValidator, from_json

from limen.contract.core_schema import Schema, SchemaChange, copy_schema
from limen.contract.violations import Violations, from_pydantic

# Values in a document of which every violation is listed. In a larger one, each collection stops at its first. A model with
# ten required fields makes 5,000 errors of so many empty objects: about 2 ms.
MOST_SEARCHED: Final = 512

# Kinds of core schemas that hold any number of values and know ``fail_fast``.
_COLLECTIONS: Final = frozenset(
    ("list", "tuple", "set", "frozenset", "deque", "dict", "frozendict", "ordered-dict", "counter")
)

# The value does not fit, and its violations were not asked for.
UNLISTED: Final = Violations(())


class Checker:
    """A type's validator. For a value that does not fit it returns ``Violations``.

    ``names`` are the names that the type itself gives to members.
    """

    __slots__ = ("_adapter", "_changes", "_decoded", "_exhaustive", "_fail_fast", "_has_collections", "names")

    def __init__(self, adapter: TypeAdapter[object], *changes: SchemaChange, decoded: bool = False) -> None:
        """Derive the validator that fails fast, if the type has collections or there are further ``changes``.

        ``decoded`` says that JSON is decoded before it is checked.
        """
        self._decoded = decoded
        self._adapter = adapter
        fail_fast = _FailFast()
        names = _MemberNames()
        schema = copy_schema(cast("Schema", adapter.core_schema), fail_fast, names, *changes)
        self._has_collections = fail_fast.any
        self.names = frozenset(names.collected)
        # A model's prebuilt validator is of the schema before the changes.
        changed = fail_fast.any or changes
        self._fail_fast = (
            SchemaValidator(cast("Any", schema), _use_prebuilt=False)
            if changed
            else cast("SchemaValidator", adapter.validator)
        )
        self._changes = changes
        self._exhaustive: SchemaValidator | None = None  # made when it is first needed

    def check_json(self, content: bytes, at: tuple[str | int, ...]) -> object | Violations:
        """Return the value of the JSON ``content``, or what is wrong with it; ``at`` is the path to it."""
        try:
            return self._read_json(self._fail_fast, content)
        except ValidationError as error:
            # Brackets and commas in strings are counted as well: this bounds the work, and need not be exact.
            values = content.count(b",") + content.count(b"{") + content.count(b"[")
            return self._violations(error, at, values, lambda: self._read_json(self._exhaustive_validator(), content))

    def check_json_unlisted(self, content: bytes) -> object | Violations:
        """Return the value of the JSON ``content``, or ``UNLISTED`` if it does not fit."""
        try:
            return self._read_json(self._fail_fast, content)
        except ValidationError:
            return UNLISTED

    def check_python(self, value: object, at: tuple[str | int, ...], values: int = 1) -> object | Violations:
        """Return ``value`` as the type has it, or what is wrong with it; ``values`` is how many it holds."""
        try:
            return self._fail_fast.validate_python(value)
        except ValidationError as error:
            return self._violations(error, at, values, lambda: self._exhaustive_validator().validate_python(value))

    def check_attributes(self, value: object) -> object:
        """Return ``value`` as the type has it; attributes of objects count as members. Raises pydantic's ValidationError."""
        try:
            return self._fail_fast.validate_python(value, from_attributes=True)
        except ValidationError as error:
            raise self._all_errors(
                error,
                _count_values(value),
                lambda: self._exhaustive_validator().validate_python(value, from_attributes=True),
            ) from None

    def _read_json(self, validator: SchemaValidator, content: bytes) -> object:
        if not self._decoded:
            return validator.validate_json(content)
        try:
            value = from_json(content)
        except ValueError:
            return validator.validate_json(content)  # which says where it is no JSON
        return validator.validate_python(value)

    def _exhaustive_validator(self) -> SchemaValidator:
        if self._exhaustive is None:
            if self._changes:
                schema = copy_schema(cast("Schema", self._adapter.core_schema), *self._changes)
                self._exhaustive = SchemaValidator(cast("Any", schema), _use_prebuilt=False)
            else:
                self._exhaustive = cast("SchemaValidator", self._adapter.validator)
        return self._exhaustive

    def _violations(
        self, error: ValidationError, at: tuple[str | int, ...], values: int, again: Callable[[], object]
    ) -> Violations:
        return from_pydantic(self._all_errors(error, values, again), at)

    def _all_errors(self, error: ValidationError, values: int, again: Callable[[], object]) -> ValidationError:
        if self._has_collections and values <= MOST_SEARCHED:
            try:
                again()
            except ValidationError as every:
                return every
        return error


def _count_values(value: object) -> int:
    """Count what lists and mappings within ``value`` hold, and stop beyond ``MOST_SEARCHED``."""
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


class _FailFast:
    """A change: collections stop at their first error. ``any`` tells whether the type has any."""

    def __init__(self) -> None:
        self.any = False

    def __call__(self, schema: Schema, config: Schema, copy: dict[str, Any]) -> None:
        if schema.get("type") in _COLLECTIONS:
            copy["fail_fast"] = True
            self.any = True


class _MemberNames:
    """Changes nothing, and collects the names that the type gives to members. Others come from a client or a service."""

    def __init__(self) -> None:
        self.collected: set[str] = set()

    def __call__(self, schema: Schema, config: Schema, copy: dict[str, Any]) -> None:
        fields: object = schema.get("fields")
        if isinstance(fields, Mapping):
            self.collected.update(cast("Mapping[str, object]", fields))
        elif schema.get("type") == "dataclass-args":
            self.collected.update(one["name"] for one in schema["fields"])
        alias: object = schema.get("validation_alias")
        if isinstance(alias, str):
            self.collected.add(alias)


def forbid_extra(schema_ids: Collection[int]) -> SchemaChange:
    """Return a change: the objects whose schemas have these ids refuse members that they do not name."""

    def change(schema: Schema, config: Schema, copy: dict[str, Any]) -> None:
        if id(schema) in schema_ids:
            copy["extra_behavior"] = "forbid"

    return change


def guard_functions(schema_ids: Mapping[int, frozenset[str] | None]) -> SchemaChange:
    """Return a change: the functions of schemas with these ids refuse objects with members that are not named.

    None refuses every object.
    """

    def change(schema: Schema, config: Schema, copy: dict[str, Any]) -> None:
        if id(schema) in schema_ids:
            names = schema_ids[id(schema)]
            if schema["type"] == "enum":  # with a ``_missing_`` of its own
                inner = {key: value for key, value in schema.items() if key not in ("ref", "serialization")}
                copy["type"] = "function-wrap"
                copy["function"] = {"type": "no-info", "function": _guarded(_call_handler, names)}
                copy["schema"] = inner
                for key in inner.keys() - {"type", "metadata"}:
                    del copy[key]
            else:
                copy["function"] = schema["function"] | {"function": _guarded(schema["function"]["function"], names)}

    return change


def _call_handler(value: object, handler: Callable[[object], object]) -> object:
    return handler(value)


def _guarded(function: Callable[..., Any], names: frozenset[str] | None) -> Callable[..., Any]:
    """Return ``function`` behind a check: it never gets members that it could ignore."""

    def wrapper(value: object, *more: Any) -> Any:
        if names is None:
            if _holds_object(value):
                raise PydanticCustomError("object_not_taken", "Input should hold no object here")
        elif isinstance(value, Mapping) and not names.issuperset(cast("Mapping[str, object]", value)):
            raise PydanticCustomError("extra_forbidden", "Input should have no members but those of the model")
        return function(value, *more)

    return wrapper


def _holds_object(value: object) -> bool:
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, Mapping):
            return True
        if isinstance(one, list):
            left += cast("list[object]", one)
    return False
