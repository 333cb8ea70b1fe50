"""The OpenAPI document of a gateway, read as its users read it: operations, schemas, and what fits them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jsonschema_rs

Json = dict[str, Any]

_METHODS = frozenset(("get", "put", "post", "delete", "patch", "head", "options"))


@dataclass(frozen=True)
class Operation:
    """One operation: what the document says of it, and where."""

    method: str
    path: str
    said: Json

    @property
    def name(self) -> str:
        """Method and path."""
        return f"{self.method} {self.path}"

    @property
    def parameters(self) -> list[Json]:
        """What it says of its parameters."""
        return self.said.get("parameters", [])

    @property
    def body(self) -> Json | None:
        """The schema of its JSON body."""
        return _schema(self.said.get("requestBody", {}))

    @property
    def media_type(self) -> str | None:
        """The media type of that body."""
        return next(iter(self.said.get("requestBody", {}).get("content", {})), None)

    @property
    def answers(self) -> Iterator[Json]:
        """The schemas of what it answers when all is well."""
        for status, response in self.said["responses"].items():
            if status.startswith("2") and (schema := _schema(response)) is not None:
                yield schema


def _schema(content: Json) -> Json | None:
    """Return the schema of what is JSON: ``application/json``, or a type of its own with ``+json`` (RFC 6839)."""
    for media_type, said in content.get("content", {}).items():
        if media_type == "application/json" or (media_type.endswith("+json") and "problem" not in media_type):
            return said.get("schema")
    return None


class Published:
    """A document."""

    def __init__(self, document: Json) -> None:
        self.document = document
        self._components: Json = {"components": document["components"]}

    @property
    def operations(self) -> list[Operation]:
        """All of it, in order."""
        return [
            Operation(method.upper(), path, said)
            for path, item in self.document["paths"].items()
            for method, said in item.items()
            if method in _METHODS
        ]

    def resolve(self, schema: Json) -> Json:
        """Return what a reference leads to; for a list, its items."""
        if schema.get("type") == "array":
            return self.resolve(schema["items"])
        return self.follow(schema)

    def follow(self, value: Json) -> Json:
        """Return ``value``, or what it refers to: a schema, a response or a header of the components."""
        reference: str | None = value.get("$ref")
        if reference is None:
            return value
        _, components, kind, name = reference.split("/")
        return self.document[components][kind][name]

    def fits(self, schema: Json, value: object) -> bool:
        """Tell whether ``value`` fits, as a validator of JSON Schema reads it: patterns are those of ECMA-262."""
        return jsonschema_rs.is_valid({**schema, **self._components}, value, validate_formats=True)

    def examples(self, schema: Json) -> list[Any]:
        """Return the examples of ``schema``, or of what it refers to."""
        return self.resolve(schema).get("examples", [])
