"""What many operations of a document share: the responses of the gateway, their examples, the schema of problems.

It stands in the components once, so that a document stays small. Names that the user has taken stay the user's.
"""

import json
from typing import Final

from limen.app.document.json_types import Json, operations
from limen.app.document.problem import PROBLEM_JSON, model_schemas, problem_schema
from limen.errors import Fault, Kind
from limen.http.replies import problem, title

REQUEST_ID: Final = "9f2c4a7be1d04c6f8a35b7d2c9e01f64"
"""The request id of the examples, in the form of the gateway's own ids."""

_REQUEST_ID_NAME: Final = "X-Request-ID"
_REQUEST_ID_HEADER: Final[Json] = {
    "description": "The id of the request: quote it when asking for help.",
    "required": True,
    "schema": {"type": "string"},
}

_HEADERS: Final[dict[bytes, tuple[str, Json]]] = {
    b"www-authenticate": (
        "WWW-Authenticate",
        {
            "description": "How to authenticate, and what was wrong (RFC 6750, section 3).",
            "schema": {"type": "string"},
        },
    ),
    b"retry-after": (
        "Retry-After",
        {"description": "Seconds to wait before the next try.", "schema": {"type": "integer", "minimum": 1}},
    ),
}

# Responses that differ from route to route: each stands whole in its operation.
_OF_ONE_ROUTE: Final = frozenset(
    kind.status
    for kind in (Kind.TOKEN_MISSING, Kind.FORBIDDEN, Kind.BODY_TOO_LARGE, Kind.MEDIA_TYPE, Kind.INVALID_REQUEST)
)
_OF_FASTAPI: Final = ("HTTPValidationError", "ValidationError")


def free_name(wanted: str, value: object, taken: Json) -> str:
    """Return ``wanted`` if it is free in a section, or has this ``value`` there; else a name that is free."""
    number, name = 1, wanted
    while name in taken and taken[name] != value:
        number += 1
        name = f"{wanted}_{number}"
    return name


class Shared:
    """The components of one document, as the operations of a gateway use them."""

    def __init__(self, document: Json) -> None:
        """Add nothing yet."""
        self._components: dict[str, Json] = document.setdefault("components", {})
        self._responses: dict[tuple[Fault, ...], Json] = {}
        self._examples: dict[Fault, Json] = {}
        self._schema: Json | None = None
        self._header: Json | None = None

    def refusal(self, status: int, faults: tuple[Fault, ...]) -> Json:
        """Return what documents ``faults``, all of one ``status``, in an operation: a reference where many share it."""
        if status in _OF_ONE_ROUTE:
            return self.response(status, faults)
        if faults not in self._responses:
            self._responses[faults] = self._reference("responses", f"Problem{status}", self.response(status, faults))
        return dict(self._responses[faults])

    def response(self, status: int, faults: tuple[Fault, ...]) -> Json:
        """Return the whole response that documents ``faults``."""
        return {
            "description": title(status),
            "headers": {**self.request_id(), **_headers(faults)},
            "content": {
                PROBLEM_JSON: {
                    "schema": self.schema(),
                    "examples": {fault.kind.code: self._example(fault) for fault in faults},
                }
            },
        }

    def request_id(self) -> dict[str, Json]:
        """Return the header field that every answer of a gateway route has."""
        self._header = self._header or self._reference("headers", _REQUEST_ID_NAME, _REQUEST_ID_HEADER)
        return {_REQUEST_ID_NAME: dict(self._header)}

    def schema(self) -> Json:
        """Return a reference to the schema of problems; where the user has one of that name, ours is named otherwise."""
        if self._schema is None:
            schemas = self._components.setdefault("schemas", {})
            free = "Problem" not in schemas or _is_our_model(schemas)
            self._schema = self._reference("schemas", "Problem" if free else "limen__Problem", problem_schema())
        return dict(self._schema)

    def _example(self, fault: Fault) -> Json:
        if fault not in self._examples:
            example = {"summary": fault.text, "value": json.loads(problem(fault, REQUEST_ID).body)}
            # What is wrong with a request is told of one route.
            self._examples[fault] = example if fault.errors else self._reference("examples", fault.kind.code, example)
        return self._examples[fault]

    def _reference(self, section: str, wanted: str, value: Json) -> Json:
        members = self._components.setdefault(section, {})
        name = wanted if section == "schemas" and wanted == "Problem" else free_name(wanted, value, members)
        members.setdefault(name, value)
        return {"$ref": f"#/components/{section}/{name}"}


def share_problems(document: Json, shared: Shared) -> None:
    """Let the responses that ``problems`` has made refer to the one schema of problems."""
    own = problem_schema()
    for _, _, operation in operations(document):
        for response in operation.get("responses", {}).values():
            media = response.get("content", {}).get(PROBLEM_JSON)
            if media is not None and media.get("schema") == own:
                media["schema"] = shared.schema()


def drop_unused(document: Json) -> None:
    """Drop FastAPI's own schemas of validation errors where nothing refers to them any more."""
    schemas = document.get("components", {}).get("schemas", {})
    for unused in _OF_FASTAPI:
        if unused in schemas and f'"#/components/schemas/{unused}"' not in json.dumps(document):
            del schemas[unused]


def drop_empty(document: Json) -> None:
    """Drop sections of the components that have nothing."""
    components = document.get("components", {})
    for section in [name for name, members in components.items() if not members]:
        del components[section]
    if not components:
        document.pop("components", None)


def _headers(faults: tuple[Fault, ...]) -> dict[str, Json]:
    """Return the header fields of these faults; one that all of them have is required."""
    found: dict[str, Json] = {}
    for name, (shown, header) in _HEADERS.items():
        values = [value.decode() for fault in faults for key, value in fault.headers if key == name]
        if values:
            examples = [int(value) if value.isdigit() else value for value in dict.fromkeys(values)]
            required = {"required": True} if len(values) == len(faults) else {}
            found[shown] = {**header, **required, "schema": {**header["schema"], "examples": examples}}
    return found


def _is_our_model(schemas: Json) -> bool:
    """Tell whether the schema ``Problem`` is ours: moved there before, or of ``limen.Problem`` as a model of the user's."""
    own, places = model_schemas()
    return schemas["Problem"] in (problem_schema(), own) and (
        schemas["Problem"] != own or schemas.get("InvalidPlace") == places
    )
