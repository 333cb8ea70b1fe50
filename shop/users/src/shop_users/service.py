"""The users service, from its settings. ``app.py`` builds the one that a server runs."""

from time import monotonic
from typing import cast

from fastapi import FastAPI
from starlette.middleware import Middleware

from limen_kit.app import create_service
from shop_users import account_routes, api_key_routes, login, session_routes
from shop_users.database import account_store, api_key_store, config, session_store
from shop_users.dependencies import State
from shop_users.login_middleware import LoginRefusalMiddleware
from shop_users.login_throttle import LoginThrottle
from shop_users.passwords import PasswordHasher
from shop_users.seed import seed
from shop_users.settings import Settings


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
