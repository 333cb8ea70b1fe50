"""The shop's gateway: every public route, who may call it, and which service answers."""

from limen import IDENTITY, Gateway, Principal, Timeouts, Upstream
from limen.auth import ApiKeys, Assertion, Issuer, Jwt, Keys, Revocations
from shop_gateway.models import Health
from shop_gateway.routes import events, keys, orders, sessions, suppliers, users
from shop_gateway.sessions import SessionTokens
from shop_gateway.settings import Settings, settings

_TAGS = [
    {"name": "login", "description": "Begin, refresh and end a session. No access token is needed."},
    {"name": "sessions", "description": "Your sessions."},
    {"name": "users", "description": "Accounts, for admins; and your own, with its password."},
    {"name": "keys", "description": "Your API keys, with which machines act for you."},
    {"name": "orders", "description": "Orders. You see your own, an admin sees all."},
    {"name": "suppliers", "description": "Suppliers, which anyone may read."},
    {"name": "events", "description": "What services tell each other. Nobody else has a token for it."},
    {"name": "health", "description": "For whoever runs the gateway."},
]


def create_app(settings: Settings) -> Gateway:
    """Build the gateway from ``settings``."""
    jwt = _jwt(settings)
    app = Gateway(
        title="Shop",
        version="0.1.0",
        description="Users, orders and suppliers of a shop. Errors are problem documents (RFC 9457) with a stable `code`.",
        openapi_tags=_TAGS,
        auth=jwt | _external_issuers(settings),
        identity={**IDENTITY, "request-session-id": _session_id},
        assertion=None if settings.identity_keys is None else Assertion(Keys.directory(settings.identity_keys)),
        revocations=Revocations(),
        trust=settings.trusted_proxies,
    )
    timeouts = Timeouts(total=settings.gateway_timeout)
    users_service = Upstream("users", settings.users_service_url, timeouts=timeouts)
    user_or_key_auth = app.auth | ApiKeys(users_service, prefix="key_")
    sessions.declare(app, users_service, SessionTokens(jwt))
    users.declare(app, users_service)
    keys.declare(app, users_service)
    orders_service = Upstream("orders", settings.orders_service_url, timeouts=timeouts)
    orders.declare(app, orders_service, user_or_key_auth)
    if settings.events_key is not None:
        # The users service's own secret: its tokens open this route alone, and no other token opens it.
        events.declare(
            app, orders_service, Jwt(settings.events_key.get_secret_value(), issuer="users", audience="events")
        )
    suppliers.declare(app, Upstream("suppliers", settings.suppliers_service_url, timeouts=timeouts), user_or_key_auth)

    @app.get("/healthz", tags=["health"], response_description="It is alive.")
    async def healthz() -> Health:  # pyright: ignore[reportUnusedFunction] - the decorator registers it
        """Tell that the gateway's process is alive. The services have health checks of their own."""
        return Health(status="alive")

    app.compile()
    return app


def _jwt(settings: Settings) -> Jwt:
    # Who issues a token, and for whom it is made: another system with the same keys cannot use it here, nor ours there.
    lifetime = settings.token_lifetime
    if settings.token_keys is not None:
        return Jwt(keys=Keys.directory(settings.token_keys), issuer="shop", audience="shop", lifetime=lifetime)
    assert settings.secret_key is not None
    return Jwt(settings.secret_key.get_secret_value(), issuer="shop", audience="shop", lifetime=lifetime)


def _external_issuers(settings: Settings) -> list[Issuer]:
    if settings.oidc_issuer is None:
        return []
    # No prefix: the issuer puts the ids of the shop's users into this claim.
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


def _session_id(principal: Principal) -> str:
    """Return the caller's session for the users service; API keys and external tokens have none."""
    session_id = principal.claims.get("sid")
    return session_id if isinstance(session_id, str) else ""


app = create_app(settings())
