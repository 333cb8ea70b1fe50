"""Errors as RFC 9457 documents, the same ones that the gateway writes. Nothing of a database's message ever gets out."""

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
    413: "body_too_large",
    422: "invalid_request",
    503: "not_ready",
}


# Of the places where a request is wrong: how many are told, and of each the names on the path to it, and characters.
MOST_PLACES = 100
_DEPTH = 16
_NAME = 64
_TEXT = 256


class Invalid(BaseModel):
    """One place where a request is wrong. The input itself is never repeated."""

    loc: list[str | int]
    msg: str
    type: str


class ProblemBody(BaseModel):
    """An error: ``code`` is for programs, ``detail`` for people, ``request_id`` for whoever reads the log."""

    type: Literal["about:blank"] = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[Invalid] | None = None
    errors_omitted: int | None = None


class Problem(Exception):
    """Ends a request with ``status``, a stable ``code`` and a ``detail`` for people."""

    def __init__(self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        """Keep what the answer will say."""
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


def install(app: FastAPI) -> None:
    """Give ``app`` the handlers."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(IntegrityError, _on_integrity)
    app.add_exception_handler(DoesNotExist, _on_missing)


def answer(problem: Problem) -> Response:
    """Return the answer to ``problem``: the one that raising it in a path operation gives."""
    return _answer(problem.status, problem.code, problem.detail, problem.headers)


def unexpected() -> Response:
    """Return the answer to a request that a bug has ended."""
    return _answer(500, "internal_error", "The service failed to answer; its log says more.")


def _answer(
    status: int,
    code: str,
    detail: str,
    headers: Mapping[str, str] | None = None,
    errors: list[Invalid] | None = None,
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
    return answer(error)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _answer(error.status_code, _CODES.get(error.status_code, "error"), str(error.detail), error.headers)


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    return _answer(
        422,
        "invalid_request",
        "The request does not fit the contract of this route.",
        errors=[_place(one["loc"], one["msg"], one["type"]) for one in found[:MOST_PLACES]],
        omitted=len(found) - MOST_PLACES if len(found) > MOST_PLACES else None,
    )


def _place(loc: Sequence[str | int], msg: str, kind: str) -> Invalid:
    """Return one place with what is long in it shortened: its names may be those that the client made up."""
    short = [_shortened(one, _NAME) if isinstance(one, str) else one for one in loc[:_DEPTH]]
    return Invalid(loc=short, msg=_shortened(msg, _TEXT), type=kind)


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."


async def _on_integrity(request: Request, error: Exception) -> Response:
    _log.warning("the database refused a write: %s", error)
    return _answer(409, "conflict", "This conflicts with what is stored already.")


async def _on_missing(request: Request, error: Exception) -> Response:
    return _answer(404, "not_found", "There is no such thing.")
