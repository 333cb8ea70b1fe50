"""The dependencies of the routes. ``Accounts`` puts itself into the application's state; ``State`` types what is used of it.

All are coroutines though they wait for nothing: FastAPI runs other functions in a thread, which costs more than a refusal.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Protocol, cast

from fastapi import Depends, Request

from limen_accounts.accounts import AccountStore
from limen_accounts.api_keys import ApiKeyStore
from limen_accounts.login_throttle import LoginThrottle
from limen_accounts.passwords import PasswordHasher
from limen_accounts.sessions import SessionStore
from limen_accounts.stores import Stores


class State(Protocol):
    """What ``app.state.accounts`` is to routes and middleware.

    ``now`` is the clock of ``login_throttle``: seconds that never go back. Nobody may delete the accounts ``protected_ids``.
    No API key lasts longer than ``max_key_lifetime``.
    ``on_event`` is called when an event may have been stored.
    """

    stores: Stores
    password_hasher: PasswordHasher
    login_throttle: LoginThrottle
    now: Callable[[], float]
    protected_ids: frozenset[int]
    max_key_lifetime: timedelta
    on_event: Callable[[], None]


async def _state(request: Request) -> State:
    return cast("State", request.app.state.accounts)


StateDep = Annotated[State, Depends(_state)]


async def _accounts(state: StateDep) -> AccountStore:
    return state.stores.accounts


async def _sessions(state: StateDep) -> SessionStore:
    return state.stores.sessions


async def _api_keys(state: StateDep) -> ApiKeyStore:
    return state.stores.api_keys


async def _password_hasher(state: StateDep) -> PasswordHasher:
    return state.password_hasher


async def _login_throttle(state: StateDep) -> LoginThrottle:
    return state.login_throttle


async def _now(state: StateDep) -> Callable[[], float]:
    return state.now


AccountsDep = Annotated[AccountStore, Depends(_accounts)]
SessionsDep = Annotated[SessionStore, Depends(_sessions)]
ApiKeysDep = Annotated[ApiKeyStore, Depends(_api_keys)]
HasherDep = Annotated[PasswordHasher, Depends(_password_hasher)]
ThrottleDep = Annotated[LoginThrottle, Depends(_login_throttle)]
ClockDep = Annotated[Callable[[], float], Depends(_now)]
