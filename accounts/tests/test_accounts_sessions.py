"""Sessions over the API of the users service, on SQLite and on the JSON file; the stores have a suite of their own."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from pydantic import ValidationError

from limen_accounts.accounts import NewAccount
from limen_accounts.sessions import NewSession, SessionStore
from limen_accounts.settings import AccountsSettings
from limen_accounts.stores import open_stores
from limen_accounts.testing.service import make_service, settings_for
from limen_kit.testing import Signer, running

ADMIN = {"request-user-id": "1", "request-user-role": "admin"}
JOHN = {"request-user-id": "2", "request-user-role": "default"}
UNKNOWN_TOKEN = "refresh_" + "a" * 65
INVALID = (401, "refresh_token_invalid", "This refresh token is not valid, or not any more; log in again.")


@dataclass
class Service:
    """The running service and a client of it."""

    app: FastAPI
    client: httpx2.AsyncClient

    async def begin(self, account_id: int = 2) -> NewSession:
        """Begin a session without the cost of a login."""
        sessions: SessionStore = self.app.state.accounts.stores.sessions
        return await sessions.begin_session(account_id, user_agent="curl/8", address="192.0.2.1")

    async def refresh(self, text: str) -> httpx2.Response:
        return await self.client.post("/api/refresh", json={"refresh_token": text})

    async def post(self, path: str, headers: dict[str, str], **body: Any) -> httpx2.Response:
        return await self.client.post(f"/api/{path}", json=body, headers=headers)


def in_session(session: NewSession, caller: dict[str, str] = JOHN) -> dict[str, str]:
    return caller | {"request-session-id": session.session_id}


def ended_by(response: httpx2.Response) -> list[str]:
    """Return the sessions that a response names as ended, and check the number in its body."""
    session_ids = [name for name in response.headers.get("session-ended", "").split(",") if name]
    if response.status_code == 200:
        assert response.json() == {"ended": len(session_ids)}
    return session_ids


def refusal(response: httpx2.Response) -> tuple[int, str, str]:
    return response.status_code, response.json()["code"], response.json()["detail"]


@pytest.fixture
def service(running_service: tuple[FastAPI, httpx2.AsyncClient]) -> Service:
    return Service(*running_service)


async def test_a_login_begins_a_session_that_is_refreshed(service: Service) -> None:
    credentials = {"username": "johndoe", "password": "b"}
    login = await service.client.post("/api/login", json=credentials, headers={"user-agent": "curl/8"})
    assert login.status_code == 201
    first = login.json()
    assert set(first) == {
        "id",
        "username",
        "user_type",
        "session_id",
        "refresh_token",
        "refresh_expires_at",
        "device_token",
    }
    refreshed = await service.refresh(first["refresh_token"])
    assert refreshed.status_code == 200
    assert refreshed.headers["cache-control"] == "no-store"
    second = refreshed.json()
    # A refresh is no login: the device's token stays.
    assert set(second) == set(first) - {"device_token"}
    same = ("id", "username", "user_type", "session_id")
    assert [second[name] for name in same] == [first[name] for name in same]
    assert second["refresh_token"] != first["refresh_token"]
    sessions = await service.client.get("/api/sessions", headers=JOHN | {"request-session-id": first["session_id"]})
    (listed,) = sessions.json()
    assert (listed["id"], listed["current"], listed["user_agent"]) == (first["session_id"], True, "curl/8")


async def test_every_invalid_refresh_token_gets_the_same_answer(service: Service) -> None:
    used, ended, deleted = await service.begin(), await service.begin(), await service.begin(3)
    follower = (await service.refresh(used.refresh_token)).json()["refresh_token"]
    assert (await service.client.delete(f"/api/sessions/{ended.session_id}", headers=JOHN)).status_code == 200
    assert ended_by(await service.client.delete("/api/users/3", headers=ADMIN)) == [deleted.session_id]
    texts = [
        "",
        "x",
        UNKNOWN_TOKEN,
        "refresh_é",
        ended.refresh_token,
        deleted.refresh_token,
        used.refresh_token,
        follower,
    ]
    for text in texts:
        response = await service.refresh(text)
        assert refusal(response) == INVALID, text
        assert ended_by(response) == ([used.session_id] if text == used.refresh_token else []), text
        assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'
        assert not text or text == "x" or text not in response.text
    assert (await service.refresh("x" * 513)).status_code == 422
    assert (await service.client.post("/api/refresh", json={})).status_code == 422


async def test_a_refresh_returns_the_current_account(service: Service) -> None:
    session = await service.begin()
    await service.client.put("/api/users/2", json={"username": "john"}, headers=ADMIN)
    response = (await service.refresh(session.refresh_token)).json()
    assert (response["id"], response["username"], response["user_type"]) == (2, "john", "default")


async def test_logout_by_refresh_token_needs_no_identity(service: Service) -> None:
    session = await service.begin()
    await service.refresh(session.refresh_token)
    # A used token works too: whoever holds it, the session should end.
    response = await service.post("logout", {}, refresh_token=session.refresh_token)
    assert (response.status_code, ended_by(response)) == (200, [session.session_id])
    for text in (session.refresh_token, UNKNOWN_TOKEN, ""):
        assert refusal(await service.post("logout", in_session(session), refresh_token=text)) == INVALID


async def test_logout_ends_the_callers_session(service: Service) -> None:
    session, other = await service.begin(), await service.begin()
    for body in ({}, {"refresh_token": None}):
        # The second time, the session has already ended, but its access token must still be revoked.
        response = await service.post("logout", in_session(session), **body)
        assert (response.status_code, ended_by(response)) == (200, [session.session_id])
    assert refusal(await service.refresh(session.refresh_token)) == INVALID
    assert (await service.refresh(other.refresh_token)).status_code == 200
    nobody = await service.post("logout", {"request-session-id": other.session_id})
    assert (nobody.status_code, nobody.json()["code"]) == (401, "identity_missing")


@pytest.mark.parametrize(
    "caller",
    [
        JOHN,
        JOHN | {"request-session-id": ""},
        JOHN | {"request-session-id": "not one of ours"},
        {"request-user-id": "somebody@elsewhere", "request-session-id": ""},
    ],
)
async def test_logout_without_a_session_ends_none(service: Service, caller: dict[str, str]) -> None:
    session = await service.begin()
    response = await service.post("logout", caller)
    assert (response.status_code, ended_by(response)) == (200, [])
    assert (await service.refresh(session.refresh_token)).status_code == 200


@pytest.mark.parametrize("user", ["1", "99999999999999999999", "9999999999", "somebody@elsewhere"])
async def test_callers_cannot_log_others_out(service: Service, user: str) -> None:
    session = await service.begin()
    await service.post("logout", in_session(session, {"request-user-id": user}))
    assert (await service.refresh(session.refresh_token)).status_code == 200


async def test_logout_all_ends_every_session(service: Service) -> None:
    sessions = [await service.begin() for _ in range(3)]
    theirs = await service.begin(1)
    response = await service.post("logout-all", in_session(sessions[0]))
    assert (response.status_code, ended_by(response)) == (200, sorted(session.session_id for session in sessions))
    for session in sessions:
        assert refusal(await service.refresh(session.refresh_token)) == INVALID
    assert (await service.refresh(theirs.refresh_token)).status_code == 200
    repeated = await service.post("logout-all", in_session(sessions[0]))
    assert ended_by(repeated) == [sessions[0].session_id]
    assert ended_by(await service.post("logout-all", JOHN)) == []


async def test_callers_list_and_end_only_their_own_sessions(service: Service) -> None:
    own, other, theirs = await service.begin(), await service.begin(), await service.begin(1)
    listed = (await service.client.get("/api/sessions", headers=in_session(own))).json()
    assert {session["id"]: session["current"] for session in listed} == {own.session_id: True, other.session_id: False}
    assert set(listed[0]) == {
        "id",
        "created_at",
        "last_used_at",
        "expires_at",
        "user_agent",
        "address",
        "current",
    }
    for session_id in (theirs.session_id, "a" * 22):
        response = await service.client.delete(f"/api/sessions/{session_id}", headers=JOHN)
        assert (response.status_code, response.json()["detail"]) == (404, "Session not found with this id.")
    assert (await service.client.delete("/api/sessions/x", headers=JOHN)).status_code == 422
    response = await service.client.delete(f"/api/sessions/{other.session_id}", headers=in_session(own))
    assert (response.status_code, ended_by(response)) == (200, [other.session_id])
    assert refusal(await service.refresh(other.refresh_token)) == INVALID
    assert (await service.refresh(theirs.refresh_token)).status_code == 200
    for method, path in (("GET", "sessions"), ("DELETE", f"sessions/{own.session_id}"), ("POST", "logout-all")):
        nobody = await service.client.request(method, f"/api/{path}")
        assert (nobody.status_code, nobody.json()["code"]) == (401, "identity_missing")


async def test_another_password_ends_all_sessions(service: Service) -> None:
    sessions = [await service.begin() for _ in range(2)]
    body = {"current_password": "b", "new_password": "long enough"}
    invalid = await service.client.put("/api/users/2/password", json=body | {"current_password": "x"}, headers=JOHN)
    assert invalid.status_code == 403
    assert len((await service.client.get("/api/sessions", headers=JOHN)).json()) == 2
    response = await service.client.put("/api/users/2/password", json=body, headers=in_session(sessions[0]))
    assert (response.status_code, sorted(ended_by(response))) == (
        204,
        sorted(session.session_id for session in sessions),
    )
    for session in sessions:
        assert refusal(await service.refresh(session.refresh_token)) == INVALID


async def test_with_identity_keys_the_identity_must_be_signed(tmp_path: Path) -> None:
    signer = Signer("users")
    url = f"json:{tmp_path}/users.json"
    app = make_service(settings_for(url, identity_keys=signer.keys))
    async with running(app) as client:
        service = Service(app, client)
        await open_stores(url).accounts.create_account(
            NewAccount(username="ada", hashed_password="h", user_type="default", created_by=1)
        )
        session = await service.begin(1)
        forged = await service.post("logout", in_session(session, ADMIN))
        assert forged.status_code == 401
        signed = signer.identity_headers(1, session_id=session.session_id)
        assert [one["current"] for one in (await client.get("/api/sessions", headers=signed)).json()] == [True]
        assert ended_by(await service.post("logout", signed)) == [session.session_id]
        other = await service.begin(1)
        assert (await service.post("logout", {}, refresh_token=other.refresh_token)).status_code == 200


async def test_the_audit_log_has_every_event_and_no_token(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    one, two, three = [await service.begin() for _ in range(3)]
    follower = (await service.refresh(one.refresh_token)).json()["refresh_token"]
    await service.refresh(one.refresh_token)
    await service.refresh(UNKNOWN_TOKEN)
    await service.post("logout", in_session(two))
    await service.client.delete(f"/api/sessions/{three.session_id}", headers=JOHN)
    await service.post("logout-all", JOHN)
    body = {"current_password": "b", "new_password": "long enough"}
    await service.client.put("/api/users/2/password", json=body, headers=JOHN)
    await service.client.delete("/api/users/3", headers=ADMIN)
    lines = [record.getMessage() for record in caplog.records if record.name == "limen_accounts.audit"]
    assert lines == [
        f"event=refresh account=2 session={one.session_id}",
        f"event=reuse account=2 session={one.session_id}",
        f"event=logout account=2 session={two.session_id}",
        f"event=session_ended account=2 session={three.session_id}",
        "event=logout_all account=2 sessions=0 keys=0",
        "event=password_changed account=2 by=2 sessions=0 keys=0",
        "event=user_deleted account=3 by=1 sessions=0",
    ]
    for text in (one.refresh_token, two.refresh_token, three.refresh_token, follower, UNKNOWN_TOKEN):
        assert text not in caplog.text
        assert text[30:] not in caplog.text


def test_session_limits_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (
        AccountsSettings().session_limits.refresh_lifetime.days,
        AccountsSettings().session_limits.max_lifetime.days,
        AccountsSettings().session_limits.refresh_grace.seconds,
    ) == (30, 90, 0)
    for name, value in (("REFRESH_TOKEN_DAYS", "7"), ("SESSION_MAX_DAYS", "8"), ("REFRESH_GRACE", "9")):
        monkeypatch.setenv(name, value)
    assert (
        AccountsSettings().session_limits.refresh_lifetime.days,
        AccountsSettings().session_limits.max_lifetime.days,
        AccountsSettings().session_limits.refresh_grace.seconds,
    ) == (7, 8, 9)


@pytest.mark.parametrize(
    "invalid",
    [
        {"refresh_token_days": 0},
        {"refresh_token_days": 366},
        {"session_max_days": 29},
        {"session_max_days": 0},
        {"refresh_grace": -1},
        {"refresh_grace": 61},
    ],
)
def test_invalid_session_limits_are_refused(invalid: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AccountsSettings(**invalid)
