"""The suppliers service with the settings of the environment, which is what a server runs."""

from shop_suppliers.service import create_app
from shop_suppliers.settings import Settings

app = create_app(Settings())
