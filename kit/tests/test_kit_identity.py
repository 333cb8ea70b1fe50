"""The identity that a service reads: from the signed assertion with keys, from the plain headers where that is said."""

import asyncio
import logging
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import APIRouter

from limen_kit.app import create_service
from limen_kit.identity import AdminCaller, CurrentCaller, CurrentIdentity
from limen_kit.problems import responses
from limen_kit.settings import ServiceSettings
from limen_kit.testing import Signer, running

SIGNER = Signer("orders")
PLAIN_HEADERS = {"request-user-id": "7", "request-user-role": "admin", "request-session-id": "s-1"}

router = APIRouter()


@router.get("/me", responses=responses(401))
async def me(caller: CurrentCaller) -> dict[str, Any]:
    return {
        "id": caller.id,
        "role": caller.role,
        "roles": sorted(caller.roles),
        "scopes": sorted(caller.scopes),
        "session": caller.session_id,
        "admin": caller.is_admin,
    }


@router.get("/admin", responses=responses(401, 403))
async def admin(caller: AdminCaller) -> int:
    return caller.id


@router.get("/who", responses=responses(401))
async def subject_of(identity: CurrentIdentity) -> str:
    return identity.subject


@router.get("/public")
async def public() -> str:
    return "anyone"


def service(keys: str | None = "plain", *, name: str | None = "orders", **settings: Any) -> Any:
    configured = ServiceSettings(database_url="sqlite://unused", identity_keys=keys, **settings)
    return create_service("Test", name=name, settings=configured, tortoise_orm=None, routers=[router])


@pytest.fixture
async def signing_client() -> AsyncGenerator[httpx2.AsyncClient]:
    async with running(service(SIGNER.keys)) as client:
        yield client


async def test_a_signed_caller(signing_client: httpx2.AsyncClient) -> None:
    headers = SIGNER.identity_headers(7, ["admin", "staff"], scopes=["b", "a"], session_id="s-1")
    expected = {"id": 7, "roles": ["admin", "staff"], "scopes": ["a", "b"], "session": "s-1", "admin": True}
    assert (await signing_client.get("/me", headers=headers)).json() == expected | {"role": "admin,staff"}
    assert (await signing_client.get("/admin", headers=headers)).json() == 7
    # The plain headers are not needed.
    only = {"request-identity": headers["request-identity"]}
    assert (await signing_client.get("/me", headers=only)).json() == expected | {"role": "admin,staff"}
    default = (await signing_client.get("/me", headers=SIGNER.identity_headers(8, []))).json()
    assert (default["role"], default["session"], default["admin"]) == ("default", None, False)
    refused = await signing_client.get("/admin", headers=SIGNER.identity_headers(8))
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


async def test_plain_headers_alone_are_refused(signing_client: httpx2.AsyncClient) -> None:
    for path in ("/me", "/admin", "/who"):
        response = await signing_client.get(path, headers=PLAIN_HEADERS)
        assert (response.status_code, response.json()["code"]) == (401, "identity_missing")
        assert response.headers["www-authenticate"] == "Bearer"
    assert (await signing_client.get("/public")).status_code == 200


def header_fields(**changes: str | list[str]) -> list[tuple[str, str]]:
    """Return valid headers with ``changes``: other values, or several."""
    headers: dict[str, str | list[str]] = {**SIGNER.identity_headers(7, "admin", session_id="s-1")}
    headers |= {name.replace("_", "-"): value for name, value in changes.items()}
    return [(name, one) for name, value in headers.items() for one in ([value] if isinstance(value, str) else value)]


OTHER_GATEWAY = Signer("orders")
FOR_USERS_SERVICE = SIGNER.token({"sub": "7", "roles": ["admin"], "iat": 0, "exp": time.time() + 600, "aud": "users"})


