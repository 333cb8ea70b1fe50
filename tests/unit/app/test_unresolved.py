"""Names that are imported for type checkers alone, or not defined yet: declared as in FastAPI, refused where needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ForwardRef, Generic, TypeVar

import pytest
from fastapi import FastAPI, Form, Header, Query
from pydantic import BaseModel

from limen import DeclarationError, Gateway, Upstream, anyone

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

SVC = Upstream("svc", ["http://127.0.0.1:1"])
T = TypeVar("T")


class Incomplete(BaseModel):
    """Names a class that comes later, or never."""

    within: Nowhere  # pyright: ignore[reportUndefinedVariable]  # noqa: F821


class Page(BaseModel, Generic[T]):
    """Names it through another."""

    items: list[Incomplete]


def _answer() -> Decimal: ...  # pyright: ignore[reportReturnType]
def _answers() -> list[Decimal]: ...  # pyright: ignore[reportReturnType]
def _none() -> None: ...
def _default(n: Decimal = 3) -> None: ...  # pyright: ignore[reportArgumentType]
def _optional(n: Decimal | None = None) -> None: ...
def _query(n: Annotated[list[Decimal], Query()]) -> None: ...
def _header(n: Annotated[Decimal, Header()]) -> None: ...
def _body(n: Incomplete) -> None: ...
def _bodies(n: list[Page[int]]) -> None: ...
def _headers(n: Annotated[Incomplete, Header()]) -> None: ...
def _form(n: Annotated[Incomplete, Form()]) -> None: ...
def _model() -> Incomplete: ...  # pyright: ignore[reportReturnType]


@pytest.mark.parametrize(
    ("function", "options", "what"),
    [
        (_answer, {}, "the answer needs 'Decimal'"),
        (_answers, {}, "the answer needs 'Decimal'"),
        (_default, {}, "the parameter 'n' needs 'Decimal'"),
        (_optional, {}, "the parameter 'n' needs 'Decimal'"),
        (_query, {}, "the parameter 'n' needs 'Decimal'"),
        (_header, {}, "the parameter 'n' needs 'Decimal'"),
        (_body, {}, "the parameter 'n' needs 'Nowhere'"),
        (_bodies, {}, "the parameter 'n' needs 'Nowhere'"),
        (_headers, {}, "the parameter 'n' needs 'Nowhere'"),
        (_form, {}, "the parameter 'n' needs 'Nowhere'"),
        (_model, {}, "the answer needs 'Nowhere'"),
        (_none, {"response_model": "Item"}, "the answer needs 'Item'"),
        (_none, {"response_model": list["Item"]}, "the answer needs 'Item'"),  # pyright: ignore[reportUndefinedVariable]  # noqa: F821
        (_none, {"response_model": ForwardRef("Item")}, "the answer needs 'Item'"),
        (_none, {"responses": {404: {"model": "Item"}}}, "the answer 404 needs 'Item'"),
        (_none, {"responses": {201: {"model": Incomplete}}}, "the answer 201 needs 'Nowhere'"),
    ],
)
def test_a_name_that_is_needed_is_a_problem_of_the_route(
    function: Callable[..., object], options: dict[str, Any], what: str
) -> None:
    FastAPI().post("/x", **options)(function)
    app = Gateway()
    app.post("/x", upstream=SVC, allow=anyone, **options)(function)
    with pytest.raises(DeclarationError) as error:
        app.compile()
    (problem,) = error.value.problems
    assert problem.startswith(f"POST /x: {what}, which is not defined")
    assert "import it outside of `if TYPE_CHECKING:`" in problem


@pytest.mark.parametrize("model", [int, None])
def test_a_return_annotation_is_not_needed_beside_a_response_model(model: Any) -> None:
    app = Gateway()
    app.get("/x", upstream=SVC, allow=anyone, response_model=model)(_answer)
    (route,) = app.declared()
    assert (route.contract.answer is None) == (model is None)
    assert "Decimal" not in str(app.openapi())


def _hook(value: int) -> Decimal: ...  # pyright: ignore[reportReturnType]
def _hook_of(value: Decimal) -> int: ...  # pyright: ignore[reportReturnType]


def test_a_hook_needs_the_names_of_its_arguments_alone() -> None:
    app = Gateway()
    app.get("/x", upstream=SVC, allow=anyone, after=_hook, response_model=int)(_none)
    app.compile()
    app.get("/y", upstream=SVC, allow=anyone, after=_hook_of, response_model=int)(_none)
    with pytest.raises(DeclarationError, match=r"GET /y: after=_hook_of needs 'Decimal', .* import it outside"):
        app.compile()
