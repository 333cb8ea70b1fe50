"""The document of a gateway: names that stay the user's, ids, who may call, and documents of one's own."""

import json
from enum import Enum
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from fastapi.security import APIKeyHeader, HTTPBearer
from openapi_spec_validator import validate
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

import limen
from documents import dangling, followed
from limen import Gateway, Principal, Router, Upstream, anyone, owner, problems, role, scope, signed_in
from limen.auth import Jwt
from limen.auth.api_keys import ApiKeys
from limen.auth.rules import Rule
from limen.policies import Redirect, Respond

UP = Upstream("svc", ["http://127.0.0.1:1"])
AUTH = Jwt("k" * 32)


class Problem(BaseModel):
    """A user's model."""

    question: str


class InvalidPlace(BaseModel):
    """A user's model."""

    town: str


def checked(app: FastAPI) -> dict[str, Any]:
    document = app.openapi()
    validate(document)
    assert dangling(document) == set()
    return document


def test_models_of_the_user_keep_their_names() -> None:
    app = Gateway(auth=AUTH)

    @app.post("/p", upstream=UP, allow=anyone, responses=problems(409))
    def p(form: Problem) -> InvalidPlace: ...

    del p
    document = checked(app)
    schemas = document["components"]["schemas"]
    assert [*schemas["Problem"]["properties"]] == ["question"]
    assert [*schemas["InvalidPlace"]["properties"]] == ["town"]
    conflict = document["paths"]["/p"]["post"]["responses"]["409"]["content"]["application/problem+json"]
    assert conflict["schema"] == {"$ref": "#/components/schemas/limen__Problem"}
    assert "request_id" in schemas["limen__Problem"]["properties"]


def test_our_model_as_a_model_of_the_users_is_documented_once() -> None:
    app = Gateway()

    @app.get("/p", upstream=UP, allow=anyone, responses={404: {"model": limen.Problem}})
    def p() -> Any: ...

    del p
    schemas = checked(app)["components"]["schemas"]
    assert sorted(schemas) == ["InvalidPlace", "Problem"]


def test_problems_are_whole_in_an_application_of_fastapi() -> None:
    app = FastAPI()

    @app.get("/", responses=problems(404))
    def root() -> int:
        return 1

    del root
    document = checked(app)
    media = document["paths"]["/"]["get"]["responses"]["404"]["content"]["application/problem+json"]
    assert media["schema"]["properties"]["code"]["type"] == "string"


def stubs() -> Gateway:
    app = Gateway(auth=AUTH, title="T")

    @app.post("/p/{n}", upstream=UP, allow=role("admin"), responses=problems(409))
    def p(n: int, form: Problem) -> InvalidPlace: ...

    @app.get("/local")
    def local(n: int) -> int:
        return n

    del p, local
    return app


def test_a_document_of_ones_own_has_no_dangling_reference() -> None:
    app = stubs()

    def custom() -> dict[str, Any]:
        if not app.openapi_schema:
            made = get_openapi(title="mine", version="7", routes=app.routes)
            made["info"]["x-logo"] = "l"
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = custom
    with TestClient(app) as client:
        document = client.get("/openapi.json").json()
    validate(document)
    assert dangling(document) == set()
    assert document["info"]["x-logo"] == "l"
    operation = document["paths"]["/p/{n}"]["post"]
    assert {"401", "403", "409", "422", "503"} <= operation["responses"].keys()
    assert operation["x-limen-allow"] == "role(admin)"


def test_a_document_of_ones_own_is_completed_to_the_gateways_and_once() -> None:
    app = stubs()
    generated = checked(app)
    document = app.complete_openapi(get_openapi(title="T", version="0.1.0", routes=app.routes))
    assert document == generated
    once = json.dumps(document)
    assert json.dumps(app.complete_openapi(document)) == once


