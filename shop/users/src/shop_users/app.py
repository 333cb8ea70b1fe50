"""The users service."""

from time import monotonic
from typing import cast

from fastapi import FastAPI
from starlette.middleware import Middleware

from limen_kit.app import create_service
from limen_accounts import account_routes, api_key_routes, login, session_routes
from limen_accounts.database import account_store, api_key_store, config, session_store
from limen_accounts.dependencies import State
from limen_accounts.login_middleware import LoginRefusalMiddleware
from limen_accounts.login_throttle import LoginThrottle
from limen_accounts.passwords import PasswordHasher
from limen_accounts.seed import seed
from limen_accounts.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    """Build the service from ``settings``."""
    accounts = account_store(settings.database_url)
    hasher = PasswordHasher(settings.hash_threads)

    async def start() -> None:
        await seed(accounts, hasher, settings)

    app = create_service(
        "Shop: users",
        name="users",
        settings=settings,
        tortoise_orm=config(settings.database_url),
        routers=[login.router, session_routes.router, account_routes.router, api_key_routes.router],
        middleware=[Middleware(LoginRefusalMiddleware, path=login.PATH)],
        on_start=start,
        ready=accounts.ready,
    )
    state = cast("State", app.state)
    state.account_store = accounts
    state.session_store = session_store(settings.database_url, settings.session_limits)
    state.api_key_store = api_key_store(settings.database_url)
    state.password_hasher = hasher
    state.login_throttle = LoginThrottle()
    state.now = monotonic
    return app


app = create_app(Settings())
