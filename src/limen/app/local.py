"""The gateway's own FastAPI endpoints, and paths without an endpoint: their problems are the same as on gateway routes."""

import json
from collections.abc import Mapping
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.types import ExceptionHandler

from limen.app.http_exceptions import detail_of, has_content
from limen.app.socket_refusal import SocketRefused, on_socket_refused
from limen.contract.violations import MOST_LISTED, violation
from limen.engines.asgi.record import OUTCOME
from limen.errors import Kind
from limen.http.replies import places, title
from limen.observe.access import shown_path
from limen.observe.redaction import logger
from limen.routing.find import IMPLEMENTED

_log = logger("limen.app.local")

_FAILED = "The gateway failed to answer; its log says more."

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
    request: Request, status: int, detail: object, headers: Mapping[str, str] | None = None, **members: object
) -> Response:
    document: dict[str, object] = {
        "type": "about:blank",
        "title": title(status),
        "status": status,
        "detail": detail,
        "code": _CODES.get(status, "error"),
        **members,
    }
    if (outcome := request.scope.get(OUTCOME)) is not None:
        outcome.code = document["code"]
    # ensure_ascii: a text may have a lone surrogate, which UTF-8 cannot carry.
    content = json.dumps(document, ensure_ascii=True, separators=(",", ":"))
    return Response(content, status, headers, "application/problem+json")


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer an exception of an endpoint, or of FastAPI's router."""
    assert isinstance(error, HTTPException)
    if error.status_code in (404, 405) and not _implemented(request):
        kind = Kind.NOT_IMPLEMENTED
        return _problem(request, kind.status, kind.value.detail, code=kind.code)
    method, path = _method_and_path(request)
    if error.status_code < 200:
        # An interim response (RFC 9110 section 15.2): the client would wait for the final one.
        _log.error(
            "%s %s raised HTTPException(%d), which is no status of a whole answer", method, path, error.status_code
        )
        return _problem(request, 500, _FAILED)
    if not has_content(error):
        return Response(None, error.status_code, error.headers)
    if error.status_code == 405 and error.detail == title(405):  # of FastAPI's router: said as on gateway routes
        return _problem(request, 405, Kind.METHOD_NOT_ALLOWED.value.detail, error.headers)
    detail = "There is nothing at this path." if _unknown_path(request, error) else detail_of(error, f"{method} {path}")
    return _problem(request, error.status_code, detail, error.headers)


def _unknown_path(request: Request, error: HTTPException) -> bool:
    """Tell whether FastAPI's router raised ``error`` because there is no endpoint."""
    return error.status_code == 404 and "endpoint" not in request.scope


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
    return _problem(request, 500, _FAILED)


def exception_handlers(given: Mapping[Any, ExceptionHandler] | None) -> dict[Any, ExceptionHandler]:
    """Return the handlers of a gateway: the user's, and for every key that is not among them the gateway's own.

    That for a server error is apart (``server_error_handler``): it has two keys.
    """
    return {
        HTTPException: on_http_exception,
        RequestValidationError: on_invalid_request,
        ClientDisconnect: on_client_disconnect,
        SocketRefused: on_socket_refused,
        **(given or {}),
    }


def server_error_handler(given: Mapping[Any, object]) -> dict[Any, ExceptionHandler]:
    """Return the gateway's handler for what nothing else handles, unless the user has ``given`` one: for 500 or Exception."""
    return {} if Exception in given or 500 in given else {Exception: on_unexpected}
