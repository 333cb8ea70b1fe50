"""Errors as RFC 9457 problem documents, like the gateway's. A database's message is never part of one."""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Literal

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from tortoise.exceptions import DoesNotExist, IntegrityError

from limen_kit.logs import request_id

_log = logging.getLogger("limen_kit.problems")

_TITLES: dict[int, str] = {status.value: status.phrase for status in HTTPStatus}

_CODES = {
    400: "bad_request",
    401: "identity_missing",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    412: "precondition_failed",
    413: "body_too_large",
    422: "invalid_request",
    503: "not_ready",
}

# Bounds on a 422: how many errors are listed, and for each the parts of ``loc``, and the characters of a part and of ``msg``.
MAX_ERRORS = 100
_MAX_LOC_LENGTH = 16
_MAX_NAME = 64
_MAX_MESSAGE = 256


class FieldError(BaseModel):
    """One error of validation. The input itself is never repeated."""

    loc: list[str | int]
    msg: str
    type: str


class ProblemBody(BaseModel):
    """An error: ``code`` is for programs, ``detail`` for people, ``request_id`` to find it in the log."""

    type: Literal["about:blank"] = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[FieldError] | None = None
    errors_omitted: int | None = None


class Problem(Exception):
    """Ends a request with ``status``, a stable ``code`` and a ``detail`` for people."""

    def __init__(self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        """Keep the fields of the response."""
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Document ``statuses`` as problems, for ``responses=`` of a path operation or router."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemBody"}}},
        }
        for status in statuses
    }


def add_exception_handlers(app: FastAPI) -> None:
    """Make ``app`` answer exceptions with problems."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(IntegrityError, _on_integrity_error)
    app.add_exception_handler(DoesNotExist, _on_does_not_exist)


def problem_response(problem: Problem) -> Response:
    """Return the response to ``problem``, the same as for one that a path operation raises."""
    return _respond(problem.status, problem.code, problem.detail, problem.headers)


def internal_error_response() -> Response:
    """Return the response to an unhandled exception."""
    return _respond(500, "internal_error", "The service failed to answer; its log says more.")


def _respond(
    status: int,
    code: str,
    detail: str,
    headers: Mapping[str, str] | None = None,
    errors: list[FieldError] | None = None,
    omitted: int | None = None,
) -> Response:
    body = ProblemBody(
        title=_TITLES.get(status, "Error"),
        status=status,
        detail=detail,
        code=code,
        request_id=request_id.get(),
        errors=errors,
        errors_omitted=omitted,
    )
    return JSONResponse(
        body.model_dump(exclude_none=True), status, dict(headers or {}), media_type="application/problem+json"
    )


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return problem_response(error)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _respond(error.status_code, _CODES.get(error.status_code, "error"), str(error.detail), error.headers)


async def _on_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    all_errors = error.errors()
    return _respond(
        422,
        "invalid_request",
        "The request does not fit the contract of this route.",
        errors=[_field_error(entry["loc"], entry["msg"], entry["type"]) for entry in all_errors[:MAX_ERRORS]],
        omitted=len(all_errors) - MAX_ERRORS if len(all_errors) > MAX_ERRORS else None,
    )


def _field_error(loc: Sequence[str | int], msg: str, kind: str) -> FieldError:
    """Return one error with long texts cut: the names in ``loc`` may be the client's."""
    short = [_shortened(part, _MAX_NAME) if isinstance(part, str) else part for part in loc[:_MAX_LOC_LENGTH]]
    return FieldError(loc=short, msg=_shortened(msg, _MAX_MESSAGE), type=kind)


def _shortened(text: str, max_length: int) -> str:
    return text if len(text) <= max_length else text[: max_length - 3] + "..."


async def _on_integrity_error(request: Request, error: Exception) -> Response:
    _log.warning("the database refused a write: %s", error)
    return _respond(409, "conflict", "This conflicts with what is stored already.")


async def _on_does_not_exist(request: Request, error: Exception) -> Response:
    return _respond(404, "not_found", "There is no such thing.")
