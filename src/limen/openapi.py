"""What the public document says beyond FastAPI's own: problems, the gateway's statuses and the bearer scheme."""

from typing import Any

from pydantic import BaseModel, Field

from limen.declare.route import Route
from limen.errors import Kind
from limen.http.replies import title

SCHEME = "bearer"
SECURITY_SCHEME = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


class InvalidPlace(BaseModel):
    """One place where a request does not fit."""

    loc: list[str | int] = Field(description="The path to the value, beginning with where it was sent.")
    msg: str
    type: str


class Problem(BaseModel):
    """A problem document (RFC 9457) with a stable code."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str = Field(description="The stable name of what went wrong.")
    request_id: str | None = Field(default=None, description="Quote it when asking for help.")
    errors: list[InvalidPlace] | None = None


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return FastAPI ``responses`` that document ``statuses`` as problem documents."""
    # The model goes in under problem+json only; FastAPI's own ``model`` key would add application/json.
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": title(status), "content": content} for status in sorted(statuses)}


def statuses(route: Route) -> set[int]:
    """Return the statuses that the gateway itself may give on ``route``."""
    kinds = {
        Kind.BAD_PATH,
        Kind.URI_TOO_LONG,
        Kind.HEAD_TOO_LARGE,
        Kind.UPSTREAM_PROTOCOL,
        Kind.UPSTREAM_REFUSED,
        Kind.ANSWER_TIMEOUT,
    }
    if not route.allow.public:
        kinds |= {Kind.TOKEN_MISSING, Kind.FORBIDDEN}
    if route.contract.params or route.contract.body:
        kinds.add(Kind.INVALID_REQUEST)
    if route.contract.body:
        kinds |= {Kind.BODY_TOO_LARGE, Kind.MEDIA_TYPE}
    if route.after:
        kinds.add(Kind.HOOK_FAILED)
    return {kind.status for kind in kinds}


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """Add the schemas and the security scheme that the routes refer to."""
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(schema.pop("$defs", {}))
    schemas["Problem"] = schema
    for unused in ("HTTPValidationError", "ValidationError"):
        if f'"#/components/schemas/{unused}"' not in str(document).replace("'", '"'):
            schemas.pop(unused, None)
    components.setdefault("securitySchemes", {})[SCHEME] = SECURITY_SCHEME
    return document
