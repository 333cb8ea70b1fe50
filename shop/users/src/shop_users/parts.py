"""What the routes work with, as parameters of path operations; ``app`` puts it into the application's state, which is
``State`` for whoever is no path operation.

All are coroutines though they wait for nothing: FastAPI gives other functions to a thread, which costs more than a refusal.
"""

from collections.abc import Callable
from typing import Annotated, Protocol, cast

from fastapi import Depends, Request

from shop_users import accounts, api_keys, sessions
from shop_users.guessing import Guessing
from shop_users.passwords import Passwords


class State(Protocol):
    """All of it. ``now`` tells the time to ``guessing``, in seconds of a clock that never goes back."""

    store: accounts.Store
    sessions: sessions.Sessions
    keys: api_keys.Keys
    passwords: Passwords
    guessing: Guessing
    now: Callable[[], float]


async def _store(request: Request) -> accounts.Store:
    return cast("accounts.Store", request.app.state.store)


async def _passwords(request: Request) -> Passwords:
    return cast("Passwords", request.app.state.passwords)


async def _sessions(request: Request) -> sessions.Sessions:
    return cast("sessions.Sessions", request.app.state.sessions)


async def _keys(request: Request) -> api_keys.Keys:
    return cast("api_keys.Keys", request.app.state.keys)


async def _guessing(request: Request) -> Guessing:
    return cast("Guessing", request.app.state.guessing)


async def _now(request: Request) -> Callable[[], float]:
    return cast("Callable[[], float]", request.app.state.now)


Accounts = Annotated[accounts.Store, Depends(_store)]
Hashes = Annotated[Passwords, Depends(_passwords)]
Sessions = Annotated[sessions.Sessions, Depends(_sessions)]
Keys = Annotated[api_keys.Keys, Depends(_keys)]
Guesses = Annotated[Guessing, Depends(_guessing)]
Clock = Annotated[Callable[[], float], Depends(_now)]
