"""What FastAPI's options make of a stub's signature: bounds of forms, bodies of several members, converters, defaults."""

from collections.abc import Callable
from inspect import Parameter
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Body, Cookie, FastAPI, File, Form, Path, Query
from pydantic import AliasPath, BaseModel, Json
from starlette.testclient import TestClient

from limen import DeclarationError, Gateway, Router, Upstream, anyone
from limen.contract.form_body import FormBody
from limen.contract.json_body import JsonBody
from signatures import FORM, JSON, body_parameter, parameter
from twin import Sent, Twin

SVC = Upstream("svc", ["http://127.0.0.1:1"])


class Item(BaseModel):
    """Ignores what it does not name."""

    name: str


# --- bodies of several members ---


@pytest.mark.parametrize(
    "parameters",
    [
        [body_parameter("item", Item), body_parameter("n", int, alias="Count", gt=0)],
        [body_parameter("item", Item, embed=True)],
        [body_parameter("item", Item | None, embed=True).replace(default=None), body_parameter("n", int)],
        [parameter("item", Item), parameter("other", Annotated[Item | None, Body()], None)],
    ],
)
def test_several_bodies_are_members_of_one_object(parameters: list[Parameter]) -> None:
    twin = Twin(parameters)
    for text in (
        *(
            '{"item":{"name":"a","x":1},"Count":1,"n":"1","y":{}}',
            '{"item":{"name":"a"},"Count":0,"n":null}',
            "{}",
            "[]",
        ),
        *('{"name":"a"}', "null", "", '{"n":1}', '{"item":null,"n":1}', '{"item":{"name":"a"},"other":{"name":"b"}}'),
    ):
        assert twin.compare(Sent(b"/x", [JSON], text.encode())) is None
    body = twin.gateway.declared()[0].contract.body
    assert isinstance(body, JsonBody)
    sent = b'{"item": {"name": "a", "x": 1}, "Count": 1, "n": 1, "y": 2}'
    read = body.read(sent)
    assert isinstance(read, bytes)
    assert b'{"item": {"name": "a"}' in read
    assert b"y" not in read


# --- forms ---


def test_the_limits_of_a_form_hold() -> None:
    fields = [parameter("a", Annotated[list[str], Form()]), parameter("b", Annotated[str, Form()], "")]
    twin = Twin(fields, form_limits={"max_fields": 2, "max_part_size": 6})
    for content in (
        "a=1",
        "a=1&b=2",
        "a=1&a=2&b=3",
        "a=1&c=2&d=3",
        "a=12345",
        "a=123456",
        "a=%31%32",
        "a=%31",
        "a=&&&b=",
    ):
        assert twin.compare(Sent(b"/x", [FORM], content.encode())) is None, content


def test_a_route_has_its_own_limits_and_else_those_of_the_application() -> None:
    app = Gateway(form_limits={"max_fields": 5, "max_part_size": 100})
    options: Any = {"upstream": SVC, "allow": anyone}

    @app.post("/own", form_limits={"max_fields": 1}, **options)
    def own(a: Annotated[str, Form()]) -> None: ...

    @app.post("/as-sent", body="as sent", **options)
    def as_sent(a: Annotated[str, File()]) -> None: ...

    @app.post("/json", **options)
    def json(a: Item) -> None: ...

    del own, as_sent, json
    body = app.declared()[0].contract.body
    assert isinstance(body, FormBody)
    assert (body.max_fields, body.max_field_size) == (1, 100)


def routers(app: FastAPI, **options: Any) -> None:
    """Include a router with limits in another one, and that in ``app``, twice, the second time with others."""

    def form(a: Annotated[list[str], Form()]) -> int:
        return len(a)

    inner, outer = Router(form_limits={"max_fields": 2}), APIRouter()
    inner.post("/x", **options)(form)
    inner.post("/own", form_limits={"max_fields": 3}, **options)(form)
    outer.include_router(inner, prefix="/inner", form_limits={"max_fields": 4, "max_part_size": 5})
    outer.include_router(inner, prefix="/bare")
    app.include_router(outer, prefix="/once")
    app.include_router(outer, prefix="/again", form_limits={"max_part_size": 4})