def test_routes_that_are_declared_later_are_documented() -> None:
    app = stubs()
    first = app.openapi()
    assert app.openapi() is first
    app.forward("/more/{path:path}", upstream=UP, allow=anyone)
    assert "/more/{path}" in checked(app)["paths"]

    @app.get("/late", upstream=UP, allow=anyone)
    def late() -> Any: ...

    del late
    assert "/late" in checked(app)["paths"]


def test_operation_ids_are_names_while_these_are_unique() -> None:
    app = Gateway(auth=AUTH)
    router = APIRouter()

    def same() -> int:
        return 1

    app.get("/a", upstream=UP, allow=anyone)(same)
    app.get("/b/{x}", upstream=UP, allow=anyone)(same)
    app.api_route("/both", methods=["GET"], operation_id="chosen")(same)
    router.get("/r")(same)
    router.get("/other")(lambda: 1)
    app.include_router(router, prefix="/v1")
    app.include_router(router, prefix="/v2")
    app.get("/chosen", upstream=UP, allow=anyone, name="chosen")(same)
    with pytest.warns(UserWarning, match="Duplicate Operation ID chosen"):  # as FastAPI does
        document = app.openapi()
    validate(document)
    assert [one["name"] for one in document["paths"]["/b/{x}"]["get"]["parameters"]] == ["x"]
    ids = {path: item["get"]["operationId"] for path, item in document["paths"].items()}
    assert ids == {
        "/a": "same",
        "/b/{x}": "same_b__x__get",
        "/both": "chosen",
        "/v1/r": "same_v1_r_get",
        "/v1/other": "<lambda>",
        "/v2/r": "same_v2_r_get",
        "/v2/other": "_lambda__v2_other_get",
        "/chosen": "chosen_chosen_get",
    }


def test_ids_that_the_user_makes_stay() -> None:
    def by_path(route: APIRoute) -> str:
        return route.path_format

    app = Gateway(generate_unique_id_function=by_path)

    @app.get("/a", upstream=UP, allow=anyone)
    def a() -> Any: ...

    @app.get("/b", upstream=UP, allow=anyone, operation_id="mine")
    def b() -> Any: ...

    del a, b
    paths = checked(app)["paths"]
    assert (paths["/a"]["get"]["operationId"], paths["/b"]["get"]["operationId"]) == ("/a", "mine")


def test_two_methods_of_one_endpoint_have_two_ids() -> None:
    app = Gateway()

    @app.api_route("/both", methods=["PUT", "DELETE"])
    def both() -> int:
        return 1

    del both
    with pytest.warns(UserWarning, match="Duplicate Operation ID"):
        document = app.openapi()
    found = {one["operationId"] for one in document["paths"]["/both"].values()}
    assert len(found) == 2
    assert "both" in found


def own(principal: Principal) -> bool:
    return True


WHO: dict[str, tuple[Rule, str]] = {
    "role(b, a)": (role("b", "a"), "callers with the role `a` or `b`"),
    "scope(x, y)": (scope("x", "y"), "callers with the scopes `x` and `y`"),
    "owner(n)": (owner("n"), "the caller whose id is `n`"),
    "signed_in": (signed_in, "every authenticated caller"),
    "own": (signed_in & own, "every authenticated caller and callers whom `own` admits"),
    "joined": (
        role("a") | (scope("x") & owner("n")),
        "callers with the role `a` or (callers with the scope `x` and the caller whose id is `n`)",
    ),
}


@pytest.mark.parametrize(("rule", "words"), WHO.values(), ids=WHO)
def test_each_operation_says_who_may_call(rule: Rule, words: str) -> None:
    app = Gateway(auth=AUTH)

    @app.get("/x/{n}", upstream=UP, allow=rule, auth=AUTH | ApiKeys(UP))
    def x(n: str) -> Any:
        """Says what it is."""

    del x
    operation = checked(app)["paths"]["/x/{n}"]["get"]
    said = f"**Who may call:** {words}, with a bearer token or an API key in `x-api-key`."
    assert operation["description"] == f"Says what it is.\n\n{said}"
    assert operation["x-limen-allow"] == str(rule)


