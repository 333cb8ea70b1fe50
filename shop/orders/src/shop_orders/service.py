"""The orders service, from its settings. ``app.py`` builds the one that a server runs."""

from fastapi import FastAPI

from limen_kit.app import create_service
from shop_orders import events, routes
from shop_orders.database import config
from shop_orders.settings import Settings
from shop_orders.suppliers import Suppliers


def create_app(settings: Settings) -> FastAPI:
    """Build the service from ``settings``."""
    return create_service(
        "Shop: orders",
        name="orders",
        settings=settings,
        tortoise_orm=config(settings.database_url),
        routers=[routes.router, events.router],
        parts=[Suppliers(settings.gateway_url)],
    )
