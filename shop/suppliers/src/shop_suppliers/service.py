"""The suppliers service, from its settings. ``app.py`` builds the one that a server runs."""

from fastapi import FastAPI

from limen_kit.app import create_service
from shop_suppliers.database import config
from shop_suppliers.routes import router
from shop_suppliers.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    """Build the service from ``settings``."""
    return create_service(
        "Shop: suppliers",
        name="suppliers",
        settings=settings,
        tortoise_orm=config(settings.database_url),
        routers=[router],
    )
