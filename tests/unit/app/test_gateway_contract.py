"""The contract that a stub's signature becomes."""

from collections.abc import Callable
from typing import Annotated, Any, Literal, Optional

import pytest
from fastapi import Body, Cookie, File, Form, Header, Path, Query, UploadFile
from pydantic import AliasPath, BaseModel, Field, Json, model_validator

from limen import DeclarationError, Gateway, Upstream, anyone
from limen.contract.form_body import FormBody
from limen.contract.json_body import JsonBody
from limen.contract.parameters import ParameterLocation
from limen.contract.text_body import TextBody

Values = dict[ParameterLocation, dict[str, list[str]]]
SVC = Upstream("svc", ["http://127.0.0.1:1"])


class Item(BaseModel):
    name: str


def test_every_kind_of_parameter_is_part_of_the_contract_and_a_form_with_files_is_none() -> None:
    app = Gateway()
    one = app.group("/one", upstream=SVC, allow=anyone)

    @one.post("/form")
    def form(name: Annotated[str, Form()], file: Annotated[bytes, File()]) -> None: ...

    @one.get("/all/{a}")
    def every(
        a: Annotated[int, Path(ge=1)],
        b: Annotated[list[int] | None, Query()] = None,
        c: Annotated[str, Cookie()] = "",
        d: Annotated[tuple[int, ...], Query()] = (),
    ) -> Any: ...

    @one.post("/optional")
    def optional(a: Item | None = None) -> object: ...

    del form, every, optional
    of_form, of_every, of_optional = (route.contract for route in app.declared())
    # A form with files is documented, and passes through unread.
    assert (of_form.params, of_form.body, of_form.streamed) == ((), None, "multipart/form-data")
    assert [*app.openapi()["paths"]["/one/form"]["post"]["requestBody"]["content"]] == ["multipart/form-data"]
    assert {(one.name, one.location, one.required, one.repeatable) for one in of_every.params} == {
        ("a", "path", True, False),
        ("b", "query", False, True),
        ("c", "cookie", False, False),
        ("d", "query", False, True),
    }
    right: Values = {"path": {"a": ["1"]}, "query": {}, "cookie": {}}
    wrong: Values = {"path": {"a": ["0"]}, "query": {"b": ["1", "x"], "d": ["y", "2"]}, "cookie": {}}
    violations = of_every.check(wrong)
    assert violations is not None
    assert {error.loc for error in violations.listed} == {("path", "a"), ("query", "b", 1), ("query", "d", 0)}
    assert of_every.check(right) is None
    assert of_every.body is None
    assert isinstance(of_optional.body, JsonBody)
    assert not of_optional.body.required
    assert of_optional.body.read(b'{"name": "a", "more": 1}') == b'{"name": "a"}'
    assert of_optional.body.read(b"null") == b"null"


def test_a_form_is_part_of_the_contract_and_bounded_as_json_is() -> None:
    app = Gateway()

    @app.post("/fields", upstream=SVC, allow=anyone)
    def fields(name: Annotated[str, Form(min_length=3)], tags: Annotated[list[str], Form()]) -> None: ...

    @app.post("/model", upstream=SVC, allow=anyone, body="as sent")
    def model(item: Annotated[Item | None, Form()] = None) -> None: ...

    @app.post("/text", upstream=SVC, allow=anyone)
    def text(text: Annotated[str | None, Body(media_type="text/plain; charset=utf-8")] = None) -> None: ...

    del fields, model, text
    of_fields, of_model, of_text = app.declared()
    assert isinstance(of_fields.contract.body, FormBody)
    assert [(one.name, one.repeatable) for one in of_fields.contract.body.params] == [("name", False), ("tags", True)]
    assert isinstance(of_model.contract.body, FormBody)
    assert of_model.contract.body.as_sent
    assert of_model.contract.body.read(b"") == b""
    assert isinstance(of_text.contract.body, TextBody)
    assert (of_text.contract.body.media_type, of_text.contract.body.required) == ("text/plain", False)
    assert [route.max_body for route in app.declared()] == [262144] * 3
    responses = app.openapi()["paths"]["/fields"]["post"]["responses"]
    assert {"413", "415", "422"} <= responses.keys()
    assert [*responses["422"]["content"]] == ["application/problem+json"]


class Lax(BaseModel):
    """Has texts and files, and says no more of them."""

    name: str = Field("", description="Anything.")
    file: UploadFile | None = None
    within: Optional["Lax"] = None


def test_a_form_with_files_may_promise_nothing_that_is_not_checked() -> None:
    app = Gateway()
    one = app.group("", upstream=SVC, allow=anyone)

    @one.post("/plain")
    def plain(
        a: Annotated[str | None, Form(description="Anything.", examples=["a"])] = None,
        files: list[UploadFile] = [],  # noqa: B006
        more: Annotated[list[bytes] | None, File()] = None,
    ) -> None: ...

    @one.post("/model")
    def model(form: Annotated[Lax, Form(media_type="multipart/form-data")]) -> None: ...

    @one.post("/unread", body="as sent")
    def unread(age: Annotated[int, Form(le=9)], file: UploadFile) -> None: ...

    del plain, model, unread
    assert {route.contract.streamed for route in app.declared()} == {"multipart/form-data"}
    responses = app.openapi()["paths"]["/plain"]["post"]["responses"]
    assert "415" in responses
    assert responses["422"]["description"] == "The service may refuse the form, which it alone reads."
    assert "content" not in responses["422"]


def refused(declare: Callable[[Gateway], object]) -> str:
    """Return the one problem of a gateway with one route."""
    app = Gateway()
    declare(app)
    with pytest.raises(DeclarationError) as error:
        app.compile()
    (problem,) = error.value.problems
    return problem