def test_the_limits_of_routers_hold_as_in_fastapi() -> None:
    plain, gateway = FastAPI(form_limits={"max_part_size": 6}), Gateway(form_limits={"max_part_size": 6})
    routers(plain)
    routers(gateway, upstream=SVC, allow=anyone, response_model=None)
    clients = TestClient(plain), TestClient(gateway)
    verdicts: set[tuple[bool, bool]] = set()
    for path in (f"/{a}/{b}/{c}" for a in ("once", "again") for b in ("inner", "bare") for c in ("x", "own")):
        for content in ("a=1", "a=1&a=2", "a=1&a=2&a=3", "a=1&a=2&a=3&a=4", "a=12", "a=123", "a=1234", "a=12345"):
            headers = {"content-type": FORM[1].decode()}
            told = [one.post(path, content=content, headers=headers).status_code for one in clients]
            assert (told[0] == 200) == (told[1] == 503), (path, content, told)  # nobody listens at the service
            verdicts.add((told[0] == 200, told[1] == 503))
    assert len(verdicts) == 2


# --- what is refused ---


def _form(a: Annotated[str, Form()]) -> None: ...
def _file(a: Annotated[str, File()]) -> None: ...
def _json(a: Item) -> None: ...
def _default(a: Annotated[int, Query(validate_default=True)] = "x") -> None: ...  # pyright: ignore[reportArgumentType]
def _member(a: Annotated[int, Body(validate_default=True)] = "x", b: Annotated[int, Body()] = 1) -> None: ...  # pyright: ignore[reportArgumentType]
def _path_of_alias(a: Annotated[int, Body(validation_alias=AliasPath("x", 0))], b: Annotated[int, Body()]) -> None: ...


@pytest.mark.parametrize(
    ("function", "options", "what", "mend"),
    [
        (_form, {"form_limits": {"max_fields": 1001}}, "max_fields is 1001", "give fewer"),
        (_file, {"form_limits": {"max_fields": 1}}, "form_limits= cannot hold here", "let the service say it"),
        (_json, {"form_limits": {"max_fields": 1}}, "form_limits= is for a declared form", "leave it out"),
        (_default, {}, "the default of 'a' does not fit its type", "give another default, or none"),
        (_member, {}, "the default of 'a' does not fit its type", "give another default, or none"),
        (_path_of_alias, {}, "the parameter 'a' has an AliasPath", "give it a name"),
    ],
)
def test_what_cannot_hold_is_refused(
    function: Callable[..., None], options: dict[str, Any], what: str, mend: str
) -> None:
    app = Gateway()
    app.post("/x", upstream=SVC, allow=anyone, **options)(function)
    with pytest.raises(DeclarationError) as error:
        app.compile()
    (problem,) = error.value.problems
    assert problem.startswith(f"POST /x: {what}")
    assert mend in problem


# --- values ---


@pytest.mark.parametrize("annotation", [int, str, float, bool])
def test_a_type_reads_what_the_converter_of_the_path_returns(annotation: Any) -> None:
    for strict in (True, False):
        declared: Any = Annotated
        twin = Twin([parameter("a", declared[annotation, Path(strict=strict)])], "/x/{a:int}")
        for target in (b"/x/5", b"/x/05", b"/x/1", b"/x/a", b"/x/-5", b"/x/5.0", b"/x/" + b"9" * 5000):
            assert twin.compare(Sent(target)) is None, target


@pytest.mark.parametrize("place", [Query, Cookie])
def test_an_empty_text_is_no_value_where_a_list_is_read_from_one_text(place: Any) -> None:
    annotated: Any = Annotated
    required = Twin([parameter("a", annotated[Json[list[int]] | None, place()])])
    optional = Twin([parameter("a", annotated[Json[list[int]] | None, place()], None)])
    for text in (b"", b"[]", b"[1]", b"x"):
        sent = Sent(b"/x?a=" + text) if place is Query else Sent(b"/x", [(b"cookie", b"a=" + text)])
        assert required.compare(sent) is None
        assert optional.compare(sent) is None
