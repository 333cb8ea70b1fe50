"""The gateway's own FastAPI endpoints, and paths without an endpoint: their problems are the same as on gateway routes."""

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount

from limen.contract.violations import MOST_LISTED, violation
from limen.engines.asgi.record import OUTCOME
from limen.errors import Kind
from limen.http.replies import places, title
from limen.observe.access import shown_path
from limen.observe.redaction import logger
from limen.routing.find import IMPLEMENTED

_log = logger("limen.app.local")

_CODES = {
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    422: "invalid_request",
    500: "internal_error",
}


def _method_and_path(request: Request) -> tuple[str, str]:
    """Return method and path for the log, still encoded: a decoded path could hold escape sequences for a terminal."""
    raw: bytes = request.scope.get("raw_path") or request.url.path.encode()
    return request.method[:32], shown_path(raw)


def _problem(
    request: Request, status: int, detail: str, headers: dict[str, str] | None = None, **members: object
) -> Response:
    document = {
        "type": "about:blank",
        "title": title(status),
        "status": status,
        "detail": detail,
        "code": _CODES.get(status, "error"),
        **members,
    }
    if (outcome := request.scope.get(OUTCOME)) is not None:
        outcome.code = document["code"]
    return JSONResponse(document, status, headers, "application/problem+json")


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer an exception of an endpoint, or of FastAPI's router."""
    assert isinstance(error, HTTPException)
    if error.status_code in (404, 405) and not _implemented(request):
        kind = Kind.NOT_IMPLEMENTED
        return _problem(request, kind.status, kind.value.detail, code=kind.code)
    detail = "There is nothing at this path." if error.detail == "Not Found" else str(error.detail)
    return _problem(request, error.status_code, detail, dict(error.headers or {}))


def _implemented(request: Request) -> bool:
    """Tell whether an endpoint may have the method of ``request``; a mounted application may have any."""
    if request.method.encode("latin-1", "replace") in IMPLEMENTED:
        return True
    routes: list[object] = request.app.router.routes
    return any(isinstance(one, Mount) or request.method in (getattr(one, "methods", None) or ()) for one in routes)


async def on_invalid_request(request: Request, error: Exception) -> Response:
    """Answer 422 without repeating the input."""
    assert isinstance(error, RequestValidationError)
    errors = error.errors()
    listed = [violation(one["loc"], one["msg"], one["type"]) for one in errors[:MOST_LISTED]]
    members = places(listed, max(0, len(errors) - MOST_LISTED))
    return _problem(request, 422, "The request does not fit the contract of this route.", None, **members)


async def on_client_disconnect(request: Request, error: Exception) -> Response:
    """End a request whose client left before its body was complete: nothing has failed, and nobody reads the answer."""
    assert isinstance(error, ClientDisconnect)
    kind = Kind.CLIENT_CLOSED
    _log.info("%s %s: the client left before its body was whole", *_method_and_path(request))
    return _problem(request, kind.status, kind.value.detail, code=kind.code)


async def on_unexpected(request: Request, error: Exception) -> Response:
    """Answer 500. The server writes the traceback to the log; the client does not see it."""
    _log.error("%s %s failed: %s", *_method_and_path(request), type(error).__name__)
    return _problem(request, 500, "The gateway failed to answer; its log says more.")
