"""The twelve parameters, one by one: section 1 of the checklist."""

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, FastAPI, Query, Request, Response
from pydantic import BaseModel

from article_gateway import Project
from limen import DeclarationError, Gateway, Principal, Timeouts, Upstream, role, signed_in
from limen.auth import Issuer, Jwt, TokenDecoder, issue
from limen.compat import route
from limen.compat.access import payload_of_caller
from limen.runtime.route import Route
from limen.testing import ScriptedUpstream, saying
from serving import serving
from tokens import SECRET

ITEM = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{"id": 1}'
JWT = Jwt(SECRET)
BEARER = {"authorization": f"Bearer {issue(JWT, 7, 'default')}"}


class Item(BaseModel):
    """A body, and an answer."""

    id: int


def declared(app: Gateway, registrar: Callable[..., Any] | None = None, **parameters: Any) -> Route:
    """Declare GET /items, unless ``parameters`` say otherwise, and return what has become of it."""
    defaults: dict[str, Any] = {
        "request_method": registrar or app.get,
        "path": "/items",
        "status_code": 200,
        "payload_key": None,
        "service_url": "http://items:8000",
    }

    @route(**(defaults | parameters))
    async def handler(request: Request, response: Response):
        raise AssertionError("the body of a handler is never run")

    del handler
    return app.declared()[-1]


def answering(answer: object) -> Callable[[dict[str, Any]], object]:
    """Return a checker that answers so."""

    def check(payload: dict[str, Any]) -> object:
        return answer

    return check


def of_a_tenant(payload: dict[str, Any]) -> bool:
    return payload["tenant"] == "a secret"


def gateway() -> Gateway:
    return Gateway(auth=JWT)


def test_they_are_the_twelve_and_in_the_same_order() -> None:
    assert list(inspect.signature(route).parameters) == [
        *("request_method", "path", "status_code", "payload_key", "service_url", "authentication_required"),
        *("post_processing_func", "authentication_token_decoder", "service_authorization_checker"),
        *("service_header_generator", "response_model", "response_list"),
    ]


# --- request_method, path ---


@pytest.mark.parametrize("verb", ["get", "post", "put", "patch", "delete"])
def test_the_registrars_of_a_gateway(verb: str) -> None:
    app = gateway()
    assert declared(app, getattr(app, verb)).methods == (verb.upper(),)


def test_the_registrars_of_a_group_within_a_group() -> None:
    app = gateway()
    inner = app.group("/v1").group("/shop", tags=["shop"])
    found = declared(app, inner.get, path="/items/{item_id}", service_url="http://items/internal/")
    assert found.path == "/v1/shop/items/{item_id}"
    assert found.rewrite == "/internal/v1/shop/items/{item_id}"
    assert app.openapi()["paths"][found.path]["get"]["tags"] == ["shop"]


@pytest.mark.parametrize(
    "registrar", [APIRouter().put, FastAPI().get, gateway().head, gateway().group, route, "app.get"], ids=repr
)
def test_a_registrar_of_no_gateway_is_refused(registrar: Any) -> None:
    with pytest.raises(DeclarationError, match=r"belongs to no gateway; give app.get, .* or of a group"):
        declared(gateway(), registrar)


async def test_a_route_of_a_group_runs() -> None:
    async with ScriptedUpstream(saying(ITEM)) as service:
        app = gateway()
        shop = app.group("/shop/{shop_id}")
        declared(app, shop.get, path="/items/{item_id:int}", service_url=f"{service.url}/internal")
        async with serving(app) as served:
            found = await served.client.get("/shop/a%20b/items/7?x=1")
    assert found.json() == {"id": 1}
    assert service.requests[0].startswith(b"GET /internal/shop/a%20b/items/7?x=1 HTTP/1.1\r\n")


def test_the_path_at_the_service_is_the_public_one() -> None:
    assert declared(gateway()).rewrite is None


# --- status_code, post_processing_func ---


async def test_only_the_documented_status_is_processed() -> None:
    def twice(answer: dict[str, int]) -> dict[str, int]:
        return {"id": answer["id"] * 2}

    other = ITEM.replace(b"200 OK", b"202 Accepted")
    async with ScriptedUpstream(saying(ITEM, other)) as service:
        app = gateway()
        declared(app, service_url=service.url, post_processing_func=twice, response_model=Item)
        async with serving(app) as served:
            answers = [await served.client.get("/items") for _ in range(2)]
    assert [(one.status_code, one.json()) for one in answers] == [(200, {"id": 2}), (202, {"id": 1})]