def test_what_the_user_says_of_an_operation_wins() -> None:
    app = Gateway(auth=AUTH)
    said = {"description": "Mine.", "content": {"text/plain": {"schema": {"type": "string"}}}}
    extra: dict[str, Any] = {"security": [], "x-limen-allow": "nobody"}

    @app.get("/x", upstream=UP, allow=signed_in, responses={503: said, 401: problems(401)[401]}, openapi_extra=extra)
    def x() -> Any: ...

    del x
    document = checked(app)
    operation = document["paths"]["/x"]["get"]
    assert (operation["security"], operation["x-limen-allow"]) == ([], "nobody")
    unavailable, unauthorized = operation["responses"]["503"], operation["responses"]["401"]
    assert unavailable["description"] == "Mine."
    assert [*unavailable["content"]] == ["application/problem+json", "text/plain"]
    assert {"WWW-Authenticate", "X-Request-ID"} <= unauthorized["headers"].keys()
    assert "token_missing" in unauthorized["content"]["application/problem+json"]["examples"]


def test_security_schemes_of_the_user_keep_their_names() -> None:
    app = Gateway(auth=AUTH)

    @app.get("/x", upstream=UP, allow=signed_in)
    def x() -> Any: ...

    @app.get("/local", dependencies=[Depends(HTTPBearer(scheme_name="bearer", description="Mine."))])
    def local() -> int:
        return 1

    del x, local
    document = checked(app)
    assert document["components"]["securitySchemes"]["bearer"]["description"] == "Mine."
    assert document["paths"]["/local"]["get"]["security"] == [{"bearer": []}]
    assert document["paths"]["/x"]["get"]["security"] == [{"limen_bearer": []}]
    assert document["components"]["securitySchemes"]["limen_bearer"]["bearerFormat"] == "JWT"


