"""Every other kind of finding: the fault, and what is near it and is none."""

from collections.abc import Callable
from typing import Any, ForwardRef, Literal
from uuid import UUID

import pytest
from fastapi import APIRouter, FastAPI, Response, UploadFile, WebSocket
from pydantic import BaseModel, ConfigDict, create_model

from limen import ClientLimits, Gateway, Retry, Split, Timeouts, Upstream, anyone, owner, signed_in
from limen.auth import Issuer, Jwt
from limen.checks.finding import Kind
from limen.checks.run import run
from limen.checks.sample_paths import samples
from limen.policies import Edits, Headers
from tokens import SECRET

SERVICE = Upstream("up", ["http://127.0.0.1:9"])
SERVICE_2 = Upstream("up-2", ["http://127.0.0.1:11"])


class Item(BaseModel):
    """Something declared."""

    number: int


class Opaque:
    """What pydantic has no schema for."""


class Undescribed(BaseModel):
    """A model that validates, and has no JSON schema."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    opaque: Opaque


def gateway(**options: Any) -> Gateway:
    return Gateway(auth=Jwt(SECRET), **options)


def stub(app: Gateway, method: str, path: str, function: Callable[..., Any], **options: Any) -> None:
    options = {"upstream": SERVICE, "allow": anyone, **options}
    getattr(app, method)(path, **options)(function)


def nothing() -> Response: ...


def found(app: Gateway, *kinds: Kind) -> list[tuple[str, str]]:
    """Return places and messages of ``kinds``; other kinds must not be found."""
    findings = run(app)
    assert {finding.kind for finding in findings} <= set(kinds)
    return [(str(finding.place), finding.message) for finding in findings]


def test_a_sound_gateway_has_no_findings() -> None:
    app = gateway()

    def item(number: int, kind: Literal["a", "b"]) -> Item: ...
    def create(item: Item) -> Item: ...
    async def health() -> str:
        return "alive"

    stub(app, "get", "/items/{number}/{kind}", item, allow=owner("number"), rewrite="/v2/{kind}/{number}")
    stub(app, "post", "/items", create, allow=signed_in, max_answer=1000)
    app.forward("/files/{path:path}", upstream=SERVICE, allow=anyone)
    app.get("/health")(health)
    assert run(app) == []


# --- what is never reached ---


def test_a_route_without_a_method_is_never_reached() -> None:
    app = gateway()
    app.forward("/a", upstream=SERVICE, allow=anyone, methods=[])
    assert found(app, Kind.UNREACHABLE_ROUTE) == [("ANY /a", "it names no method.")]


def local(app: Gateway, method: str, path: str) -> None:
    async def endpoint() -> None:
        pass

    endpoint.__name__ = f"{method}{path}"
    app.add_api_route(path, endpoint, methods=[method])


def test_a_local_endpoint_that_another_one_hides() -> None:
    """Where the path of the hidden one has no parameters, the gateway does not even compile."""
    app = gateway()
    local(app, "GET", "/a/{x:path}")
    local(app, "GET", "/a/{y:int}")
    assert found(app, Kind.UNREACHABLE_ENDPOINT) == [
        ("GET /a/{y:int}", "no request reaches it: GET /a/{x:path}, declared before, takes it.")
    ]


def test_local_endpoints_that_are_reached() -> None:
    app = gateway()
    app.forward("/served/{path:path}", upstream=SERVICE, allow=anyone)
    stub(app, "get", "/stub", nothing)
    for path in ("GET /a/b", "GET /a/{x}", "POST /a/{x}", "GET /c/{x:int}", "GET /c/{x}", "GET /d"):
        local(app, *path.split(" "))
    for path in ("GET /served/a", "POST /stub", "GET /stub/"):
        local(app, *path.split(" "))
    app.mount("/static", FastAPI())
    assert run(app) == []


def test_a_mount_hides_what_comes_after_it_and_so_does_an_earlier_endpoint_of_a_router() -> None:
    app = gateway()
    app.mount("/static", FastAPI())
    local(app, "GET", "/static/{late:int}")
    router = APIRouter(prefix="/inner")

    @router.get("/{x}")
    async def first(x: str) -> str:
        return x

    @router.get("/{x:int}")
    async def late(x: int) -> int:
        return x

    @router.websocket("/{x}")
    async def socket(x: str, socket: WebSocket) -> None:
        await socket.accept()

    @router.websocket("/late")
    async def late_socket(socket: WebSocket) -> None:
        await socket.accept()

    app.include_router(router)
    assert found(app, Kind.UNREACHABLE_ENDPOINT) == [
        ("GET /static/{late:int}", "no request reaches it: mount /static, declared before, takes it."),
        ("GET /inner/{x:int}", "no request reaches it: GET /inner/{x}, declared before, takes it."),
        ("WebSocket /inner/late", "no request reaches it: WebSocket /inner/{x}, declared before, takes it."),
    ]


# --- options without effect ---


def test_a_rewrite_that_drops_a_parameter() -> None:
    app = gateway()

    def user(user_id: int, part: str) -> Response: ...

    stub(app, "get", "/users/{user_id}/{part}", user, rewrite="/v2/{part}")
    ((place, message),) = found(app, Kind.REWRITE_DROPS_PARAMETER)
    assert place == "GET /users/{user_id}/{part}"
    assert "leaves out {user_id}" in message


def test_a_body_on_a_get() -> None:
    app = gateway()

    def take(item: Item) -> Item: ...
    def upload(file: UploadFile) -> Response: ...

    stub(app, "get", "/held", take)
    stub(app, "get", "/streamed", upload)
    assert [place for place, _ in found(app, Kind.BODY_ON_GET, Kind.DUPLICATE_OPERATION_ID)] == [
        "GET /held",
        "GET /streamed",
    ]


def test_bounds_that_never_apply() -> None:
    app = gateway(limits=ClientLimits(body_memory=65536))

    def small(item: Item) -> Item: ...
    def large(item: Item) -> Item: ...

    stub(app, "post", "/small", small, max_body=24576)
    stub(app, "post", "/large", large, max_body=24577)
    stub(app, "get", "/stream", nothing, max_answer=1000)
    assert [place for place, _ in found(app, Kind.MAX_BODY_UNREACHABLE, Kind.MAX_ANSWER_UNUSED)] == [
        "POST /large",
        "GET /stream",
    ]


def test_timeouts_that_never_end_anything() -> None:
    app = gateway()
    slow = Upstream("slow", ["http://127.0.0.1:8"], timeouts=Timeouts(total=5))  # its other timeouts are the defaults
    odd = Upstream("odd", ["http://127.0.0.1:7"], timeouts=Timeouts(total=5, idle=6))
    app.forward("/slow", upstream=slow, allow=anyone)
    app.forward("/own", upstream=slow, allow=anyone, timeouts=Timeouts(total=2, first_byte=2.5))
    app.forward("/odd", upstream=odd, allow=anyone, timeouts=Timeouts())
    assert found(app, Kind.TIMEOUT_UNREACHABLE, Kind.TIMEOUTS_UNUSED) == [
        (
            "GET|POST|PUT|PATCH|DELETE|OPTIONS /own",
            "Timeouts(first_byte=2.5) never ends a call, because total=2 ends it first.",
        ),
        ("Upstream odd", "Timeouts(idle=6) never ends a call, because total=5 ends it first."),
        ("Upstream odd", "its timeouts= take no effect: every route of it has timeouts= of its own."),
    ]


def test_a_policy_of_a_group_that_each_route_replaces() -> None:
    def headers(value: str) -> Headers:
        return Headers(answer=Edits(set={"x-a": value}))

    app = gateway()
    used = app.group("/used", upstream=SERVICE, allow=anyone, policies=[headers("1")])
    unused = app.group("/unused", upstream=SERVICE, allow=anyone, policies=[headers("1")])
    used.get("/a", name="a")(nothing)
    used.get("/b", operation_id="b", policies=[headers("2")])(nothing)
    unused.get("/c", operation_id="c", policies=[headers("2")])(nothing)
    ((place, message),) = found(app, Kind.POLICY_UNUSED)
    assert place == "group /unused"
    assert message.startswith("its Headers is replaced")


# --- who may sign in ---


def test_an_issuer_of_many_tenants_that_names_none() -> None:
    name = "https://login.example/{tenantid}/v2.0"
    everyone, some = (
        Issuer(name, name=called, audience=called, jwks_uri="https://login.example/keys", tenants=tenants)
        for called, tenants in (("everyone", None), ("some", ["one"]))
    )
    for auth in (everyone, some | Issuer("https://idp.example", audience="shop")):
        app = Gateway(auth=some)
        app.get("/a", upstream=SERVICE, allow=anyone, auth=auth)(nothing)
        app.get("/b", upstream=SERVICE, allow=anyone, auth=auth, operation_id="b")(nothing)
        places = [place for place, _ in found(app, Kind.OPEN_ISSUER)]
        assert places == (["Issuer everyone"] if auth is everyone else [])


# --- the document and the types ---


def test_two_operations_with_one_id() -> None:
    def rest(x: str) -> Response: ...

    app = gateway()
    stub(app, "get", "/a", nothing, operation_id="one")
    stub(app, "get", "/b/{x:path}", rest, operation_id="one")
    assert found(app, Kind.DUPLICATE_OPERATION_ID) == [
        ("GET /b/{x:path}", "its operation id 'one' is also that of GET /a.")
    ]


def test_two_models_with_one_name() -> None:
    def answering(model: Any) -> Callable[[], Any]:
        def answer() -> Any: ...

        answer.__annotations__["return"] = model
        answer.__name__ = model.__module__
        return answer

    app = gateway()
    for name in ("first", "second"):
        model = create_model("Thing", __module__=name, **{name: (int, ...)})  # pyright: ignore[reportCallIssue, reportUnknownVariableType, reportArgumentType]
        stub(app, "get", f"/{name}", answering(model))
    ((place, message),) = found(app, Kind.COMPONENT_CLASH)
    assert place == "GET /first"
    assert "first.Thing and second.Thing have one name, 'Thing'" in message


def test_one_model_in_and_out_is_no_clash() -> None:
    class Both(BaseModel):
        number: int = 1

    def take(both: Both) -> Both: ...

    app = gateway()
    stub(app, "post", "/both", take)
    assert run(app) == []


def test_a_document_that_cannot_be_built_names_the_route() -> None:
    def sound() -> Item: ...
    def broken() -> Undescribed: ...

    app = gateway()
    stub(app, "get", "/sound", sound)
    stub(app, "get", "/broken", broken)
    ((place, message),) = found(app, Kind.DOCUMENT_FAILS)
    assert place == "GET /broken"
    assert "PydanticInvalidForJsonSchema" in message


def test_a_function_that_makes_the_document_may_fail_by_itself() -> None:
    def openapi() -> dict[str, Any]:
        raise ValueError("no such file\nand more")

    app = gateway()
    app.openapi = openapi
    assert found(app, Kind.DOCUMENT_FAILS) == [("document", "it cannot be documented: ValueError: no such file.")]


def test_what_the_document_leaves_out_is_told_at_its_route() -> None:
    def odd(x: Any = Opaque()) -> Response: ...  # noqa: B008 - the fault itself

    app = gateway()
    stub(app, "get", "/sound", nothing)
    stub(app, "get", "/odd", odd)
    ((place, message),) = found(app, Kind.DOCUMENT_INCOMPLETE)
    assert place == "GET /odd"
    assert "not JSON serializable" in message


class Unresolved(BaseModel):
    """A model with a field of a type that is not there."""

    part: "list[Nowhere]"  # type: ignore[name-defined]  # noqa: F821  # pyright: ignore[reportUndefinedVariable]


@pytest.mark.parametrize(
    ("options", "where", "name"),
    [
        ({"response_model": "Ietm"}, "the answer", "Ietm"),
        ({"response_model": list[ForwardRef("Ietm")]}, "the answer", "Ietm"),
        ({"response_model": Unresolved}, "the answer", "Nowhere"),
        ({"responses": {404: {"model": "Ietm"}}}, "responses={404: ...}", "Ietm"),
    ],
)
def test_types_that_are_not_there(options: dict[str, Any], where: str, name: str) -> None:
    app = gateway()

    async def endpoint() -> Any:
        return {}

    app.get("/x", **options)(endpoint)
    assert found(app, Kind.UNRESOLVED_MODEL) == [
        ("GET /x", f"the type of {where} cannot be built: nothing is called {name!r} when the gateway starts.")
    ]


def test_a_body_whose_type_is_not_there_is_a_finding_though_nothing_compiles() -> None:
    app = gateway()

    async def take(body: list[Unresolved]) -> None:
        pass

    app.post("/x")(take)
    ((place, message),) = found(app, Kind.UNRESOLVED_MODEL)
    assert place == "POST /x"
    assert "the body 'body' cannot be built: nothing is called 'Nowhere'" in message


def test_a_stub_whose_type_is_not_there_does_not_compile() -> None:
    app = gateway()
    app.get("/x", responses={404: {"model": Unresolved}}, upstream=SERVICE, allow=anyone)(nothing)
    messages = [message for _, message in found(app, Kind.DECLARATION, Kind.UNRESOLVED_MODEL)]
    assert any("the answer 404 needs 'Nowhere'" in message for message in messages)


def test_what_does_not_compile_is_a_finding_for_each_problem() -> None:
    app = gateway()
    app.get("/a", upstream=SERVICE)(nothing)
    app.forward("/b/{x", upstream=SERVICE, allow=anyone, methods=["GET"])
    findings = run(app)
    assert {finding.kind for finding in findings} == {Kind.DECLARATION}
    assert [str(finding.place) for finding in findings] == ["GET /a", "GET /b/{x"]


# --- paths that are made up ---


@pytest.mark.parametrize("kind", [int, str, float, UUID, bool, Literal["red", "green"]])
def test_made_up_values_fit_the_contract(kind: Any) -> None:
    def answer(x: Any) -> Response: ...

    answer.__annotations__["x"] = kind
    app = gateway()
    stub(app, "get", "/{x}", answer)
    (route,) = app.declared()
    made = list(samples(route))
    assert made
    assert all(route.contract.params[0].check({"x": [sample.values["x"]]}) is None for sample in made)


def test_codes_are_words_with_hyphens_and_each_is_one_kind() -> None:
    names = [kind.code for kind in Kind]
    assert len(set(names)) == len(names)
    assert all(name.replace("-", "").isalpha() and name == name.lower() for name in names)


def test_paths_with_text_around_parameters_are_checked_as_others_are() -> None:
    app = gateway()
    app.forward("/reports/{name}.csv", upstream=SERVICE, allow=anyone)
    app.forward("/files/{path:path}/edit", upstream=SERVICE, allow=signed_in)
    app.forward("/files/{a}-{b:int}", upstream=SERVICE, allow=signed_in)
    assert found(app) == []


# --- what is never retried ---


def several(name: str = "up", **options: Any) -> Upstream:
    return Upstream(name, ["http://127.0.0.1:9", "http://127.0.0.1:10"], **options)


def test_a_route_that_is_never_repeated_although_retries_were_declared() -> None:
    app = gateway()
    declared = several(retry=Retry(attempts=2))
    app.forward("/post", upstream=declared, allow=anyone, methods=["POST"])
    app.forward("/any", upstream=declared, allow=anyone)
    app.forward("/key", upstream=declared, allow=anyone, methods=["POST"], idempotency_key=True)
    app.forward("/canary", upstream=Split(SERVICE_2, declared, share=0.1), allow=anyone, methods=["PATCH"])
    ((first, message), (second, _)) = found(app, Kind.NEVER_RETRIED)
    assert (first, second) == ("POST /post", "PATCH /canary")
    assert message.startswith("POST is sent once, whatever the upstream 'up' says of retries")


def test_retries_by_default_are_nothing_that_somebody_counts_on() -> None:
    app = gateway()
    for path, upstream in (
        ("/default", several()),
        ("/one-target", Upstream("one", ["http://127.0.0.1:9"], retry=Retry(attempts=2))),
        ("/off", several("off", retry=None, hedge=None)),
    ):
        app.forward(path, upstream=upstream, allow=anyone, methods=["POST"])
    assert found(app) == []


def test_a_body_that_is_larger_than_what_is_kept_of_it() -> None:
    app = gateway()

    def held(item: Item) -> None: ...

    declared = several(retry=Retry(body=1000))
    app.forward("/larger", upstream=declared, allow=anyone, methods=["PUT"], max_body=1001)
    app.forward("/fits", upstream=declared, allow=anyone, methods=["PUT"], max_body=1000)
    app.forward("/unbounded", upstream=declared, allow=anyone, methods=["PUT"])
    app.forward("/get", upstream=declared, allow=anyone, methods=["GET", "POST"], max_body=1001)
    stub(app, "put", "/held", held, upstream=declared, max_body=1001)
    app.forward("/key", upstream=declared, allow=anyone, methods=["POST"], max_body=1001, idempotency_key=True)
    assert [place for place, _ in found(app, Kind.NEVER_RETRIED)] == ["PUT /larger", "POST /key"]


def test_an_upstream_whose_retries_cannot_happen_is_told_once() -> None:
    app = gateway()
    for path in ("/a", "/b"):
        app.forward(path, upstream=several(retry=Retry(attempts=1)), allow=anyone, methods=["GET"])
    ((place, said),) = found(app, Kind.NEVER_RETRIED)
    assert place == "Upstream up"
    assert "Retry(attempts=1) repeats nothing" in said
