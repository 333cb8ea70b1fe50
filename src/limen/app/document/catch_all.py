"""The operations of a forward whose service says nothing of itself: one for each method, with the service's answer."""

import re
from collections.abc import Iterator
from typing import Final

from limen.app.document.documented_forward import DocumentedForward
from limen.app.document.json_types import METHODS, Json, operations
from limen.app.document.operation_ids import free_id
from limen.app.document.path_templates import names, shape, template
from limen.app.document.service_operations import PublishedOperation
from limen.routing.pattern import Pattern

# As FastAPI, which documents these only where somebody declares them.
_NOT_SHOWN: Final = frozenset(("HEAD", "OPTIONS"))
_WITH_CONTENT: Final = frozenset(("POST", "PUT", "PATCH"))
_NO_WORD: Final = re.compile(r"\W+")


def catch_alls(document: Json, forward: DocumentedForward) -> Iterator[PublishedOperation]:
    """Yield the operations of ``forward``; what ``document`` has already at a path and method stays."""
    pattern = Pattern.parse(forward.route.path)
    own = template(pattern)
    known = {shape(path): path for path in document.get("paths", {})}
    path = known.get(shape(own), own)
    tails = {segment.text for segment in pattern.segments if segment.tail}
    parameters = [_parameter(shown, tail=name in tails) for name, shown in zip(names(own), names(path), strict=True)]
    there = document.get("paths", {}).get(path, {})
    taken: set[str | None] = {operation.get("operationId") for _, _, operation in operations(document)}
    for name in forward.route.methods:
        method = name.lower()
        if name in _NOT_SHOWN or method not in METHODS or method in there:
            continue
        operation_id = free_id(f"{_NO_WORD.sub('_', forward.shown_name)}_{method}", path, method, taken)
        taken.add(operation_id)
        operation: Json = {
            "summary": forward.summary or forward.shown_name.replace("_", " ").title(),
            "description": forward.description or f"Whatever the service `{forward.route.upstream.name}` has there.",
            "operationId": operation_id,
            **({"parameters": [dict(one) for one in parameters]} if parameters else {}),
            **({"requestBody": {"content": {"*/*": {"schema": {}}}}} if name in _WITH_CONTENT else {}),
            "responses": {"default": {"description": "The service's answer."}},
        }
        yield PublishedOperation(path, method, operation)


def _parameter(name: str, *, tail: bool) -> Json:
    said = {"description": "The rest of the path, with its slashes."} if tail else {}
    return {"name": name, "in": "path", "required": True, **said, "schema": {"type": "string"}}
