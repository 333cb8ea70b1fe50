"""The orders service, from its settings. ``app.py`` builds the one that a server runs."""

from fastapi import FastAPI

from limen_kit.app import create_service
from shop_orders.database import config
from shop_orders.routes import router
from shop_orders.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    """Build the service from ``settings``."""
    return create_service(
        "Shop: orders",
        name="orders",
        settings=settings,
        tortoise_orm=config(settings.database_url),
        routers=[router],
    )
