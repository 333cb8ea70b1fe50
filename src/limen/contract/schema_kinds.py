"""The kinds of pydantic's core schemas, by what they read of a document."""

from typing import Final

SCALARS: Final = frozenset(
    (
        *("none", "bool", "int", "float", "complex", "str", "bytes", "decimal", "fraction", "literal", "enum", "uuid"),
        *("date", "time", "datetime", "timedelta", "url", "multi-host-url", "missing-sentinel", "ellipsis"),
    )
)
ANYTHING: Final = frozenset(("any", "is-instance", "is-subclass", "callable", "invalid"))
ARRAYS: Final = frozenset(("list", "set", "frozenset", "deque"))
MAPPINGS: Final = frozenset(("dict", "frozendict", "ordered-dict", "counter"))
OBJECTS: Final = frozenset(("model-fields", "typed-dict", "dataclass-args"))
UNIONS: Final = frozenset(("union", "tagged-union"))
# These only look at, or replace, what the schema within has read.
WRAPPERS: Final = frozenset(("nullable", "default", "function-after", "custom-error"))
# A function of these sees the value before, around or instead of pydantic.
FUNCTIONS: Final = frozenset(("function-before", "function-wrap", "function-plain"))
# Each of these has a rule of its own.
OTHERS: Final = frozenset(
    (
        *("tuple", "named-tuple", "json-or-python", "lax-or-strict", "definitions", "definition-ref"),
        *("model", "dataclass", "chain", "json"),
    )
)
# Of these nothing is known: they are read when somebody iterates, or they are calls.
OPAQUE: Final = frozenset(("generator", "arguments", "arguments-v3", "call"))

KNOWN: Final = SCALARS | ANYTHING | ARRAYS | MAPPINGS | OBJECTS | UNIONS | WRAPPERS | FUNCTIONS | OTHERS | OPAQUE
"""All kinds that limen has a rule for; another one is opaque."""
