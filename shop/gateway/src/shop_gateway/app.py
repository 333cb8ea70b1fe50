"""The shop's gateway: every public route, who may call it, and which service answers."""

from limen import IDENTITY, Gateway, Principal, Timeouts, Upstream
from limen.auth import ApiKeys, Assertion, Issuer, Jwt, Keys, Revocations
from shop_gateway.routes import keys, orders, sessions, suppliers, users
from shop_gateway.sessions import Sessions
from shop_gateway.settings import Settings, settings


def create_app(settings: Settings) -> Gateway:
    """Build the gateway from ``settings``."""
    tokens = _tokens(settings)
    app = Gateway(
        title="Shop",
        version="0.1.0",
        auth=tokens | _outside(settings),
        identity={**IDENTITY, "request-session-id": _session},
        assertion=None if settings.identity_keys is None else Assertion(Keys.directory(settings.identity_keys)),
        revocations=Revocations(),
    )
    timeouts = Timeouts(total=settings.gateway_timeout)
    accounts = Upstream("users", [settings.users_service_url], timeouts=timeouts)
    machines = app.auth | ApiKeys(accounts, prefix="key_")
    sessions.declare(app, accounts, Sessions(tokens))
    users.declare(app, accounts)
    keys.declare(app, accounts)
    orders.declare(app, Upstream("orders", [settings.orders_service_url], timeouts=timeouts), machines)
    suppliers.declare(app, Upstream("suppliers", [settings.suppliers_service_url], timeouts=timeouts), machines)

    @app.get("/healthz", tags=["health"])
    async def healthz() -> dict[str, str]:  # pyright: ignore[reportUnusedFunction] - the decorator registers it
        return {"status": "alive"}

    app.compile()
    return app


def _tokens(settings: Settings) -> Jwt:
    if settings.token_keys is not None:
        return Jwt(keys=Keys.directory(settings.token_keys), lifetime=settings.token_lifetime)
    assert settings.secret_key is not None
    return Jwt(settings.secret_key.get_secret_value(), lifetime=settings.token_lifetime)


def _outside(settings: Settings) -> list[Issuer]:
    if settings.oidc_issuer is None:
        return []
    # Its ids are those of the shop's users: the claim that holds them is one that the shop has asked for.
    return [
        Issuer(
            settings.oidc_issuer,
            audience=settings.oidc_audience,
            id_claim=settings.oidc_id_claim,
            id_prefix="",
            role_claim=settings.oidc_role_claim,
            roles={"admin": "admin", "default": "default"},
            allow_http=settings.oidc_allow_http,
        )
    ]


def _session(principal: Principal) -> str:
    """Tell the users service which session a caller uses; API keys and outside tokens have none."""
    session = principal.claims.get("sid")
    return session if isinstance(session, str) else ""


app = create_app(settings())
