"""What the ``HTTPException`` of an endpoint, a dependency or an ``after`` hook says, Starlette's class or FastAPI's."""

import json
from typing import cast

from fastapi.utils import is_body_allowed_for_status_code
from starlette.exceptions import HTTPException

from limen.http.replies import title
from limen.observe.redaction import logger

_log = logger("limen.app.http_exceptions")


def has_content(error: HTTPException) -> bool:
    """Tell whether an answer with the status of ``error`` has content; as FastAPI does, 204, 205 and 304 have none."""
    return is_body_allowed_for_status_code(error.status_code)


def detail_of(error: HTTPException, place: str) -> object:
    """Return the ``detail`` of ``error`` as JSON can say it; without one, the phrase of its status.

    FastAPI takes any JSON. What is none is written to the log, with ``place``: the status matters more to the client.
    """
    detail = cast("object", error.detail)  # Starlette's says that it is text, FastAPI's takes anything
    if detail is None:
        return title(error.status_code)
    if not isinstance(detail, str):
        try:
            json.dumps(detail, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as failure:
            _log.error(
                "%s raised HTTPException(%d) with a detail (%s) that JSON cannot say (%s); give text, or dict and list of it",
                *(place, error.status_code, type(detail).__name__, type(failure).__name__),
            )
            return title(error.status_code)
    return detail
