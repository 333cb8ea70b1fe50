"""What the routes work with, as parameters of path operations; ``app`` puts it into the application's state."""

from typing import Annotated, cast

from fastapi import Depends, Request

from shop_users.accounts import Store
from shop_users.passwords import Passwords


def _store(request: Request) -> Store:
    return cast("Store", request.app.state.store)


def _passwords(request: Request) -> Passwords:
    return cast("Passwords", request.app.state.passwords)


Accounts = Annotated[Store, Depends(_store)]
Hashes = Annotated[Passwords, Depends(_passwords)]
