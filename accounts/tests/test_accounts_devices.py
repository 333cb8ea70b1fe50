"""Devices, sessions and addresses that were good before, over the API: what strangers guess does not keep their owner out."""

import httpx2
import pytest
from fastapi import FastAPI

from limen_accounts.login_throttle import Attempt, LoginThrottle

JOHN = {"username": "johndoe", "password": "b"}
AS_JOHN = {"request-user-id": "2", "request-user-role": "default"}
ADMIN = {"request-user-id": "1", "request-user-role": "admin"}


class Owner:
    """The user ``johndoe``, who comes from another address each time."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self.client = client
        self.number = 0

    async def login(self, password: str = "b", username: str = "johndoe", **others: str) -> httpx2.Response:
        self.number += 1
        body = JOHN | {"username": username, "password": password} | others
        return await self.client.post("/api/login", json=body, headers={"x-forwarded-for": f"198.51.100.{self.number}"})

    async def device_token(self) -> str:
        response = await self.login()
        assert response.status_code == 201, response.text
        token: str = response.json()["device_token"]
        return token


@pytest.fixture
def owner(running_service: tuple[FastAPI, httpx2.AsyncClient]) -> Owner:
    return Owner(running_service[1])


@pytest.fixture
def throttle(running_service: tuple[FastAPI, httpx2.AsyncClient]) -> LoginThrottle:
    app = running_service[0]
    app.state.accounts.now = lambda: 0.0
    throttle: LoginThrottle = app.state.accounts.login_throttle
    return throttle


def guess(throttle: LoginThrottle, times: int = 6) -> None:
    """Guess at the login, from many addresses."""
    for number in range(times):
        attempt = throttle.attempt("johndoe", f"203.0.113.{number}", 0)
        assert isinstance(attempt, Attempt)
        throttle.failed(attempt, 0)


async def test_a_device_that_has_logged_in_is_not_delayed_by_strangers(owner: Owner, throttle: LoginThrottle) -> None:
    token = await owner.device_token()
    guess(throttle)
    assert (await owner.login()).status_code == 429
    again = await owner.login(device_token=token)
    assert (again.status_code, again.json()["device_token"]) == (201, token)


async def test_a_device_is_throttled_like_any_client_and_alone(owner: Owner, throttle: LoginThrottle) -> None:
    token, other = await owner.device_token(), await owner.device_token()
    statuses = [(await owner.login("wrong", device_token=token)).status_code for _ in range(7)]
    assert statuses == [401] * 6 + [429]
    assert (await owner.login(device_token=token)).status_code == 429
    assert (await owner.login(device_token=other)).status_code == 201
    assert (await owner.login()).status_code == 201


async def test_a_token_of_another_account_or_of_a_former_password_changes_nothing(
    owner: Owner, throttle: LoginThrottle
) -> None:
    former = await owner.device_token()
    strange: str = (await owner.login(username="test")).json()["device_token"]
    body = {"new_password": "another one", "revoke_keys": False}
    assert (await owner.client.put("/api/users/2/password", json=body, headers=ADMIN)).status_code == 204
    guess(throttle)
    for token in (former, strange, "device_" + "a" * 65):
        assert (await owner.login("another one", device_token=token)).status_code == 429
    unknown = await owner.login("b", username="nobody", device_token=former)
    assert (unknown.status_code, unknown.json()["code"]) == (401, "credentials_wrong")


async def test_a_text_that_is_no_device_token_is_refused(owner: Owner) -> None:
    for token in ("", "device_", "device_" + "a" * 66, "x" * 600):
        assert (await owner.login(device_token=token)).status_code == 422


async def test_a_user_in_a_session_changes_the_password_while_strangers_guess_it(
    owner: Owner, throttle: LoginThrottle
) -> None:
    session = (await owner.login()).json()["session_id"]
    guess(throttle)
    headers = AS_JOHN | {"request-session-id": session, "x-forwarded-for": "192.0.2.9"}
    body = {"current_password": "b", "new_password": "another one"}
    changed = await owner.client.put("/api/users/2/password", json=body, headers=headers)
    assert (changed.status_code, changed.headers["session-ended"]) == (204, session)
    # The address is known now, so the owner gets in again, though the tokens of all devices are void.
    login = JOHN | {"password": "another one"}
    response = await owner.client.post("/api/login", json=login, headers={"x-forwarded-for": "192.0.2.9"})
    assert response.status_code == 201


async def test_guesses_in_a_session_are_throttled_and_do_not_touch_the_login(
    owner: Owner, throttle: LoginThrottle
) -> None:
    body = {"current_password": "wrong", "new_password": "another one"}
    headers = AS_JOHN | {"request-session-id": "a" * 22}

    async def change() -> int:
        return (await owner.client.put("/api/users/2/password", json=body, headers=headers)).status_code

    assert [await change() for _ in range(7)] == [403] * 6 + [429]
    headers["request-session-id"] = "b" * 22
    assert await change() == 403
    assert (await owner.login()).status_code == 201


async def test_whoever_guesses_behind_an_unknown_proxy_delays_no_other_account(
    owner: Owner, throttle: LoginThrottle
) -> None:
    # A gateway that does not know the proxy in front takes it for the client: 127.0.0.1 is everybody.
    headers = {"x-forwarded-for": "127.0.0.1"}
    for number in range(25):
        body = {"username": f"nobody{number}", "password": "x"}
        assert (await owner.client.post("/api/login", json=body, headers=headers)).status_code == 401
    assert (await owner.client.post("/api/login", json=JOHN, headers=headers)).status_code == 201
