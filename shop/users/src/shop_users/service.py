"""The users service, from its settings. ``app.py`` builds the one that a server runs."""

from fastapi import FastAPI

from limen_kit.app import create_service
from shop_users.accounts import shop_accounts
from shop_users.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    """Build the service from ``settings``."""
    accounts = shop_accounts(settings)
    return create_service(
        "Shop: users", name="users", settings=settings, tortoise_orm=accounts.tortoise_orm, parts=[accounts]
    )
