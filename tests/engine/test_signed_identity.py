"""Signed identity of a caller on both engines, towards a service of the kit: which assertions are accepted."""

import json
import time
from base64 import urlsafe_b64decode
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import APIRouter, FastAPI
from joserfc.jwk import ECKey
from joserfc.jwt import encode

from engines import ONE_ENGINE
from limen import Gateway, Upstream, anyone, signed_in
from limen.auth import Jwt, issue
from limen.auth.assertion import Assertion
from limen.auth.jose.keys import Keys
from limen.testing import ScriptedUpstream, saying
from limen_kit.app import create_service
from limen_kit.identity import CurrentCaller
from limen_kit.settings import ServiceSettings
from serving import Served, serving
from tokens import SECRET, pair

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
JWT = Jwt(SECRET)
PEM = pair("ES256")[0].decode()
BEARER = {"authorization": f"Bearer {issue(JWT, 7, 'admin')}"}
PLAIN = {"request-user-id": "7", "request-user-role": "admin"}

router = APIRouter()


@router.get("/me")
async def me(caller: CurrentCaller) -> dict[str, Any]:
    return {"id": caller.id, "roles": sorted(caller.roles)}


@router.get("/open")
async def public() -> str:
    return "anyone"


def service(keys: str | None, name: str = "orders") -> FastAPI:
    settings = ServiceSettings(database_url="sqlite://unused", identity_keys=keys, log_level="ERROR")
    return create_service("Test", name=name, settings=settings, tortoise_orm=None, routers=[router])


def gateway(assertion: Assertion | None = None) -> Gateway:
    return Gateway(auth=JWT, assertion=assertion or Assertion(PEM))


def route(app: Gateway, name: str, url: str) -> None:
    """Put a service behind ``app``: everything of it for callers, and its one open path for anyone."""
    upstream = Upstream(name, [url])
    app.forward(f"/{name}/open", upstream=upstream, allow=anyone, rewrite="/open")
    app.forward(f"/{name}/{{path:path}}", upstream=upstream, allow=signed_in, rewrite="/{path}")


@dataclass
class GatewayAndService:
    """A gateway, and the service behind it, which can be reached past the gateway as well."""

    gateway: Served
    service: Served
    app: Gateway
    inside: FastAPI


@asynccontextmanager
async def gateway_and_service(keys: str = "", assertion: Assertion | None = None) -> AsyncGenerator[GatewayAndService]:
    """Serve the two; without ``keys``, the service fetches them from the gateway."""
    app = gateway(assertion)
    async with serving(app) as front:
        inside = service(keys or f"http://127.0.0.1:{front.port}/.well-known/jwks.json")
        async with serving(inside) as behind:
            route(app, "orders", f"http://127.0.0.1:{behind.port}")
            yield GatewayAndService(front, behind, app, inside)


def identity_values(head: bytes) -> list[str]:
    """Return every value of ``request-identity``, in whatever spelling a service might read it."""
    lines = [line.partition(b":") for line in head.split(b"\r\n")[1:] if line]
    return [
        value.strip().decode() for name, _, value in lines if name.lower().replace(b"_", b"-") == b"request-identity"
    ]


def claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    return json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))


async def captured(app: Gateway, name: str) -> str:
    """Return what ``app`` sends to a service called ``name`` for the caller of these tests."""
    async with ScriptedUpstream(saying(OK)) as upstream:
        route(app, name, upstream.url)
        async with serving(app) as front:
            await front.client.get(f"/{name}/x", headers=BEARER)
    (token,) = identity_values(upstream.requests[0])
    return token


