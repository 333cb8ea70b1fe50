"""What docs/fastapi.md says of FastAPI's parameters, against plain FastAPI. Each sample is of one row of the page.

tests/deploy/test_fastapi_face.py sees that every row has a test; here a test sees that every row which names it has a sample.
"""

import json
import re
import warnings
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from inspect import Parameter, Signature
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

import pytest
from fastapi import (
    APIRouter,
    BackgroundTasks,
    Body,
    Cookie,
    Depends,
    FastAPI,
    Form,
    Header,
    HTTPException,
    Path,
    Query,
    Request,
    Response,
    WebSocket,
)
from fastapi.requests import HTTPConnection
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.routing import APIRoute
from fastapi.security import SecurityScopes
from opentelemetry.trace import NoOpTracer, TracerProvider
from pydantic import BaseModel, PlainSerializer
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from doc_tables.fastapi_face.page import PLACES
from doc_tables.fastapi_face.row import CHECKED, DOCUMENTED, LOCAL, REFUSED
from limen import Gateway, Upstream, anyone
from limen.errors import DeclarationError

SVC = Upstream("svc", ["http://127.0.0.1:1"])
"""Nobody listens there: what fits the contract is 503 for want of a service."""

Kind = type[FastAPI]
Key = tuple[str, str]
Kwargs = dict[str, Any]


