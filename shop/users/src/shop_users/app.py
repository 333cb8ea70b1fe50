"""The users service."""

from fastapi import FastAPI

from limen_kit.app import create_service
from shop_users import key_routes, login, routes, session_routes
from shop_users.database import config, keys, sessions, store
from shop_users.guessing import Guessing
from shop_users.passwords import Passwords
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
        on_start=start,
        ready=accounts.ready,
    )
    app.state.store = accounts
    app.state.sessions = sessions(settings.database_url, settings.rules)
    app.state.keys = keys(settings.database_url)
    app.state.passwords = passwords
    app.state.guessing = Guessing()
    return app


app = create_app(Settings())