def code(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_a_caller_reaches_the_service_only_through_the_gateway() -> None:
    async with gateway_and_service() as system:
        got = await system.gateway.client.get("/orders/me", headers=BEARER)
        assert (got.status_code, got.json()) == (200, {"id": 7, "roles": ["admin"]})
        # From inside the network, with all that the gateway would write but its signature.
        assert code(await system.service.client.get("/me", headers=PLAIN)) == (401, "identity_missing")
        forged = PLAIN | {"request-identity": issue(JWT, 7, "admin")}
        assert code(await system.service.client.get("/me", headers=forged)) == (401, "identity_invalid")
        assert (await system.gateway.client.get("/orders/open")).json() == "anyone"
        assert code(await system.gateway.client.get("/orders/me")) == (401, "token_missing")


async def test_a_client_cannot_send_an_identity_of_its_own() -> None:
    good = await captured(gateway(), "orders")
    async with gateway_and_service() as system:
        for brought in ({"request-identity": good}, {"Request-Identity": "x"}):
            assert code(await system.gateway.client.get("/orders/me", headers=brought)) == (401, "token_missing")
            got = await system.gateway.client.get("/orders/me", headers=BEARER | brought)
            assert got.json()["id"] == 7


@pytest.mark.parametrize(
    "line",
    [
        b"request-identity: evil",
        b"Request-Identity: evil",
        b"REQUEST-IDENTITY:evil",
        b"request_identity: evil",
        b"Request_Identity: evil",
        b"request-identity: a\r\nrequest-identity: evil",
        b"connection: request-identity\r\nrequest-identity: evil",
    ],
)
async def test_no_spelling_of_the_header_gets_through(line: bytes) -> None:
    app = gateway()
    bearer = f"authorization: {BEARER['authorization']}".encode()
    async with ScriptedUpstream(saying(OK, OK)) as upstream, serving(app) as front:
        route(app, "orders", upstream.url)
        await front.get(b"/orders/x", bearer, line)
        await front.get(b"/orders/open", line)
    private, public = upstream.requests
    (token,) = identity_values(private)
    assert claims(token)["sub"] == "7"
    assert identity_values(public) == []
    assert b"evil" not in private + public


async def test_the_header_is_stripped_where_nothing_is_signed_as_well() -> None:
    app = Gateway(auth=JWT)
    async with ScriptedUpstream(saying(OK, OK)) as upstream, serving(app) as front:
        route(app, "orders", upstream.url)
        for path in ("/orders/x", "/orders/open"):
            await front.client.get(path, headers=BEARER | {"request-identity": "evil"})
    assert [identity_values(head) for head in upstream.requests] == [[], []]


async def test_an_assertion_for_one_service_is_refused_by_another() -> None:
    stolen = await captured(gateway(), "suppliers")
    async with gateway_and_service() as system:
        headers = PLAIN | {"request-identity": stolen}
        assert code(await system.service.client.get("/me", headers=headers)) == (401, "identity_invalid")
        assert code(await system.service.client.get("/me", headers=headers)) == (401, "identity_invalid")


async def test_an_assertion_of_another_gateway_is_refused() -> None:
    others = await captured(gateway(Assertion(pair("ES256")[0].decode())), "orders")
    async with gateway_and_service() as system:
        headers = {"request-identity": others}
        assert code(await system.service.client.get("/me", headers=headers)) == (401, "identity_invalid")


async def test_an_assertion_names_its_audience_and_is_no_credential_at_the_gateway() -> None:
    async with ScriptedUpstream(saying(OK, OK)) as one, ScriptedUpstream(saying(OK)) as other:
        app = gateway()
        route(app, "orders", one.url)
        route(app, "users", other.url)
        async with serving(app) as front:
            for path in ("/orders/x", "/orders/y", "/users/x"):
                await front.client.get(path, headers=BEARER | {"x-request-id": path.replace("/", ".")})
            tokens = [identity_values(head)[0] for head in (*one.requests, *other.requests)]
            got = await front.client.get("/orders/x", headers={"authorization": f"Bearer {tokens[0]}"})
            assert code(got) == (401, "token_corrupted")
    first, second, third = map(claims, tokens)
    # One is used for several requests to a service; it names the one that it was made for.
    assert tokens[0] == tokens[1]
    assert (first["aud"], first["request_id"], third["aud"], third["request_id"]) == (
        "orders",
        ".orders.x",
        "users",
        ".users.x",
    )
    assert second["exp"] - second["iat"] == 60


def written(path: Path, *kids: str, made: dict[str, Any]) -> None:
    """Write keys as ``limen keys rotate`` does: the last one signs, those before are retired."""
    found: list[dict[str, Any]] = []
    for place, kid in enumerate(kids):
        made.setdefault(kid, ECKey.generate_key("P-256").as_dict(private=True))
        retired = {"exp": time.time() + 3600} if kid != kids[-1] else {}
        found.append({**made[kid], "kid": kid, "alg": "ES256", "iat": place + 1, **retired})
    new = path.with_suffix(".new")
    new.write_text(json.dumps({"keys": found}))
    new.chmod(0o600)
    new.replace(path)


class Clock:
    """The time at the gateway and at the service."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@ONE_ENGINE
async def test_a_new_key_of_the_gateway_needs_no_restart_of_the_service(tmp_path: Path) -> None:
    path, made, clock = tmp_path / "keys.json", dict[str, Any](), Clock()
    written(path, "one", made=made)
    async with gateway_and_service(assertion=Assertion(Keys.file(path))) as system:
        system.app.active_config().runtime.now = clock
        system.inside.state.identify.now = clock
        assert (await system.gateway.client.get("/orders/me", headers=BEARER)).status_code == 200
        written(path, "one", "two", made=made)
        clock.ahead = 50  # what was signed with the old key is not used any more
        assert (await system.gateway.client.get("/orders/me", headers=BEARER)).status_code == 200
        published = (await system.gateway.client.get("/.well-known/jwks.json")).json()["keys"]
        assert {key["kid"] for key in published} == {"one", "two"}
        assert not any("d" in key for key in published)
        # A key that was thrown away altogether, because somebody has stolen it.
        about = {"iss": "limen", "aud": "orders", "sub": "7", "roles": ["admin"], "iat": clock(), "exp": clock() + 3600}
        header = {"alg": "ES256", "typ": "identity+jwt", "kid": "two"}
        stolen = {"request-identity": encode(header, about, ECKey.import_key(made["two"]), algorithms=["ES256"])}
        assert (await system.service.client.get("/me", headers=stolen)).status_code == 200
        written(path, "three", made=made)
        clock.ahead = 100
        assert (await system.gateway.client.get("/orders/me", headers=BEARER)).status_code == 200
        assert code(await system.service.client.get("/me", headers=stolen)) == (401, "identity_invalid")


@ONE_ENGINE
async def test_keys_in_a_file_serve_a_service_that_cannot_reach_the_gateway(tmp_path: Path) -> None:
    private, public, made = tmp_path / "keys.json", tmp_path / "public.json", dict[str, Any]()
    written(private, "one", made=made)
    shown = {name: value for name, value in made["one"].items() if name != "d"}
    public.write_text(json.dumps({"keys": [shown | {"kid": "one"}]}))
    async with gateway_and_service(str(public), Assertion(Keys.file(private))) as system:
        assert (await system.gateway.client.get("/orders/me", headers=BEARER)).json()["id"] == 7
        assert code(await system.service.client.get("/me", headers=PLAIN)) == (401, "identity_missing")


async def test_a_service_says_when_the_gateway_does_not_sign() -> None:
    app = Gateway(auth=JWT)
    async with serving(app) as front, serving(service(f"http://127.0.0.1:{front.port}/keys")) as behind:
        route(app, "orders", f"http://127.0.0.1:{behind.port}")
        assert code(await front.client.get("/orders/me", headers=BEARER)) == (401, "identity_missing")