async def test_a_post_processor_may_wait() -> None:
    async def replaced(answer: object) -> object:
        return {"id": 5}

    async with ScriptedUpstream(saying(ITEM)) as service:
        app = gateway()
        declared(app, service_url=service.url, post_processing_func=replaced)
        async with serving(app) as served:
            assert (await served.client.get("/items")).json() == {"id": 5}


# --- service_url ---


@pytest.mark.parametrize(
    ("url", "name", "target", "rewrite"),
    [
        ("http://users:8000", "users-8000", "http://users:8000", None),
        ("http://users:8000/", "users-8000", "http://users:8000", None),
        ("http://users", "users", "http://users", None),
        ("https://api.example.com/v2/", "api_example_com-tls", "https://api.example.com", "/v2/items"),
        ("http://127.0.0.1:81/a%20b", "127_0_0_1-81", "http://127.0.0.1:81", "/a%20b/items"),
        ("http://[::1]:81", "__1-81", "http://[::1]:81", None),
        ("unix:/run/users.sock", "run-users-sock", "unix:/run/users.sock", None),
    ],
)
def test_an_address_is_an_upstream(url: str, name: str, target: str, rewrite: str | None) -> None:
    found = declared(gateway(), service_url=url)
    assert found.upstream == Upstream(name, [target], timeouts=Timeouts(first_byte=59, idle=59, total=59))
    assert found.rewrite == rewrite
    assert declared(gateway(), service_url=url).upstream is found.upstream


def test_services_of_one_host_are_told_apart() -> None:
    app = gateway()
    names = {
        declared(app, path=f"/{number}", service_url=url).upstream.name
        for number, url in enumerate(
            ("http://h:1", "http://h:2", "https://h:1", "http://h", "http://a-b", "http://a.b")
        )
    }
    assert len(names) == 6


def test_an_upstream_may_be_given() -> None:
    upstream = Upstream("items", ["http://a", "http://b"], timeouts=Timeouts(total=5))
    assert declared(gateway(), service_url=upstream).upstream is upstream


# --- authentication_required and its three functions ---


def test_without_authentication_none_of_the_three_runs() -> None:
    found = declared(gateway())
    assert (found.allow.public, found.auth, found.identity) == (True, None, None)
    assert declared(gateway(), service_authorization_checker=None, service_header_generator="").allow.public


def test_the_defaults_are_safe() -> None:
    found = declared(gateway(), authentication_required=True)
    assert (str(found.allow), found.allow.roles, found.auth, found.identity) == ("role(admin)", {"admin"}, None, None)
    with pytest.raises(DeclarationError, match=r"needs to know the caller; give the gateway auth=Jwt"):
        declared(Gateway(), authentication_required=True)


def test_a_checker_may_be_skipped_and_the_headers_too() -> None:
    found = declared(
        gateway(), authentication_required=True, service_authorization_checker=None, service_header_generator=None
    )
    assert (found.allow, found.identity) == (signed_in, {})


def test_names_and_functions_are_the_same(project: Project) -> None:
    auth = project("auth")
    names: dict[str, Any] = {
        "authentication_token_decoder": "auth.decode_access_token",
        "service_authorization_checker": "auth.is_admin_user",
        "service_header_generator": "auth.generate_request_header",
        "response_model": "datastructures.users.UserResponse",
    }
    values = {
        "authentication_token_decoder": auth.decode_access_token,
        "service_authorization_checker": auth.is_admin_user,
        "service_header_generator": auth.generate_request_header,
        "response_model": project("datastructures.users").UserResponse,
    }
    named = declared(gateway(), authentication_required=True, **names)
    given = declared(gateway(), authentication_required=True, **values)
    assert named.auth is not None
    assert given.auth is not None
    assert list(named.auth) == list(given.auth) == [TokenDecoder(auth.decode_access_token)]
    assert (str(named.allow), str(given.allow)) == ("auth.is_admin_user", "is_admin_user")
    assert named.identity is not None
    assert given.identity is not None
    assert set(named.identity) == set(given.identity) == {"request-user-id"}
    assert named.contract.answer is not None
    assert given.contract.answer is not None
    admin = Principal("1", frozenset({"admin"}), claims={"id": 1, "user_type": "admin"})
    for one in (named, given):
        assert one.allow.check(admin, {}) is True
        assert one.allow.check(Principal("2", claims={"id": 2, "user_type": "default"}), {}) is False
        assert one.identity is not None
        assert one.identity["request-user-id"](admin) == "1"


