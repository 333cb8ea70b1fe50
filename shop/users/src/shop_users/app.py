"""The users service."""

from time import monotonic
from typing import cast

from fastapi import FastAPI
from starlette.middleware import Middleware

from limen_kit.app import create_service
from shop_users import key_routes, login, routes, session_routes
from shop_users.database import config, keys, sessions, store
from shop_users.guessing import Guessing
from shop_users.parts import State
from shop_users.passwords import Passwords
from shop_users.refusals import Refusals
from shop_users.seed import seed
from shop_users.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    """Build the service from ``settings``."""
    accounts = store(settings.database_url)
    passwords = Passwords(settings.hash_threads)

    async def start() -> None:
        await seed(accounts, passwords, settings)

    app = create_service(
        "Shop: users",
        name="users",
        settings=settings,
        tortoise_orm=config(settings.database_url),
        routers=[login.router, session_routes.router, routes.router, key_routes.router],
        middleware=[Middleware(Refusals, path=login.PATH)],
        on_start=start,
        ready=accounts.ready,
    )
    state = cast("State", app.state)
    state.store = accounts
    state.sessions = sessions(settings.database_url, settings.rules)
    state.keys = keys(settings.database_url)
    state.passwords = passwords
    state.guessing = Guessing()
    state.now = monotonic
    return app


app = create_app(Settings())
