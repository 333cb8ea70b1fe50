"""The types of parsed JSON in a document. Nothing else lives here."""

from typing import Any

Json = dict[str, Any]
"""A JSON object, such as a document, an operation or a schema."""

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
"""The members of a path item that are operations (OpenAPI 3.1, section 4.8.9.1)."""


def operations(document: Json) -> list[tuple[str, str, Json]]:
    """Return path, method and operation of all that ``document`` has, in its order."""
    return [
        (path, method, item[method])
        for path, item in document.get("paths", {}).items()
        for method in item
        if method in METHODS
    ]