@pytest.fixture(autouse=True)
def deprecated() -> Generator[None]:
    """Some of what is tried here is deprecated by FastAPI, and works; some gives operations the same id."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def rows_of(test: str) -> set[Key]:
    return {(place.name, row.parameter) for place in PLACES for row in place.rows if row.test == test}


class Item(BaseModel):
    """Its schema differs between what comes and what goes."""

    a: Annotated[int, PlainSerializer(str, return_type=str)] = 1


class Vendor(JSONResponse):
    media_type = "application/vnd.x+json"


def operation(item: Item) -> Item:
    """Echo."""
    return item


def plain(app: Kwargs, option: Kwargs) -> FastAPI:
    made = FastAPI(**app)
    made.post("/x", **option)(operation)
    return made


def stubbed(app: Kwargs, option: Kwargs) -> Gateway:
    made = Gateway(**app)
    made.post("/x", upstream=SVC, allow=anyone, **option)(operation)
    made.compile()
    return made


# --- the document ---


def said(*path: str) -> Callable[[FastAPI], object]:
    """Return what finds a part of the document; None where it is not."""

    def look(app: FastAPI) -> object:
        found: Any = app.openapi()
        for name in path:
            found = found.get(name) if found is not None else None
        return found

    return look


def of_operation(*path: str) -> Callable[[FastAPI], object]:
    return said("paths", "/x", "post", *path)


def page(path: str, text: str = "") -> Callable[[FastAPI], object]:
    """Return what tells whether the application has a page with ``text`` at ``path``."""

    def look(app: FastAPI) -> object:
        got = TestClient(app).get(path)
        return got.status_code, text in got.text

    return look


def schemas(app: FastAPI) -> object:
    return sorted(name for name in app.openapi()["components"]["schemas"] if name.startswith("Item"))


def served(app: FastAPI) -> object:
    return TestClient(app).get("/openapi.json").json().get("servers")


CALLBACKS = APIRouter()
CALLBACKS.post("{$request.body#/url}")(operation)
WEBHOOKS = APIRouter()
WEBHOOKS.post("news")(operation)


def constant(route: APIRoute) -> str:
    return "constant"


@dataclass(frozen=True)
class Said:
    """Arguments of the application, or options of the operation, and where to look for what they do."""

    look: Callable[[FastAPI], object]
    app: Kwargs = field(default_factory=dict[str, Any])
    option: Kwargs = field(default_factory=dict[str, Any])
    without: Kwargs = field(default_factory=dict[str, Any])


CONTACT = {"name": "us"}
DOCUMENT_SAMPLES: dict[Key, Said] = {
    **{
        ("Gateway", name): Said(said("info", key), {name: value})
        for name, key, value in (
            ("title", "title", "T"),
            ("summary", "summary", "S"),
            ("description", "description", "D"),
            ("version", "version", "7"),
            ("terms_of_service", "termsOfService", "http://t"),
            ("contact", "contact", CONTACT),
            ("license_info", "license", CONTACT),
        )
    },
    ("Gateway", "openapi_url"): Said(page("/d.json"), {"openapi_url": "/d.json"}),
    ("Gateway", "docs_url"): Said(page("/d"), {"docs_url": "/d"}),
    ("Gateway", "redoc_url"): Said(page("/r"), {"redoc_url": "/r"}),
    ("Gateway", "swagger_ui_oauth2_redirect_url"): Said(page("/o"), {"swagger_ui_oauth2_redirect_url": "/o"}),
    ("Gateway", "swagger_ui_init_oauth"): Said(
        page("/docs", '"clientId": "me"'), {"swagger_ui_init_oauth": {"clientId": "me"}}
    ),
    ("Gateway", "swagger_ui_parameters"): Said(
        page("/docs", '"filter": true'), {"swagger_ui_parameters": {"filter": True}}
    ),
    ("Gateway", "openapi_tags"): Said(said("tags"), {"openapi_tags": [{"name": "t"}]}),
    ("Gateway", "servers"): Said(said("servers"), {"servers": [{"url": "https://s"}]}),
    ("Gateway", "root_path_in_servers"): Said(
        served, {"root_path": "/api", "root_path_in_servers": False}, without={"root_path": "/api"}
    ),
    ("Gateway", "webhooks"): Said(lambda app: list(app.openapi().get("webhooks", ())), {"webhooks": WEBHOOKS}),
    ("Gateway", "separate_input_output_schemas"): Said(schemas, {"separate_input_output_schemas": False}),
    ("Gateway", "openapi_external_docs"): Said(said("externalDocs"), {"openapi_external_docs": {"url": "http://e"}}),
    ("Gateway", "default_response_class"): Said(
        of_operation("responses", "200", "content"), {"default_response_class": Vendor}
    ),
    **{
        (place, name): Said(look, **{"app" if place == "Gateway" else "option": {name: value}})
        for place, name, value, look in (
            ("Gateway", "callbacks", CALLBACKS.routes, of_operation("callbacks")),
            ("Gateway", "deprecated", True, of_operation("deprecated")),
            ("Gateway", "include_in_schema", False, of_operation("summary")),
            ("Gateway", "generate_unique_id_function", constant, of_operation("operationId")),
            ("operation", "callbacks", CALLBACKS.routes, of_operation("callbacks")),
            ("operation", "deprecated", True, of_operation("deprecated")),
            ("operation", "include_in_schema", False, of_operation("summary")),
            ("operation", "generate_unique_id_function", constant, of_operation("operationId")),
            ("operation", "tags", ["t"], of_operation("tags")),
            ("operation", "summary", "S", of_operation("summary")),
            ("operation", "description", "D", of_operation("description")),
            ("operation", "response_description", "R", of_operation("responses", "200", "description")),
            ("operation", "operation_id", "mine", of_operation("operationId")),
            ("operation", "openapi_extra", {"x-a": 1}, of_operation("x-a")),
        )
    },
}


def test_a_document_says_what_fastapis_says() -> None:
    assert {*DOCUMENT_SAMPLES} == rows_of(DOCUMENTED)
    for key, sample in DOCUMENT_SAMPLES.items():
        expected = sample.look(plain(sample.app, sample.option))
        said = sample.look(stubbed(sample.app, sample.option))
        if isinstance(said, str):  # behind the user's description stands who may call
            said = said.partition("\n\n**Who may call:**")[0]
        assert (key, said) == (key, expected)
        assert (key, sample.look(plain(sample.without, {}))) != (key, expected)


# --- parameters ---

FUNCTIONS: dict[str, Any] = {
    "query": Query,
    "header": Header,
    "cookie": Cookie,
    "path": Path,
    "form": Form,
    "body": Body,
}


@dataclass(frozen=True)
class Checked:
    """``v`` of ``kind`` with ``options``, at each of ``places``: texts that fit, and texts that do not. None is no text."""

    kind: Any
    options: Kwargs
    good: tuple[str | None, ...]
    bad: tuple[str | None, ...] = ()
    places: tuple[str, ...] = tuple(FUNCTIONS)
    sent_as: str = "v"
    annotated: bool = True
    media_type: str = "application/json"

    def signature(self, place: str) -> Signature:
        info = FUNCTIONS[place](**self.options)
        hint, default = (Annotated[self.kind, info], Parameter.empty) if self.annotated else (self.kind, info)
        return Signature([Parameter("v", Parameter.KEYWORD_ONLY, annotation=hint, default=default)])


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


NAMED = ("query", "header", "cookie", "form")
OPTIONAL = (*NAMED, "body")
TEXTS = ("query", "header", "cookie", "path", "form")
ANY: Kwargs = {"good": ("4",), "bad": ("x",)}

CHECKED_SAMPLES: dict[str, tuple[Checked, ...]] = {
    "default": (
        Checked(int, {"default": 5}, ("4", None), ("x",), NAMED, annotated=False),
        Checked(int, {"default": 5}, ("4",), ('"x"',), ("body",), annotated=False),
    ),
    "default_factory": (Checked(int, {"default_factory": lambda: 5}, ("4", None), ("x",), NAMED),),
    "alias": (Checked(int, {"alias": "w"}, ("4",), ("x", None), NAMED, sent_as="w"),),
    "alias_priority": (Checked(int, {"alias": "w", "alias_priority": 1}, ("4",), ("x",), NAMED, sent_as="w"),),
    "validation_alias": (Checked(int, {"validation_alias": "w"}, ("4",), ("x", None), NAMED, sent_as="w"),),
    "serialization_alias": (Checked(int, {"serialization_alias": "w"}, ("4",), ("x",), TEXTS),),
    "media_type": (
        Checked(
            int,
            {"media_type": "application/vnd.x+json"},
            ("4",),
            ('"x"',),
            ("body",),
            media_type="application/vnd.x+json",
        ),
    ),
    "gt": (Checked(int, {"gt": 3}, ("4",), ("3",)),),
    "ge": (Checked(int, {"ge": 3}, ("3",), ("2",)),),
    "lt": (Checked(int, {"lt": 3}, ("2",), ("3",)),),
    "le": (Checked(int, {"le": 3}, ("3",), ("4",)),),
    "min_length": (
        Checked(str, {"min_length": 2}, ("ab",), ("a",), TEXTS),
        Checked(str, {"min_length": 2}, ('"ab"',), ('"a"',), ("body",)),
    ),
    "max_length": (
        Checked(str, {"max_length": 2}, ("ab",), ("abc",), TEXTS),
        Checked(str, {"max_length": 2}, ('"ab"',), ('"abc"',), ("body",)),
    ),
    "pattern": (Checked(str, {"pattern": "^a+$"}, ("aa",), ("ab",), TEXTS),),
    "regex": (Checked(str, {"regex": "^a+$"}, ("aa",), ("ab",), ("query", "header", "cookie", "path")),),
    "discriminator": (
        Checked(Cat | Dog, {"discriminator": "kind"}, ('{"kind":"dog"}',), ('{"kind":"cow"}',), ("body",)),
    ),
    "strict": (
        Checked(int, {"strict": True}, ("4",), ('"4"',), ("body",)),
        Checked(int, {"strict": True}, (), ("4",), TEXTS),
    ),
    "validate_default": (
        Checked(int, {"default": 5, "validate_default": True}, ("4", None), ("x",), NAMED, annotated=False),
    ),
    "union_mode": (Checked(int | str, {"union_mode": "left_to_right"}, ("4", "x"), (), ("query", "header", "cookie")),),
    "fail_fast": (Checked(list[int], {"fail_fast": True}, ("4",), ("x",), ("query", "header")),),
    "multiple_of": (Checked(int, {"multiple_of": 2}, ("4",), ("3",)),),
    "allow_inf_nan": (Checked(float, {"allow_inf_nan": False}, ("4.5",), ("nan", "inf"), TEXTS),),
    "max_digits": (Checked(Decimal, {"max_digits": 2}, ("4.5",), ("4.55",)),),
    "decimal_places": (Checked(Decimal, {"decimal_places": 1}, ("4.5",), ("4.55",)),),
    **{
        name: (Checked(int, {name: value}, ("4",), ('"x"',)),)
        for name, value in (
            ("title", "T"),
            ("description", "D"),
            ("examples", [5]),
            ("example", 5),
            ("openapi_examples", {"five": {"value": 5}}),
            ("deprecated", True),
            ("include_in_schema", False),
            ("json_schema_extra", {"x-a": 1}),
        )
    },
}


def routes() -> Iterator[tuple[str, Checked, str]]:
    """Yield path, sample and place of every route; the same path without options is under ``/plain``."""
    for name, samples in CHECKED_SAMPLES.items():
        for number, sample in enumerate(samples):
            for place in sample.places:
                yield f"/{name}/{number}/{place}", sample, place


def signed(signature: Signature) -> Callable[..., None]:
    def function(**given: object) -> None:
        pass

    function.__signature__ = signature  # pyright: ignore[reportFunctionMemberAccess] - which inspect reads
    return function


@cache
def both() -> tuple[FastAPI, Gateway]:
    """Return an application and a gateway with all routes, in plain FastAPI and as stubs."""
    apps = FastAPI(), Gateway()
    for path, sample, place in routes():
        full = path + "/{v}" * (place == "path")
        apps[0].post(full)(signed(sample.signature(place)))
        apps[1].post(full, upstream=SVC, allow=anyone, response_model=None)(signed(sample.signature(place)))
    apps[1].compile()
    return apps


def ask(client: TestClient, path: str, sample: Checked, place: str, value: str | None) -> int:
    sent = {} if value is None else {sample.sent_as: value}
    match place:
        case "query":
            got = client.post(path, params=sent)
        case "header":
            got = client.post(path, headers=sent)
        case "cookie":
            got = client.post(path, headers={} if value is None else {"cookie": f"{sample.sent_as}={value}"})
        case "path":
            got = client.post(f"{path}/{value}")
        case "form":
            got = client.post(path, data=sent, headers={"content-type": "application/x-www-form-urlencoded"})
        case _:
            got = client.post(path, content=value or "", headers={"content-type": sample.media_type})
    return got.status_code


@pytest.mark.parametrize("name", CHECKED_SAMPLES)
def test_a_parameter_is_checked_and_documented_as_in_fastapi(name: str) -> None:
    fastapi, gateway = both()
    clients = TestClient(fastapi), TestClient(gateway)
    documents = fastapi.openapi()["paths"], gateway.openapi()["paths"]
    for path, sample, place in routes():
        if path.split("/")[1] != name:
            continue
        for values, expected in ((sample.good, (200, 503)), (sample.bad, (422, 422))):
            for value in values:
                statuses = tuple(ask(client, path, sample, place, value) for client in clients)
                assert (path, value, statuses) == (path, value, expected)
        full = path + "/{v}" * (place == "path")
        told = [{key: one[full]["post"].get(key) for key in ("parameters", "requestBody")} for one in documents]
        if place == "path" and told[0]["parameters"] is None:
            continue  # OpenAPI wants all parameters of a path, also one with include_in_schema=False
        if place == "form":  # FastAPI names the model of a form after the operation, which has another id here
            told = [re.sub(r"#/components/schemas/\w+", "", json.dumps(one)) for one in told]
        assert (path, told[1]) == (path, told[0])


def test_every_argument_of_a_parameter_has_a_sample() -> None:
    assert {("parameter", name) for name in CHECKED_SAMPLES} == rows_of(CHECKED)


# --- what is refused ---


def taking(annotation: Any) -> Callable[..., None]:
    return signed(Signature([Parameter("taken", Parameter.KEYWORD_ONLY, annotation=annotation)]))


def underscored(x_y: Annotated[int, Header(convert_underscores=False)]) -> None: ...


REFUSED_SAMPLES: dict[Key, tuple[Callable[..., Any], Kwargs, str]] = {
    ("parameter", "convert_underscores"): (underscored, {}, "a name with '_' is dropped: give it with '-'"),
    **{
        ("signature", name): (taking(kind), {}, "a stub is never run, so it cannot take Request, WebSocket, Response")
        for name, kind in (
            ("request", Request),
            ("websocket", WebSocket),
            ("http_connection", HTTPConnection),
            ("response", Response),
            ("background_tasks", BackgroundTasks),
            ("security_scopes", SecurityScopes),
        )
    },
}


def test_what_is_refused_is_refused_with_a_sentence() -> None:
    assert {*REFUSED_SAMPLES} == rows_of(REFUSED)
    for stub, options, sentence in REFUSED_SAMPLES.values():
        app = Gateway()
        app.post("/x", upstream=SVC, allow=anyone, **options)(stub)
        with pytest.raises(DeclarationError) as caught:
            app.compile()
        assert "POST /x: " in str(caught.value)
        assert sentence in str(caught.value)


# --- local endpoints ---


def with_router(kind: Kind, router: Kwargs, include: Kwargs) -> FastAPI:
    app = kind()
    made = APIRouter(**router)

    @made.get("/a")
    def a() -> str:
        return "a"

    @made.post("/body")
    def body(item: Item) -> Item:
        return item

    @made.post("/form")
    def form(n: Annotated[list[int], Form()]) -> int:
        return len(n)

    del a, body, form
    app.include_router(made, **include)
    return app


def got(app: FastAPI, method: str, path: str, **request: Any) -> object:
    answer = TestClient(app).request(method, path, **request)
    return answer.status_code, answer.headers.get("content-type") if answer.is_success else None


def look_at(method: str, path: str, **request: Any) -> Callable[[FastAPI], object]:
    return lambda app: got(app, method, path, **request)


def refuses() -> None:
    raise HTTPException(418)


class Marked(APIRoute):
    def get_route_handler(self) -> Callable[..., Any]:
        handler = super().get_route_handler()

        async def marked(request: Request) -> Response:
            answer = await handler(request)
            answer.headers["content-type"] = "text/marked"
            return answer

        return marked


async def hello(request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


ON_A = ("paths", "/a", "get")
ROUTER_LOOKS: dict[str, tuple[Any, Callable[[FastAPI], object]]] = {
    "prefix": ("/p", look_at("GET", "/p/a")),
    "tags": (["t"], said(*ON_A, "tags")),
    "dependencies": ([Depends(refuses)], look_at("GET", "/a")),
    "default_response_class": (Vendor, look_at("GET", "/a")),
    "responses": ({418: {"description": "T"}}, said(*ON_A, "responses", "418")),
    "callbacks": (CALLBACKS.routes, said(*ON_A, "callbacks")),
    "routes": ([Route("/r", hello)], look_at("GET", "/r")),
    "route_class": (Marked, look_at("GET", "/a")),
    "deprecated": (True, said(*ON_A, "deprecated")),
    "include_in_schema": (False, said(*ON_A, "summary")),
    "generate_unique_id_function": (constant, said(*ON_A, "operationId")),
    "strict_content_type": (False, look_at("POST", "/body", content="{}")),
    "max_body_size": (3, look_at("POST", "/body", json={"a": 12345})),
    "form_limits": (
        {"max_fields": 1},
        look_at("POST", "/form", content="n=1&n=2", headers={"content-type": "application/x-www-form-urlencoded"}),
    ),
}


async def nothing(scope: Any, receive: Any, send: Any) -> None:
    await PlainTextResponse("default", 418)(scope, receive, send)


class Overriding:
    """What a router asks for overrides of dependencies."""

    dependency_overrides = {refuses: lambda: None}


def mounted(options: Kwargs) -> Callable[[Kind], object]:
    def ask_mounted(kind: Kind) -> object:
        app = kind()
        router = APIRouter(**options)
        router.get("/a", dependencies=[Depends(refuses)])(lambda: "a")
        router.get("/b")(lambda: "b")
        app.mount("/m", router)
        return [got(app, "GET", f"/m/{path}", follow_redirects=False) for path in ("a", "b", "b/", "c")]

    return ask_mounted


def of_application(options: Kwargs, look: Callable[[FastAPI], object]) -> Callable[[Kind], object]:
    def ask_application(kind: Kind) -> object:
        app = kind(**options)
        return look(app)

    return ask_application


def by_method(declare: Callable[[FastAPI], object], look: Callable[[FastAPI], object]) -> Callable[[Kind], object]:
    def ask_declared(kind: Kind) -> object:
        app = kind()
        declare(app)
        return look(app)

    return ask_declared


async def greets(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("hello")
    await websocket.close()


def greeted(app: FastAPI) -> object:
    with TestClient(app).websocket_connect("/x") as websocket:
        return websocket.receive_text()


def overridden(app: FastAPI) -> None:
    app.get("/x", dependencies=[Depends(refuses)])(lambda: "x")
    app.dependency_overrides[refuses] = lambda: None


def of_state(app: FastAPI) -> None:
    app.state.kept = "kept"

    @app.get("/x")
    def kept(request: Request) -> str:
        return request.app.state.kept

    del kept


def inner() -> FastAPI:
    made = FastAPI()
    made.get("/y")(lambda: "y")
    return made


def forms(app: FastAPI) -> object:
    @app.post("/forms")
    def form(n: Annotated[list[int], Form()]) -> int:
        return len(n)

    del form
    return got(app, "POST", "/forms", content="n=1&n=2", headers={"content-type": "application/x-www-form-urlencoded"})


SITE = FilePath(__file__).parent

Asked = tuple[Callable[[Kind], object], Callable[[Kind], object]]
"""What asks an application of either kind, and the same without what is under test."""


def included(name: str, *, by_router: bool) -> Asked:
    value, look = ROUTER_LOOKS[name]
    router, include = ({name: value}, {}) if by_router else ({}, {name: value})
    return lambda kind: look(with_router(kind, router, include)), lambda kind: look(with_router(kind, {}, {}))


def declared(declare: Callable[[FastAPI], object], look: Callable[[FastAPI], object]) -> Asked:
    def bare(kind: Kind) -> object:
        try:
            return look(kind())
        except Exception as error:
            return type(error).__name__

    return by_method(declare, look), bare


LOCAL_SAMPLES: dict[Key, Asked] = {
    ("Gateway", "routes"): (
        of_application({"routes": [Route("/r", hello), Mount("/m", inner())]}, look_at("GET", "/r")),
        of_application({}, look_at("GET", "/r")),
    ),
    **{("router", name): included(name, by_router=True) for name in ROUTER_LOOKS},
    **{
        ("include", name): included(name, by_router=False)
        for name in ROUTER_LOOKS
        if name not in ("routes", "route_class", "strict_content_type")
    },
    ("include", "router"): included("prefix", by_router=False),
    ("router", "redirect_slashes"): (mounted({"redirect_slashes": False}), mounted({})),
    ("router", "default"): (mounted({"default": nothing}), mounted({})),
    ("router", "dependency_overrides_provider"): (
        mounted({"dependency_overrides_provider": Overriding()}),
        mounted({}),
    ),
    ("method", "include_router"): included("prefix", by_router=False),
    ("method", "add_route"): declared(lambda app: app.add_route("/x", hello), look_at("GET", "/x")),
    ("method", "websocket"): declared(lambda app: app.websocket("/x")(greets), greeted),
    ("method", "add_api_websocket_route"): declared(lambda app: app.add_api_websocket_route("/x", greets), greeted),
    ("method", "websocket_route"): declared(lambda app: app.websocket_route("/x")(greets), greeted),
    ("method", "mount"): declared(lambda app: app.mount("/x", inner()), look_at("GET", "/x/y")),
    ("method", "frontend"): declared(
        lambda app: app.frontend("/x", directory=SITE), look_at("GET", f"/x/{FilePath(__file__).name}")
    ),
    ("method", "dependency_overrides"): declared(overridden, look_at("GET", "/x")),
    ("method", "state"): declared(of_state, look_at("GET", "/x")),
}


def test_every_row_of_local_endpoints_has_a_sample() -> None:
    assert {*LOCAL_SAMPLES} == rows_of(LOCAL)


@pytest.mark.parametrize("key", LOCAL_SAMPLES, ids="-".join)
def test_local_endpoints_have_it_as_in_fastapi(key: Key) -> None:
    asked, bare = LOCAL_SAMPLES[key]
    expected = asked(FastAPI)
    assert asked(Gateway) == expected
    assert bare(FastAPI) != expected


# --- one by one ---


@pytest.mark.parametrize("verb", ["get", "post", "put", "patch", "delete", "head", "options"])
def test_a_decorator_for_each_method_declares_stubs(verb: str) -> None:
    app = Gateway()
    getattr(app, verb)("/x", upstream=SVC, allow=anyone)(lambda: None)
    app.api_route("/y", methods=["put", "GET"], upstream=SVC, allow=anyone)(lambda: None)
    assert [route.methods for route in app.declared()] == [(verb.upper(),), ("GET", "PUT")]


def test_a_method_for_local_endpoints_takes_no_upstream() -> None:
    app = Gateway()
    more: Kwargs = {"endpoint": lambda: None, "methods": ["PUT"]}
    add: Any = app.add_api_route
    with pytest.raises(TypeError, match="add_api_route\\(\\) got an unexpected keyword argument 'upstream'"):
        add("/x", upstream=SVC, **more)
    app.add_api_route("/x", **more)
    assert TestClient(app).put("/x").status_code == 200


@pytest.mark.parametrize("redirects", [True, False])
def test_without_redirects_a_final_slash_is_another_path(redirects: bool) -> None:
    app = Gateway(redirect_slashes=redirects)
    app.get("/x", upstream=SVC, allow=anyone)(lambda: None)
    app.get("/y")(lambda: None)
    ask = TestClient(app, follow_redirects=False)
    assert {ask.get(path).status_code for path in ("/x/", "/y/")} == ({307} if redirects else {404})


def test_a_stub_has_a_url_by_its_name() -> None:
    app = Gateway()

    @app.get("/a/{n}", upstream=SVC, allow=anyone, name="mine")
    def numbered(n: int) -> None: ...

    del numbered
    app.post("/b", upstream=SVC, allow=anyone)(operation)
    assert (app.url_path_for("mine", n=5), app.url_path_for("operation")) == ("/a/5", "/b")
    assert app.openapi()["paths"]["/a/{n}"]["get"]["operationId"] == "mine"


def test_the_status_of_a_stub_is_the_one_that_is_checked() -> None:
    (route,) = stubbed({}, {"status_code": 201}).declared()
    assert route.status == 201
    assert route.contract.answer is not None


def test_responses_of_the_application_check_answers_of_stubs() -> None:
    app = stubbed({"responses": {202: {"model": Item}, 418: {"description": "T"}}}, {})
    assert [*app.declared()[0].contract.answers] == [202]
    assert app.openapi()["paths"]["/x"]["post"]["responses"]["418"]["description"] == "T"


def test_debug_shows_tracebacks_of_endpoints_and_dependencies_alone() -> None:
    app = stubbed({"debug": True}, {})

    @app.get("/bug")
    def bug() -> None:
        raise RuntimeError("bug")

    app.get("/depends", upstream=SVC, allow=anyone, dependencies=[Depends(bug)])(lambda: None)
    client = TestClient(app, raise_server_exceptions=False)
    for path in ("/bug", "/depends"):
        assert 'raise RuntimeError("bug")' in client.get(path).text
    assert client.post("/x", json={}).json()["code"] == "upstream_refused"
    del bug


class Traced(TracerProvider):
    """Keeps the names of spans."""

    def __init__(self) -> None:
        self.spans: list[str] = []

    def get_tracer(self, *args: Any, **named: Any) -> NoOpTracer:
        spans = self.spans

        class Tracer(NoOpTracer):
            def start_span(self, name: str, *args: Any, **named: Any) -> Any:
                spans.append(name)
                return super().start_span(name, *args, **named)

        return Tracer()


@pytest.mark.parametrize(
    ("options", "engine"),
    [(None, "direct"), ({"tracing": True}, "asgi"), ({"tracing": False, "metrics": False, "logs": False}, "direct")],
)
def test_telemetry_sees_the_requests_of_stubs(options: Kwargs | None, engine: str) -> None:
    traced = Traced()
    app = stubbed({"telemetry": None if options is None else {"tracer_provider": traced, **options}}, {})
    assert app.direct() == (engine == "direct")
    (described,) = app.describe()
    assert described.engine == engine
    assert ("telemetry=" in described.reason) == (engine == "asgi")
    TestClient(app).post("/x", json={})
    assert traced.spans == (["POST"] if engine == "asgi" else [])