def test_a_name_may_lead_into_a_class(project: Project) -> None:
    found = declared(gateway(), post_processing_func="datastructures.users.UserResponse.model_validate")
    assert found.after is not None
    assert found.after.name == "model_validate"


@pytest.mark.parametrize("truthy", [True, 1, "yes", [0]])
def test_a_checker_may_return_anything_true(truthy: object) -> None:
    rule = declared(gateway(), authentication_required=True, service_authorization_checker=answering(truthy)).allow
    assert rule.check(Principal("1"), {}) is True


def test_a_checker_that_raises_or_would_have_to_be_awaited_admits_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async def later() -> bool:
        return True

    waiting = later()
    for check in (of_a_tenant, answering(waiting)):
        rule = declared(gateway(), authentication_required=True, service_authorization_checker=check).allow
        assert rule.check(Principal("1"), {}) is False
    waiting.close()
    assert [record.getMessage() for record in caplog.records if record.name == "limen.compat"] == [
        "of_a_tenant raised KeyError, and refuses the caller",
        "check raised TypeError, and refuses the caller",
    ]


@pytest.mark.parametrize(
    ("principal", "payload"),
    [
        (Principal("1", frozenset({"admin"}), claims={"id": 1, "user_type": "admin", "exp": 5}), {"id": 1}),
        # An outside issuer may write anything: only what the gateway has made of it counts.
        (Principal("oidc:1", frozenset(), claims={"id": "1", "user_type": "admin", "exp": 5}), {"user_type": ""}),
        (Principal("oidc:1", frozenset({"a", "b"}), claims={"exp": 5}), {"user_type": "a,b"}),
        (
            Principal("7", frozenset({"a"}), claims={"id": "7", "user_type": ["a"], "exp": 5}),
            {"id": "7", "user_type": "a"},
        ),
    ],
)
def test_the_payload_of_a_caller_is_what_the_gateway_knows(principal: Principal, payload: dict[str, Any]) -> None:
    found = payload_of_caller(principal)
    default = {"id": principal.id, "user_type": ",".join(sorted(principal.roles)), "exp": 5}
    assert found == default | payload
    found["id"] = "changed"
    assert principal.claims.get("id") != "changed"


def test_a_checker_of_the_project_sees_callers_of_an_outside_issuer() -> None:
    """And not what their tokens claim under the project's names."""
    outside = Issuer("https://idp.example", audience="shop")
    seen: list[Mapping[str, Any]] = []

    def check(payload: Mapping[str, Any]) -> bool:
        seen.append(payload)
        return payload["user_type"] == "admin"

    app = Gateway(auth=JWT | outside)
    rule = declared(app, authentication_required=True, service_authorization_checker=check).allow
    claims = {"sub": "mallory", "id": 1, "user_type": "admin"}
    assert rule.check(Principal("https://idp.example|mallory", claims=claims), {}) is False
    assert seen[0]["id"] == "https://idp.example|mallory"


async def test_headers_of_a_generator_cannot_be_sent_by_clients() -> None:
    def generate(payload: dict[str, Any]) -> dict[str, str | None]:
        return {"Request-Tenant": f"t{payload['id']}", "request-note": payload.get("note")}

    async with ScriptedUpstream(saying(ITEM, ITEM, ITEM)) as service:
        app = gateway()
        common: dict[str, Any] = {
            "authentication_required": True,
            "service_authorization_checker": None,
            "service_url": service.url,
        }
        declared(app, **common, service_header_generator=generate)
        declared(app, path="/plain", **common)
        declared(app, path="/open", service_url=service.url)
        spoofed = BEARER | {"request-tenant": "t1", "request-note": "x", "request-user-id": "1"}
        async with serving(app) as served:
            for path in ("/items", "/plain", "/open"):
                assert (await served.client.get(path, headers=spoofed)).is_success
    made, plain, public = (head.lower() for head in service.requests)
    assert b"request-tenant: t7\r\n" in made
    assert b"request-note: 1\r\n" not in made
    assert b"request-user-id" not in made
    assert b"request-user-id: 7\r\n" in plain
    for head in (plain, public):
        assert b"request-tenant" not in head
    assert b"request-user-id" not in public
    for head in (made, plain, public):
        assert b"request-note" not in head


