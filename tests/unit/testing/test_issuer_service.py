"""An outside issuer in memory: the gateway fetches its keys and believes its tokens, as the declaration says."""

from typing import Any

import pytest

from limen import Gateway, Upstream, role, scope, signed_in
from limen.auth import Issuer
from limen.testing import Clock, IssuerService, ScriptedUpstream, answer, saying, serving

URL = "https://id.example/realms/shop"


def gateway(issuer: Issuer) -> Gateway:
    app = Gateway(auth=issuer)
    upstream = Upstream("svc", ["http://svc"])
    app.forward("/any", upstream=upstream, allow=signed_in)
    app.forward("/admin", upstream=upstream, allow=role("admin"))
    app.forward("/read", upstream=upstream, allow=scope("read"))
    return app


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"algorithms": ["EdDSA"], "id_claim": "user.id"},
        {"algorithms": ["RS256"], "jwks_uri": "https://keys.example/set?v=1"},
    ],
    ids=["discovered", "nested claims", "another origin"],
)
async def test_its_callers_are_known(options: dict[str, Any]) -> None:
    issuer = Issuer(URL, audience="shop", role_claim="realm_access.roles", roles={"boss": "admin"}, **options)
    provider, clock = IssuerService(issuer), Clock()
    service = ScriptedUpstream(saying(*[answer("in")] * 9))
    services = {"svc": service, "https://id.example": provider, "https://keys.example": provider}
    async with serving(gateway(issuer), services=services, clock=clock) as client:
        boss = provider.as_caller("ann", ["boss", "staff"], scopes=["read"], now=clock.now())
        for path, status in (("/any", 200), ("/admin", 200), ("/read", 200)):
            assert (await client.get(path, headers=boss)).status_code == status
        plain = provider.as_caller("bob", now=clock.now())
        assert [(await client.get(path, headers=plain)).status_code for path in ("/any", "/admin")] == [200, 403]
        forged = IssuerService(issuer).as_caller("eve", "boss", now=clock.now())
        assert (await client.get("/any", headers=forged)).status_code == 401
        await clock.advance(700)
        assert (await client.get("/any", headers=boss)).status_code == 401
    assert b"request-user-id: id.example/realms/shop:ann\r\n" in service.requests[0]


@pytest.mark.parametrize(
    ("url", "options", "caller"),
    [
        ("my-issuer", {}, b"my-issuer:ann"),
        ("https://login.example/{tenantid}/v2.0", {}, b"login.example/tenantid/v2.0:tenant:ann"),
        ("https://login.example/{tenantid}/v2.0", {"tenants": ["one"], "name": "e"}, b"e:one:ann"),
        ("my-issuer", {"role_claim": ("a", "b.c")}, b"my-issuer:ann"),
    ],
)
async def test_it_may_be_an_issuer_that_is_no_address(url: str, options: dict[str, Any], caller: bytes) -> None:
    issuer = Issuer(url, audience=["shop", "other"], jwks_uri="https://keys.example/set", **options)
    provider, service = IssuerService(issuer), ScriptedUpstream(saying(answer("in")))
    async with serving(gateway(issuer), services={"svc": service, "https://keys.example": provider}) as client:
        role = "admin" if issuer.role_claim else None
        path = "/admin" if issuer.role_claim else "/any"
        assert (await client.get(path, headers=provider.as_caller("ann", role))).status_code == 200
    assert b"request-user-id: %b\r\n" % caller in service.requests[0]


def test_a_role_that_could_not_count_is_refused() -> None:
    with pytest.raises(ValueError, match="declares no role_claim="):
        IssuerService(Issuer(URL, audience="shop")).token("ann", "boss")
