"""The users service."""

from fastapi import FastAPI

from limen_kit.app import create_service
from shop_users import login, routes
from shop_users.database import config, store
from shop_users.passwords import Passwords
from shop_users.seed import seed
from shop_users.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    """Build the service from ``settings``."""
    accounts = store(settings.database_url)
    passwords = Passwords()

    async def start() -> None:
        await seed(accounts, passwords, settings)

    app = create_service(
        "Shop: users",
        settings=settings,
        tortoise_orm=config(settings.database_url),
        routers=[login.router, routes.router],
        on_start=start,
        ready=accounts.ready,
    )
    app.state.store = accounts
    app.state.passwords = passwords
    return app


app = create_app(Settings())
