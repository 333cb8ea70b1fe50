"""The users service with the settings of the environment, which is what a server runs."""

from shop_users.service import create_app
from shop_users.settings import Settings

app = create_app(Settings())
