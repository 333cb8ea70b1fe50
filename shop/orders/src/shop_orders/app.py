"""The orders service with the settings of the environment, which is what a server runs."""

from shop_orders.service import create_app
from shop_orders.settings import Settings

app = create_app(Settings())
