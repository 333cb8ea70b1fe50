"""What a stub declares of its answers and of the size of its bodies: FastAPI's meaning, or a refusal."""

from collections.abc import AsyncIterable, Iterable
from typing import Annotated, Any

import pytest
from fastapi import Query, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from fastapi.sse import EventSourceResponse
from pydantic import BaseModel, Json

from limen import DeclarationError, Gateway, Upstream, anyone
from limen.contract.contract import Contract
from limen.runtime.route import DEFAULT_HELD, Route

SVC = Upstream("svc", ["http://127.0.0.1:1"])


class Item(BaseModel):
    id: int
    name: str = "x"


def declared(annotation: Any, *, app: Gateway | None = None, verb: str = "get", **options: Any) -> Route:
    app = app or Gateway()

    def stub() -> None: ...

    stub.__annotations__["return"] = annotation
    getattr(app, verb)("/x", upstream=SVC, allow=anyone, **options)(stub)
    (route,) = app.declared()
    return route


def contract(annotation: Any, **options: Any) -> Contract:
    return declared(annotation, **options).contract


@pytest.mark.parametrize("annotation", [None, Any, object, Response, JSONResponse, type(None)])
def test_no_type_is_no_check(annotation: Any) -> None:
    assert contract(annotation).answer is None


def test_the_options_of_fastapi_are_kept() -> None:
    answer = contract(Item, response_model_exclude={"name"}, response_model_exclude_none=True).answer
    assert answer is not None
    assert answer.check(b'{"id":1,"name":"a"}') == b'{"id":1}'
    answer = contract(None, response_model=list[Item], response_model_exclude_defaults=True).answer
    assert answer is not None
    assert answer.check(b'[{"id":1,"name":"x"}]') == b'[{"id":1}]'


def test_other_success_statuses_are_as_responses_says() -> None:
    made = contract(
        Item,
        status_code=201,
        responses={200: {"model": Item}, "202": {"model": int}, "2XX": {"model": str}, 404: {"model": Item}, 203: {}},
    )
    assert made.answer is not None
    assert sorted(made.answers) == [200, 202]
    assert made.rest is not None


@pytest.mark.parametrize("kind", [PlainTextResponse, HTMLResponse, Response])
@pytest.mark.parametrize("annotation", [str, bytes, None])
def test_a_class_that_is_not_json_has_nothing_to_check(kind: Any, annotation: Any) -> None:
    assert contract(annotation, response_class=kind).answer is None


def same(answer: object) -> object:
    return answer


class Vendor(JSONResponse):
    media_type = "application/vnd.api+json"


class Other(Response):
    media_type = "application/problem+json"


@pytest.mark.parametrize("kind", [JSONResponse, Vendor, Other])
def test_a_class_that_is_json_has(kind: Any) -> None:
    assert contract(Item, response_class=kind).answer is not None


REFUSED: list[tuple[dict[str, Any], Any, str]] = [
    (
        {"response_class": PlainTextResponse},
        Item,
        "response_class=PlainTextResponse has no JSON that could be checked; give",
    ),
    (
        {"response_class": HTMLResponse, "after": same},
        str,
        "after= makes JSON, and response_class=HTMLResponse",
    ),
    (
        {"response_model_exclude": {"a"}},
        None,
        "response_model_exclude= is for an answer with a model, and there is none",
    ),
    ({"response_model_by_alias": False}, Any, "response_model_by_alias= is for an answer with a model"),
    ({"max_body": 1, "max_body_size": 1}, None, "max_body= and max_body_size= say the same; leave out one of them"),
    ({"body": "as sent"}, None, "body='as sent' is for a declared"),
    ({"body": "whole"}, None, "body='whole' is unknown; say body='as sent'"),
]


@pytest.mark.parametrize(("options", "annotation", "said"), REFUSED, ids=[one[2][:30] for one in REFUSED])
def test_what_a_stub_cannot_keep_is_refused_when_it_is_declared(
    options: dict[str, Any], annotation: Any, said: str
) -> None:
    with pytest.raises(DeclarationError) as raised:
        declared(annotation, **options)
    (problem,) = raised.value.problems
    assert problem.startswith(f"GET /x: {said}")


@pytest.mark.parametrize(
    ("app", "options", "most"),
    [
        ({}, {}, None),
        ({}, {"max_body_size": 9}, 9),
        ({}, {"max_body": 9}, 9),
        ({"max_body_size": 5}, {}, 5),
        ({"max_body_size": 5}, {"max_body_size": 9}, 9),
        ({"max_body_size": 5}, {"max_body": None}, None),
        ({"max_body_size": 5}, {"max_body_size": None}, 5),
    ],
)
def test_how_large_a_body_may_be_is_said_by_the_route_or_by_the_application(
    app: dict[str, Any], options: dict[str, Any], most: int | None
) -> None:
    assert declared(None, app=Gateway(**app), verb="post", **options).max_body == most


@pytest.mark.parametrize(("size", "most"), [(None, DEFAULT_HELD), (5, 5), (DEFAULT_HELD * 2, DEFAULT_HELD)])
def test_a_declared_body_is_bounded_by_both(size: int | None, most: int) -> None:
    app = Gateway(max_body_size=size)

    @app.post("/x", upstream=SVC, allow=anyone)
    def stub(item: Item) -> None: ...

    del stub
    app.forward("/y", upstream=SVC, allow=anyone)
    app.forward("/z", upstream=SVC, allow=anyone, max_body=7)
    assert [route.max_body for route in app.declared()] == [most, size, 7]


class OfObjects(BaseModel):
    q: Json[dict[str, int]] = {}


def test_json_in_a_parameter_holds_no_objects() -> None:
    """It passes as text: what is repeated or ignored in them could be read otherwise."""
    app = Gateway()

    @app.get("/list", upstream=SVC, allow=anyone)
    def plain(q: Annotated[Json[list[int]] | None, Query()] = None) -> None: ...

    @app.get("/object", upstream=SVC, allow=anyone)
    def holds(query: Annotated[OfObjects, Query()]) -> None: ...

    del plain, holds
    with pytest.raises(DeclarationError) as raised:
        app.compile()
    (problem,) = raised.value.problems
    assert problem.startswith("GET /object: the query parameter 'q' is JSON that may hold objects")


async def yields() -> AsyncIterable[Item]:
    yield Item(id=1)


def yields_events() -> Iterable[Item]:
    yield Item(id=1)


@pytest.mark.parametrize(
    ("stub", "options", "media"),
    [
        (yields, {}, "application/jsonl"),
        (yields_events, {"response_class": EventSourceResponse}, "text/event-stream"),
    ],
)
def test_a_stub_that_yields_documents_a_stream_and_its_answer_passes(
    stub: Any, options: dict[str, Any], media: str
) -> None:
    app = Gateway()
    app.get("/a", upstream=SVC, allow=anyone, **options)(stub)
    assert app.declared()[0].contract == Contract()
    (content,) = app.openapi()["paths"]["/a"]["get"]["responses"]["200"]["content"].items()
    assert (content[0], "#/components/schemas/Item" in str(content[1])) == (media, True)


@pytest.mark.parametrize("option", [{"after": same}, {"response_model": Item}, {"response_model_exclude": {"a"}}])
def test_what_would_read_a_stream_whole_is_refused(option: dict[str, Any]) -> None:
    app = Gateway()
    app.get("/a", upstream=SVC, allow=anyone, **option)(yields)
    with pytest.raises(DeclarationError, match=f"passes as it comes, and {next(iter(option))}= would read it whole"):
        app.compile()