def test_a_local_endpoint_documents_the_422_that_it_gives() -> None:
    def handler(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({}, 422)

    for app, media in (
        (Gateway(), "application/problem+json"),
        (Gateway(exception_handlers={RequestValidationError: handler}), "application/json"),
    ):

        @app.get("/local")
        def local(n: Annotated[int, Query()]) -> int:
            return n

        if media == "application/json":
            app.exception_handlers[RequestValidationError] = handler
        document = checked(app)
        assert [*document["paths"]["/local"]["get"]["responses"]["422"]["content"]] == [media]
        assert ("HTTPValidationError" in document["components"]["schemas"]) == (media == "application/json")


def test_a_stub_documents_the_422_that_it_gives() -> None:
    def asks(q: int) -> None: ...

    def handler(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({}, 422)

    problem, own = "application/problem+json", "application/json"
    for app, of_dependency in (
        (Gateway(), problem),
        (Gateway(exception_handlers={RequestValidationError: handler}), own),
    ):
        router = Router()
        for at in (app, router):
            name = "app" if at is app else "router"
            at.get(f"/{name}/stub/{{n}}", upstream=UP, allow=anyone)(numbered)
            at.get(f"/{name}/asks", upstream=UP, allow=anyone, dependencies=[Depends(asks)])(lambda: None)
        app.include_router(router)
        found = {path: [*item["get"]["responses"]["422"]["content"]] for path, item in checked(app)["paths"].items()}
        assert found == {
            "/app/stub/{n}": [problem],
            "/app/asks": [of_dependency],
            "/router/stub/{n}": [problem],
            "/router/asks": [of_dependency],
        }


def numbered(n: int) -> None: ...


class Size(Enum):
    SMALL = "s"
    LARGE = "l"


def asks_much(size: Annotated[Size, Query()], key: Annotated[str, Depends(APIKeyHeader(name="x-key"))]) -> None: ...


def test_credentials_of_dependencies_and_of_the_rule_are_both_required() -> None:
    app, router = Gateway(auth=AUTH | ApiKeys(UP, header="x-other")), Router()
    guards: Any = {"dependencies": [Depends(asks_much)]}
    router.get("/router", upstream=UP, allow=signed_in, **guards)(lambda: None)
    app.include_router(router)
    app.get("/stub", upstream=UP, allow=signed_in, **guards)(lambda: None)
    app.get("/local", allow=signed_in, **guards)(lambda: None)
    app.forward("/forward", upstream=UP, allow=signed_in, methods=["GET"], **guards)
    app.get("/anyone", upstream=UP, allow=anyone, **guards)(lambda: None)
    app.get("/mine", upstream=UP, allow=signed_in, openapi_extra={"security": [{"mine": []}]}, **guards)(lambda: None)
    for document in (checked(app), app.complete_openapi(app.openapi())):
        security = {path: item["get"]["security"] for path, item in document["paths"].items()}
        both: Any = [{"APIKeyHeader": [], "bearer": []}, {"APIKeyHeader": [], "x-other": []}]
        mine: Any = [{"APIKeyHeader": []}, {"mine": []}]  # as in FastAPI
        assert security == {
            **dict.fromkeys(("/router", "/stub", "/local", "/forward"), both),
            "/anyone": [{"APIKeyHeader": []}],
            "/mine": mine,
        }


def test_a_forward_documents_what_its_dependencies_ask_for() -> None:
    app = Gateway()
    for kind in ("stub", "forward"):
        guards: Any = {"upstream": UP, "allow": anyone, "dependencies": [Depends(asks_much)]}
        if kind == "stub":
            app.get("/stub/{rest:path}", **guards)(lambda: None)
        else:
            app.forward("/forward/{rest:path}", methods=["GET"], **guards)
    paths = checked(app)["paths"]
    stub, forward = (paths[f"/{kind}/{{rest}}"]["get"] for kind in ("stub", "forward"))
    (size,) = (one for one in forward["parameters"] if one["name"] == "size")
    assert {**size["schema"], "title": "Size"} == {"enum": ["s", "l"], "title": "Size", "type": "string"}
    assert (
        {one["name"] for one in forward["parameters"]}
        == {one["name"] for one in stub["parameters"]}
        == {"rest", "size"}
    )
    assert forward["security"] == stub["security"]
    assert forward["responses"]["422"] == stub["responses"]["422"]


def test_a_policy_that_answers_by_itself_is_documented() -> None:
    app = Gateway()

    @app.get("/gone", upstream=UP, allow=anyone, policies=[Respond(410, "gone")])
    def gone() -> Any: ...

    @app.get("/old", upstream=UP, allow=anyone, policies=[Redirect("/new", status=308)])
    def old() -> Any: ...

    del gone, old
    document = checked(app)
    for path, status in (("/gone", "410"), ("/old", "308")):
        responses = document["paths"][path]["get"]["responses"]
        assert status in responses
        assert not {"200", "502", "504"} & responses.keys()


@pytest.mark.parametrize(("in_servers", "servers"), [(True, [{"url": "/base"}]), (False, None)])
def test_servers_name_the_root_path_as_in_fastapi(in_servers: bool, servers: object) -> None:
    app = Gateway(root_path_in_servers=in_servers)
    plain = FastAPI(root_path_in_servers=in_servers)
    for one in (app, plain):
        with TestClient(one, root_path="/base") as client:
            assert client.get("/openapi.json").json().get("servers") == servers
        assert "servers" not in one.openapi()


def test_servers_name_the_mount_as_in_fastapi() -> None:
    app = Gateway()
    with TestClient(Starlette(routes=[Mount("/sub", app)])) as client:
        assert client.get("/sub/openapi.json").json()["servers"] == [{"url": "/sub"}]


def test_without_an_address_there_is_no_document() -> None:
    with TestClient(Gateway(openapi_url=None)) as client:
        assert client.get("/openapi.json").status_code == 404


def test_every_answer_of_a_route_documents_the_request_id() -> None:
    document = checked(stubs())
    for response in document["paths"]["/p/{n}"]["post"]["responses"].values():
        assert "X-Request-ID" in followed(document, response)["headers"]
