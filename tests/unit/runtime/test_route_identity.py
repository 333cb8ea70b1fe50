"""What one route tells its service about the caller, in place of what the gateway tells."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from limen import DeclarationError, Gateway, Principal, Rule, Upstream, anyone, signed_in
from limen.auth import Jwt
from limen.routing.table import Match
from tokens import SECRET

SERVICE = Upstream("svc", ["http://a"])
CALLER = Principal("7", frozenset({"admin"}), claims={"tenant": "t1"})
Identity = Mapping[str, Callable[[Principal], str | None]]


def tenant(principal: Principal) -> str | None:
    found = principal.claims.get("tenant")
    return found if isinstance(found, str) else None


def nothing(principal: Principal) -> None:
    return None


def gateway(identity: Identity, allow: Rule = signed_in) -> Gateway:
    app = Gateway(auth=Jwt(SECRET))

    @app.get("/own", upstream=SERVICE, allow=allow, identity=identity)
    def own() -> None: ...

    @app.get("/all", upstream=SERVICE, allow=signed_in)
    def every() -> None: ...

    @app.get("/open", upstream=SERVICE, allow=anyone)
    def public() -> None: ...

    del own, every, public
    return app


def plan(app: Gateway, path: bytes) -> Any:
    found = app.active_config().table.match(b"GET", path)
    assert isinstance(found, Match)
    return found.plan


def test_a_route_tells_its_own_and_the_others_tell_the_gateways() -> None:
    app = gateway({"request-tenant": tenant, "request-other": nothing})
    own, every, public = (plan(app, path) for path in (b"/own", b"/all", b"/open"))
    assert own.access_control.identity_lines(CALLER, "id", 0.0) == b"request-tenant: t1\r\n"
    assert own.access_control.identity_lines(Principal("8"), "id", 0.0) == b""
    told = every.access_control.identity_lines(CALLER, "id", 0.0)
    assert told == b"request-user-id: 7\r\nrequest-user-role: admin\r\n"
    for one in (own, every, public):
        assert {b"request-tenant", b"request-other", b"request-user-id"} <= one.withheld_headers


def test_a_service_may_be_told_nothing() -> None:
    assert plan(gateway({}), b"/own").access_control.identity_lines(CALLER, "id", 0.0) == b""


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("host", "'host' is that of the service; Upstream.* says which; choose another name"),
        ("x_tenant", "'x_tenant' has '_'"),
        ("request tenant", "is no name of a header"),
        ("connection", "belongs to one connection"),
        ("request-identity", r"is signed by Gateway\(assertion=\)"),
    ],
)
def test_what_is_no_name_for_it(name: str, message: str) -> None:
    with pytest.raises(DeclarationError, match=f"GET /own: identity=: .*{message}"):
        gateway({name: tenant}).compile()


def test_a_route_for_anyone_has_nobody_to_tell_of() -> None:
    with pytest.raises(DeclarationError, match="anyone may call; leave it out"):
        gateway({"request-tenant": tenant}, allow=anyone).compile()


def test_an_endpoint_of_the_gateways_own_tells_no_service() -> None:
    app = Gateway(auth=Jwt(SECRET))

    @app.get("/local", identity={})
    def local() -> None: ...

    del local
    with pytest.raises(DeclarationError, match="GET /local: identity given without upstream="):
        app.compile()
