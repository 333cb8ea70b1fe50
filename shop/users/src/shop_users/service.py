"""The users service, from its settings. ``app.py`` builds the one that a server runs."""

from fastapi import FastAPI

from limen_kit.app import create_service
from limen_kit.outbox import Delivery
from limen_kit.part import Part
from shop_users.accounts import shop_accounts
from shop_users.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    """Build the service from ``settings``."""
    accounts = shop_accounts(settings)
    parts: list[Part] = [accounts]
    if settings.events_url is not None and settings.events_key is not None:
        key = settings.events_key.get_secret_value()
        delivery = Delivery(accounts.outbox, settings.events_url, sender="users", key=key)
        accounts.on_event = delivery.wake
        parts.append(delivery)
    return create_service(
        "Shop: users", name="users", settings=settings, tortoise_orm=accounts.tortoise_orm, parts=parts
    )
