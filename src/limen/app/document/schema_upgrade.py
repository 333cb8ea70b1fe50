"""Schemas of OpenAPI 3.0 as OpenAPI 3.1 writes them: 3.0 had members of its own in place of some of JSON Schema."""

from limen.app.document.json_types import Json


def upgraded(schema: Json) -> Json:
    """Return ``schema``, one of 3.0, in the words of 3.1. Schemas within it are left alone."""
    for bound in ("minimum", "maximum"):
        exclusive = f"exclusive{bound.capitalize()}"
        if isinstance(schema.get(exclusive), bool):
            holds = schema.pop(exclusive)
            if holds and bound in schema:
                schema[exclusive] = schema.pop(bound)
    # Without a type, ``nullable`` says nothing (OpenAPI 3.0.3, section 4.7.24.1).
    if schema.pop("nullable", False) is True and isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
        if isinstance(schema.get("enum"), list) and None not in schema["enum"]:
            schema["enum"] = [*schema["enum"], None]
    return schema
