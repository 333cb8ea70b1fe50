"""The dependencies of the routes. ``app`` puts the objects into the application's state; ``State`` types it for middleware.

All are coroutines though they wait for nothing: FastAPI runs other functions in a thread, which costs more than a refusal.
"""

from collections.abc import Callable
from typing import Annotated, Protocol, cast

from fastapi import Depends, Request

from limen_accounts.accounts import AccountStore
from limen_accounts.api_keys import ApiKeyStore
from limen_accounts.login_throttle import LoginThrottle
from limen_accounts.passwords import PasswordHasher
from limen_accounts.sessions import SessionStore


class State(Protocol):
    """The application's state. ``now`` is the clock of ``login_throttle``: seconds that never go back."""

    account_store: AccountStore
    session_store: SessionStore
    api_key_store: ApiKeyStore
    password_hasher: PasswordHasher
    login_throttle: LoginThrottle
    now: Callable[[], float]


async def _account_store(request: Request) -> AccountStore:
    return cast("AccountStore", request.app.state.account_store)


async def _session_store(request: Request) -> SessionStore:
    return cast("SessionStore", request.app.state.session_store)


async def _api_key_store(request: Request) -> ApiKeyStore:
    return cast("ApiKeyStore", request.app.state.api_key_store)


async def _password_hasher(request: Request) -> PasswordHasher:
    return cast("PasswordHasher", request.app.state.password_hasher)


async def _login_throttle(request: Request) -> LoginThrottle:
    return cast("LoginThrottle", request.app.state.login_throttle)


async def _now(request: Request) -> Callable[[], float]:
    return cast("Callable[[], float]", request.app.state.now)


Accounts = Annotated[AccountStore, Depends(_account_store)]
Sessions = Annotated[SessionStore, Depends(_session_store)]
ApiKeys = Annotated[ApiKeyStore, Depends(_api_key_store)]
Hasher = Annotated[PasswordHasher, Depends(_password_hasher)]
Throttle = Annotated[LoginThrottle, Depends(_login_throttle)]
Clock = Annotated[Callable[[], float], Depends(_now)]
