"""The shop's gateway: every public route, who may call it, and which service answers."""

from datetime import timedelta

from limen import Gateway, Timeouts, Upstream
from limen.auth import Jwt
from shop_gateway.routes import orders, suppliers, users
from shop_gateway.settings import Settings, settings


def create_app(settings: Settings) -> Gateway:
    """Build the gateway from ``settings``."""
    auth = Jwt(
        settings.secret_key.get_secret_value(),
        lifetime=timedelta(minutes=settings.access_token_default_expire_minutes),
    )
    timeouts = Timeouts(total=settings.gateway_timeout)
    app = Gateway(title="Shop", version="0.1.0", auth=auth)
    users.declare(app, Upstream("users", [settings.users_service_url], timeouts=timeouts), auth)
    orders.declare(app, Upstream("orders", [settings.orders_service_url], timeouts=timeouts))
    suppliers.declare(app, Upstream("suppliers", [settings.suppliers_service_url], timeouts=timeouts))

    @app.get("/healthz", tags=["health"])
    async def healthz() -> dict[str, str]:  # pyright: ignore[reportUnusedFunction] - the decorator registers it
        return {"status": "alive"}

    app.compile()
    return app


app = create_app(settings())
