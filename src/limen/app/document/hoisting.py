"""Moves what many operations share to the components, so that a document stays small.

Problem schemas, examples of problems and the header of the request id stand whole where they are made. Names that the user
has taken stay the user's.
"""

import json
from collections.abc import Iterator
from typing import Any

from limen.app.document.json_types import Json, operations
from limen.app.document.problem import PROBLEM_JSON, InvalidPlace, model_schemas, problem_schema
from limen.app.document.refusals import REQUEST_ID_HEADER

_OF_FASTAPI = ("HTTPValidationError", "ValidationError")


def hoist(document: Json) -> None:
    """Move what is shared within ``document`` to its components."""
    components: dict[str, Json] = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    _drop_unused(document, schemas)
    schema: Json | None = None
    for media in _problem_media(document):
        if media.get("schema") == problem_schema():
            schema = schema or _reference("schemas", _schema_name(schemas), problem_schema(), components)
            media["schema"] = schema
    _share_examples(document, components)
    _share_request_id(document, components)
    for section in [name for name, members in components.items() if not members]:
        del components[section]
    if not components:
        del document["components"]


def free_name(wanted: str, value: object, taken: Json) -> str:
    """Return ``wanted`` if it is free in a section, or has this ``value`` there; else a name that is free."""
    number, name = 1, wanted
    while name in taken and taken[name] != value:
        number += 1
        name = f"{wanted}_{number}"
    return name


def _reference(section: str, name: str, value: Json, components: dict[str, Json]) -> Json:
    components.setdefault(section, {}).setdefault(name, value)
    return {"$ref": f"#/components/{section}/{name}"}


def _responses(document: Json) -> Iterator[Json]:
    for _, _, operation in operations(document):
        yield from operation.get("responses", {}).values()


def _problem_media(document: Json) -> Iterator[Json]:
    for response in _responses(document):
        media = response.get("content", {}).get(PROBLEM_JSON)
        if media is not None:
            yield media


def _schema_name(schemas: Json) -> str:
    """Return the name for the schema of problems; where the user has one of that name, it is named as pydantic would."""
    if "Problem" not in schemas or schemas["Problem"] == problem_schema() or _is_our_model(schemas):
        return "Problem"
    return free_name("limen__Problem", problem_schema(), schemas)


def _is_our_model(schemas: Json) -> bool:
    """Tell whether the user documents ``limen.Problem`` itself as a model."""
    own, places = model_schemas()
    return schemas["Problem"] == own and schemas.get(InvalidPlace.__name__) == places


def _share_examples(document: Json, components: dict[str, Json]) -> None:
    """Move examples that two operations or more have, and under one name."""
    uses: dict[str, list[tuple[Json, str]]] = {}
    for media in _problem_media(document):
        for code, example in media.get("examples", {}).items():
            if "$ref" not in example:
                uses.setdefault(json.dumps([code, example], sort_keys=True), []).append((media["examples"], code))
    for places in uses.values():
        if len(places) < 2:
            continue
        examples, code = places[0]
        name = free_name(code, examples[code], components.setdefault("examples", {}))
        shared = _reference("examples", name, examples[code], components)
        for where, key in places:
            where[key] = shared


def _share_request_id(document: Json, components: dict[str, Json]) -> None:
    ((name, header),) = REQUEST_ID_HEADER.items()
    shared: Json | None = None
    for response in _responses(document):
        headers: Any = response.get("headers", {})
        if headers.get(name) == header:
            key = free_name(name, header, components.setdefault("headers", {}))
            shared = shared or _reference("headers", key, header, components)
            headers[name] = shared


def _drop_unused(document: Json, schemas: Json) -> None:
    """Drop FastAPI's own schemas of validation errors where no operation has them any more."""
    for unused in _OF_FASTAPI:
        if f'"#/components/schemas/{unused}"' not in json.dumps(document):
            schemas.pop(unused, None)