def stub(function: Callable[..., object], **options: Any) -> Callable[[Gateway], object]:
    """Return what declares ``function`` as the stub of a route."""
    return lambda app: app.post("/x/{a}", upstream=SVC, allow=anyone, **options)(function)


class Ignoring(BaseModel):
    """Sees all fields of a form, whatever it names."""

    name: str

    @model_validator(mode="before")
    @classmethod
    def look(cls, values: Any) -> Any:
        """Look at all."""
        return values


class Parts(BaseModel):
    """Reads a part of a parameter."""

    first: Annotated[str, Field(validation_alias=AliasPath("all", 0))]


class ClosedHeaders(BaseModel, extra="forbid"):
    """No other headers."""

    x_n: str


def _number(a: str, n: Annotated[int, Form()], file: UploadFile) -> None: ...
def _length(a: str, n: Annotated[str, Form(max_length=3)], file: UploadFile) -> None: ...
def _items(a: str, files: Annotated[list[UploadFile], File(min_length=1)]) -> None: ...
def _both(a: str, n: Annotated[str, Form()], item: Item) -> None: ...
def _union(a: str, form: Annotated[Item | Lax, Form()]) -> None: ...
def _media(a: str, n: Annotated[str, Form(media_type="text/csv")]) -> None: ...
def _hides(a: str, form: Annotated[Ignoring, Form()]) -> None: ...
def _json(a: str, form: Annotated[Json[Item], Form()]) -> None: ...
def _jsons(a: str, forms: Annotated[list[Json[Item]], Form()]) -> None: ...
def _no_text(a: str, item: Annotated[Item, Body(media_type="text/plain")]) -> None: ...
def _chosen(a: str, text: Annotated[Literal["a"], Body(media_type="text/plain")]) -> None: ...
def _any_kind(a: str, data: Annotated[bytes, Body(media_type="image/*")]) -> None: ...
def _text(a: str, text: Annotated[str, Body(media_type="text/plain")]) -> None: ...
def _host(a: str, host: Annotated[str, Header()]) -> None: ...
def _underscore(a: str, x_n: Annotated[str, Header(convert_underscores=False)]) -> None: ...
def _caller(a: str, request_user_id: Annotated[str, Header()]) -> None: ...
def _type(a: str, item: Item, content_type: Annotated[str, Header()]) -> None: ...
def _range(a: str, range: Annotated[str, Header()]) -> Item: ...  # noqa: A002
def _closed(a: str, headers: Annotated[ClosedHeaders, Header()]) -> None: ...
def _parts(a: str, page: Annotated[Parts, Query()]) -> None: ...
def _named(a: Annotated[str, Path(alias="b")]) -> None: ...
def _nothing(a: str) -> None: ...


@pytest.mark.parametrize(
    ("function", "options", "what", "mend"),
    [
        (_number, {}, "multipart/form-data streams to the service unread, so that of 'n' type='integer'", "as sent"),
        (_length, {}, "of 'n' maxLength=3 would be documented and not checked", "declare a plain str"),
        (_items, {}, "of 'files' minItems=1", "put it into the query or a header"),
        (_both, {}, "a body is a form or it is JSON", "declare all fields of it with Form(), or none"),
        (_union, {}, "'form' is one of several types", "put the fields into one model"),
        (_media, {}, "a form comes as application/x-www-form-urlencoded or multipart", "leave out media_type="),
        (_hides, {}, "what is ignored here cannot be known", "as sent"),
        (_json, {}, "the form's 'form' holds JSON", "declare a str, or a JSON body"),
        (_jsons, {"body": "as sent"}, "the form's 'forms' holds JSON", "in place of the form"),
        (_no_text, {}, "a body of text/plain is read as str or bytes", "declare it so"),
        (_chosen, {}, "a body of text/plain is read as str or bytes", "as JSON"),
        (_any_kind, {}, "of one media type", "leave it out"),
        (_text, {"body": "as sent"}, "of text/plain nothing is", "leave it out"),
        (_host, {}, "the header 'host' never reaches the service", "leave it out of the signature"),
        (_underscore, {}, "the header 'x_n' never reaches", "give it with '-'"),
        (_caller, {}, "the header 'request-user-id' never reaches", "leave it out"),
        (_type, {}, "the header 'content-type' never reaches", "leave it out"),
        (_range, {}, "the header 'range' never reaches", "leave it out"),
        (_closed, {}, "ClosedHeaders forbids headers that it does not have", 'extra="ignore"'),
        (_parts, {}, "'first' has an AliasPath", "give it a name"),
        (_named, {}, "the path has no parameter 'b'", "without alias="),
        (_nothing, {"body": "as sent"}, "is for a declared body, and there is none", "leave it out"),
    ],
)
def test_what_cannot_be_held_is_refused_when_it_is_declared(
    function: Callable[..., object], options: dict[str, Any], what: str, mend: str
) -> None:
    problem = refused(stub(function, **options))
    assert problem.startswith("POST /x/{a}: ")
    assert what in problem
    assert mend in problem


def test_headers_are_declared_as_they_are_written() -> None:
    app = Gateway()

    class Common(BaseModel):
        x_tag: list[str] = []
        key: str = Field("", alias="X-Key")

    @app.get("/x", upstream=SVC, allow=anyone)
    def x(common: Annotated[Common, Header()], other: Annotated[str, Header(alias="X-Other")]) -> None: ...

    del x
    model, alone = app.declared()[0].contract.params
    assert model.group is not None
    assert [(one.names, one.repeatable) for one in model.group.fields] == [
        ((("x-tag", "x_tag"),), True),
        ((("x-key", "X-Key"),), False),
    ]
    assert alone.name == "x-other"