async def test_a_header_that_nobody_knew_of_is_sent_to_no_service(caplog: pytest.LogCaptureFixture) -> None:
    def generate(payload: dict[str, Any]) -> dict[str, str]:
        return {f"request-{payload['user_type']}-{payload['id']}": "yes"}

    async with ScriptedUpstream(saying(ITEM)) as service:
        app = gateway()
        declared(
            app,
            authentication_required=True,
            service_url=service.url,
            service_authorization_checker=None,
            service_header_generator=generate,
        )
        async with serving(app) as served:
            found = await served.client.get("/items", headers=BEARER)
    assert (found.status_code, found.json()["code"]) == (500, "internal_error")
    assert not service.requests
    assert "generate makes the header 'request-default-" in caplog.text
    assert "for some callers only" in caplog.text


def test_a_header_that_is_made_for_some_callers_only_is_withheld_from_all() -> None:
    def generate(payload: dict[str, Any]) -> dict[str, str]:
        headers = {"request-user-id": str(payload["id"])}
        if payload.get("vip") is True:
            headers["x-vip"] = "1"
        if payload["user_type"] == "default":
            headers["x-ordinary"] = "1"
        return headers

    app = gateway()
    declared(
        app,
        authentication_required=True,
        service_url="http://a",
        service_authorization_checker=None,
        service_header_generator=generate,
    )
    (route,) = app.declared()
    assert route.identity is not None
    assert set(route.identity) == {"request-user-id", "x-vip", "x-ordinary"}


async def test_a_decoder_gives_its_payload_to_the_checker_and_the_generator_as_it_is() -> None:
    payload = {"id": 7, "user_type": {"level": 3}}
    got: list[Any] = []

    def decode(authorization: str | None) -> dict[str, Any]:
        got.append(authorization)
        return payload

    def check(found: dict[str, Any]) -> bool:
        return found == payload

    def generate(found: dict[str, Any]) -> dict[str, str]:
        return {"request-level": str(found["user_type"]["level"]) if found["user_type"] != "admin" else ""}

    async with ScriptedUpstream(saying(ITEM)) as service:
        app = Gateway()
        declared(
            app,
            service_url=service.url,
            authentication_required=True,
            authentication_token_decoder=decode,
            service_authorization_checker=check,
            service_header_generator=generate,
        )
        async with serving(app) as served:
            assert (await served.client.get("/items", headers={"authorization": "Basic x"})).is_success
    assert got == ["Basic x"]
    assert b"request-level: 3\r\n" in service.requests[0]
    assert b"authorization" not in service.requests[0].lower()


# --- payload_key, response_model, response_list, the handler ---


def test_a_handler_is_a_stub_without_request_and_response() -> None:
    app = gateway()
    common: dict[str, Any] = {"status_code": 201, "service_url": "http://items"}

    @route(app.post, "/shops/{shop_id}/items", payload_key="item", **common)
    async def create_item(
        request: Request,
        shop_id: int,
        item: Item,
        response: Annotated[Response, "as well"],
        limit: Annotated[int, Query(le=5)] = 1,
    ) -> Item:
        """Create an item."""
        raise AssertionError("the body of a handler is never run")

    (found,) = app.declared()
    assert [param.name for param in found.contract.params] == ["shop_id", "limit"]
    assert found.contract.body is not None
    assert found.contract.answer is not None
    assert found.status == 201
    operation = app.openapi()["paths"]["/shops/{shop_id}/items"]["post"]
    assert operation["operationId"] == "create_item"
    assert operation["description"].startswith("Create an item.")
    assert create_item.__name__ == "create_item"


def test_a_model_or_a_list_of_it() -> None:
    one = declared(gateway(), response_model=Item).contract.answer
    several = declared(gateway(), response_model=Item, response_list=True).contract.answer
    assert one is not None
    assert several is not None
    assert one.check(b'{"id": 1, "more": 2}') == b'{"id":1}'
    assert several.check(b'[{"id": 1}]') == b'[{"id":1}]'
    assert declared(gateway()).contract.answer is None


def test_what_the_checker_is_called_is_what_routes_show(project: Project) -> None:
    app = gateway()
    declared(app, authentication_required=True, service_authorization_checker="auth.is_default_user")
    assert app.describe()[0].allow == "auth.is_default_user"
    declared(app, path="/b", authentication_required=True)
    assert str(app.declared()[1].allow) == str(role("admin"))
