"""The objects of an OpenAPI document, as a table: which members of an object hold further objects.

Whatever the table does not name is data, such as examples, defaults and extensions: nothing in it is a reference.
"""

from dataclasses import dataclass
from typing import Final, Literal

Shape = Literal["one", "list", "map"]


@dataclass(frozen=True, slots=True)
class Holds:
    """A member holds one object of a ``kind``, a list of them, or a map from names to them."""

    shape: Shape
    kind: str


def _one(kind: str) -> Holds:
    return Holds("one", kind)


def _several(kind: str) -> Holds:
    return Holds("list", kind)


def _named(kind: str) -> Holds:
    return Holds("map", kind)


_DESCRIBED: Final = {"schema": _one("schema"), "examples": _named("example"), "content": _named("media_type")}

MEMBERS: Final[dict[str, dict[str, Holds]]] = {
    "path_item": {
        "parameters": _several("parameter"),
        **dict.fromkeys(
            ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query"), _one("operation")
        ),
        "additionalOperations": _named("operation"),
    },
    "operation": {
        "parameters": _several("parameter"),
        "requestBody": _one("request_body"),
        "responses": _named("response"),
        "callbacks": _named("callback"),
    },
    "parameter": _DESCRIBED,
    "header": _DESCRIBED,
    "request_body": {"content": _named("media_type")},
    "media_type": {
        "schema": _one("schema"),
        "itemSchema": _one("schema"),
        "examples": _named("example"),
        "encoding": _named("encoding"),
        "prefixEncoding": _several("encoding"),
        "itemEncoding": _one("encoding"),
    },
    "encoding": {
        "headers": _named("header"),
        "encoding": _named("encoding"),
        "prefixEncoding": _several("encoding"),
        "itemEncoding": _one("encoding"),
    },
    "response": {"headers": _named("header"), "content": _named("media_type"), "links": _named("link")},
    "schema": {
        **dict.fromkeys(
            ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas"), _named("schema")
        ),
        **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), _several("schema")),
        **dict.fromkeys(
            (
                *("additionalProperties", "contains", "contentSchema", "else", "if", "items", "not", "propertyNames"),
                *("then", "unevaluatedItems", "unevaluatedProperties"),
            ),
            _one("schema"),
        ),
    },
    "example": {},
    "link": {},
}
"""The members of each kind of object that hold objects. Every member of a ``callback`` is a path item."""

SECTIONS: Final = {
    "schema": "schemas",
    "response": "responses",
    "parameter": "parameters",
    "example": "examples",
    "request_body": "requestBodies",
    "header": "headers",
    "link": "links",
    "callback": "callbacks",
    "path_item": "pathItems",
    "media_type": "mediaTypes",
}
"""The section of the components for each kind that may be there."""