@pytest.mark.parametrize(
    "changes",
    [
        {"request_identity": "forged"},
        {"request_identity": ""},
        {"request_identity": OTHER_GATEWAY.identity_headers(7, "admin", session_id="s-1")["request-identity"]},
        {"request_identity": SIGNER.identity_headers(7, "admin", session_id="s-1", lifetime=-30)["request-identity"]},
        {"request_identity": FOR_USERS_SERVICE},
        {"request_identity": [SIGNER.identity_headers(7)["request-identity"]] * 2},
        {"request_identity": [SIGNER.identity_headers(7)["request-identity"], "x"]},
        {"request_identity": "Bearer " + SIGNER.identity_headers(7)["request-identity"]},
        {"request_user_id": "8"},
        {"request_user_id": ""},
        {"request_user_id": "07"},
        {"request_user_id": ["7", "7"]},
        {"request_user_id": ["7", "8"]},
        {"request_session_id": "s-2"},
        {"request_session_id": ""},
        {"request_session_id": ["s-1", "s-1"]},
    ],
)
async def test_identities_that_the_gateway_did_not_sign(
    signing_client: httpx2.AsyncClient, changes: dict[str, str | list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger().addHandler(caplog.handler)
    response = await signing_client.get("/me", headers=header_fields(**changes))
    assert (response.status_code, response.json()["code"]) == (401, "identity_invalid")
    assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    # The log says why; neither it nor the response repeats the headers.
    assert "an identity is refused: " in caplog.text
    for text in (caplog.text, response.text):
        assert "s-2" not in text
        assert "eyJ" not in text


@pytest.mark.parametrize("subject", ["corp:ann", "0", "-1", "07", "7.0", "9" * 30, "२"])
async def test_a_subject_that_is_no_user_of_ours(signing_client: httpx2.AsyncClient, subject: str) -> None:
    headers = {"request-identity": SIGNER.identity_headers(subject)["request-identity"]}
    response = await signing_client.get("/me", headers=headers)
    assert response.status_code == 401
    if subject.isascii():
        assert (await signing_client.get("/who", headers=headers)).json() == subject


async def test_an_assertion_ends_while_the_service_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    app = service(SIGNER.keys)
    now = time.time()
    monkeypatch.setattr(app.state.identify, "now", lambda: now)
    async with running(app) as client:
        headers = SIGNER.identity_headers(7, lifetime=60)
        assert (await client.get("/me", headers=headers)).status_code == 200
        now += 70
        assert (await client.get("/me", headers=headers)).json()["code"] == "identity_invalid"


@pytest.mark.parametrize(
    ("settings", "name", "status"),
    [
        ({"identity_audience": "orders"}, None, 200),
        ({"identity_audience": "orders"}, "x", 200),
        ({"identity_audience": "shop-orders"}, "orders", 401),
        ({"identity_issuer": "other"}, "orders", 401),
        ({}, "suppliers", 401),
    ],
)
async def test_audience_and_issuer(settings: dict[str, str], name: str | None, status: int) -> None:
    async with running(service(SIGNER.keys, name=name, **settings)) as client:
        assert (await client.get("/me", headers=SIGNER.identity_headers(7))).status_code == status


async def test_the_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(SIGNER.keys)
    monkeypatch.setenv("IDENTITY_KEYS", str(path))
    monkeypatch.setenv("IDENTITY_AUDIENCE", "orders")
    settings = ServiceSettings(database_url="sqlite://unused")
    assert str(path) not in repr(settings)
    app = create_service("Test", settings=settings, tortoise_orm=None, routers=[router])
    async with running(app) as client:
        assert (await client.get("/me", headers=PLAIN_HEADERS)).status_code == 401
        assert (await client.get("/me", headers=SIGNER.identity_headers(7))).status_code == 200


@pytest.mark.parametrize(
    ("keys", "name", "message"),
    [
        ("{}", "orders", "IDENTITY_KEYS: "),
        ("nowhere.json", "orders", "IDENTITY_KEYS: the file 'nowhere.json'"),
        (None, "orders", "IDENTITY_KEYS is not set.*IDENTITY_KEYS=plain believes request-user-id from whoever"),
        ("", "orders", "IDENTITY_KEYS is empty"),
        (" \n", "orders", "IDENTITY_KEYS is empty"),
        (SIGNER.keys, None, "IDENTITY_KEYS needs IDENTITY_AUDIENCE"),
    ],
)
def test_a_service_does_not_start_with_settings_that_can_never_work(
    keys: str | None, name: str | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        service(keys, name=name)


async def test_keys_that_cannot_be_fetched_are_no_error_of_the_caller(caplog: pytest.LogCaptureFixture) -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    async with running(service(f"http://127.0.0.1:{port}/jwks.json")) as client:  # it starts all the same
        logging.getLogger().addHandler(caplog.handler)
        response = await client.get("/me", headers=SIGNER.identity_headers(7))
        assert (response.status_code, response.json()["code"]) == (503, "identity_unavailable")
        assert response.headers["retry-after"] == "5"
        assert (await client.get("/public")).status_code == 200
        assert (await client.get("/me", headers=PLAIN_HEADERS)).status_code == 401
    assert "no caller can be identified" in caplog.text


async def test_keys_at_an_address_are_fetched_when_a_caller_comes() -> None:
    body = SIGNER.keys.encode()
    request_lines: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request_lines.append(await reader.readline())
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with running(service(f"http://127.0.0.1:{port}/.well-known/jwks.json")) as client:
        assert request_lines == []
        headers = SIGNER.identity_headers(7)
        answers = await asyncio.gather(*(client.get("/me", headers=headers) for _ in range(20)))
        assert {answer.status_code for answer in answers} == {200}
    assert request_lines == [b"GET /.well-known/jwks.json HTTP/1.1\r\n"]
    server.close()


async def test_the_plain_headers_are_trusted_where_that_is_said_and_a_warning_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with running(service()) as client:
        caller = (await client.get("/me", headers=PLAIN_HEADERS | {"request-identity": "whatever"})).json()
        for name in PLAIN_HEADERS:
            repeated = [*PLAIN_HEADERS.items(), (name, "x")]
            assert (await client.get("/me", headers=repeated)).json()["code"] == "identity_missing"
    assert caller == {"id": 7, "role": "admin", "roles": ["admin"], "scopes": [], "session": "s-1", "admin": True}
    warnings = [line for line in capsys.readouterr().err.splitlines() if " WARNING " in line]
    assert len(warnings) == 1
    assert "can pose as any user" in warnings[0]
    assert "Set IDENTITY_KEYS to" in warnings[0]
    logging.getLogger().handlers.clear()


async def test_with_keys_there_is_no_warning(capsys: pytest.CaptureFixture[str]) -> None:
    async with running(service(SIGNER.keys)):
        pass
    assert "WARNING" not in capsys.readouterr().err
    logging.getLogger().handlers.clear()


async def test_several_roles_in_a_plain_header_are_none_of_them() -> None:
    async with running(service()) as client:
        caller = (await client.get("/me", headers=PLAIN_HEADERS | {"request-user-role": "admin,staff"})).json()
        assert (caller["role"], caller["admin"]) == ("admin,staff", False)
        assert (await client.get("/me", headers={"request-user-id": "7"})).json()["role"] == "default"
        assert (await client.get("/me", headers={"request-user-id": "07"})).status_code == 401


def test_with_plain_headers_no_cryptography_is_loaded() -> None:
    program = (
        "import sys\n"
        "from limen_kit.app import create_service\n"
        "from limen_kit.settings import ServiceSettings\n"
        "settings = ServiceSettings(database_url='sqlite://x', identity_keys='plain')\n"
        "create_service('T', settings=settings, tortoise_orm=None, routers=[])\n"
        "assert not any(name.partition('.')[0] in ('joserfc', 'cryptography') for name in sys.modules)\n"
    )
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=False)
    assert process.returncode == 0, process.stderr
