"""The problem document as a model and as a schema, and ``responses=`` that document it.

The schema stands whole in each response, without a ``$ref``: so it is valid in any document, also in one of plain FastAPI.
``hoisting`` moves it to the components of a gateway's document.
"""

from functools import cache
from typing import Any

from pydantic import BaseModel, Field

from limen.app.document.json_types import Json
from limen.http.replies import title

PROBLEM_JSON = "application/problem+json"


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


@cache
def problem_schema() -> Json:
    """Return the schema of ``Problem``, without a ``$ref``. It is one object, shared: nobody may change it."""
    schema, places = model_schemas()
    schema["properties"]["errors"]["anyOf"][0]["items"] = places
    return schema


def model_schemas() -> tuple[Json, Json]:
    """Return the schemas of ``Problem`` and ``InvalidPlace`` as FastAPI puts them into the components of a document."""
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    places = schema.pop("$defs")[InvalidPlace.__name__]
    for member in schema["properties"].values():
        if member.get("default", "") is None:
            del member["default"]  # FastAPI's documents have no null
    return schema, places


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return FastAPI ``responses`` that document ``statuses`` as problem documents.

    They work in any application of FastAPI, on operations and on routers: ``responses=problems(404, 409)``.
    """
    # The schema is for problem+json only; FastAPI's own ``model`` key would add application/json.
    return {
        status: {"description": title(status), "content": {PROBLEM_JSON: {"schema": problem_schema()}}}
        for status in sorted(statuses)
    }
