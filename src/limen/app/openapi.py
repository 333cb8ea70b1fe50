"""What the public document adds to FastAPI's: problems, the gateway's statuses, and how callers authenticate."""

from typing import Any

from pydantic import BaseModel, Field

from limen.auth.api_keys import ApiKeys
from limen.auth.method import Method, Methods
from limen.errors import Kind
from limen.http.replies import title
from limen.runtime.route import Route

_BEARER = "bearer"


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
    errors_omitted: int | None = Field(default=None, description="How many more places do not fit.")


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return FastAPI ``responses`` that document ``statuses`` as problem documents."""
    # The schema is for problem+json only; FastAPI's own ``model`` key would add application/json.
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": title(status), "content": content} for status in sorted(statuses)}


def refusals(route: Route) -> dict[int | str, dict[str, Any]]:
    """Return FastAPI ``responses`` that document the refusals of ``route``."""
    responses = problems(*statuses(route))
    if route.contract.streamed:
        # FastAPI would document a 422 of its own, but the gateway does not read the form.
        responses.setdefault(422, {"description": "The service may refuse the form, which it alone reads."})
    return responses


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
    if route.contract.streamed:
        kinds.add(Kind.MEDIA_TYPE)
    if route.after:
        kinds.add(Kind.HOOK_FAILED)
    return {kind.status for kind in kinds}


def security(methods: Methods) -> list[dict[str, list[str]]]:
    """Return the security requirements of an operation: any one of ``methods`` is enough."""
    return [{name: []} for name in dict.fromkeys(map(_scheme_of, methods))]


def schemes(methods: Methods) -> dict[str, dict[str, str]]:
    """Return the security schemes of ``methods`` by the names that ``security`` uses."""
    by_name: dict[str, dict[str, str]] = {}
    for method in methods:
        if isinstance(method, ApiKeys):
            by_name[_scheme_of(method)] = {"type": "apiKey", "in": "header", "name": method.header}
        else:
            by_name[_scheme_of(method)] = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    return by_name


def _scheme_of(method: Method) -> str:
    return method.header if isinstance(method, ApiKeys) else _BEARER


def complete(document: dict[str, Any], methods: Methods) -> dict[str, Any]:
    """Add to ``document`` the schemas that the routes refer to, and the security schemes of ``methods``."""
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(schema.pop("$defs", {}))
    schemas["Problem"] = schema
    for unused in ("HTTPValidationError", "ValidationError"):
        if f'"#/components/schemas/{unused}"' not in str(document).replace("'", '"'):
            schemas.pop(unused, None)
    components.setdefault("securitySchemes", {}).update(schemes(methods))
    return document
