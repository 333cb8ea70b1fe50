"""What the routes work with, as parameters of path operations; ``app`` puts it into the application's state."""

from typing import Annotated, cast

from fastapi import Depends, Request

from shop_users import accounts, api_keys, sessions
from shop_users.passwords import Passwords


def _store(request: Request) -> accounts.Store:
    return cast("accounts.Store", request.app.state.store)


def _passwords(request: Request) -> Passwords:
    return cast("Passwords", request.app.state.passwords)


def _sessions(request: Request) -> sessions.Sessions:
    return cast("sessions.Sessions", request.app.state.sessions)


def _keys(request: Request) -> api_keys.Keys:
    return cast("api_keys.Keys", request.app.state.keys)


Accounts = Annotated[accounts.Store, Depends(_store)]
Hashes = Annotated[Passwords, Depends(_passwords)]
Sessions = Annotated[sessions.Sessions, Depends(_sessions)]
Keys = Annotated[api_keys.Keys, Depends(_keys)]
