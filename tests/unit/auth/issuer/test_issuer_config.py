"""Which configurations of an outside issuer are refused; none of its ids and roles passes for one of the system."""

from typing import Any

import pytest

from limen import Timeouts, Tls
from limen.auth.issuer.declared import Issuer, conflicting_issuers, usable_role
from limen.auth.issuer.location import Location
from limen.auth.method import Method

URL = "https://idp.example/realms/shop"


def made(url: str = URL, **options: Any) -> Issuer:
    options = {"audience": "shop"} | options
    return Issuer(url, **options)


def test_defaults_are_closed() -> None:
    issuer = made()
    assert isinstance(issuer, Method)
    assert (issuer.name, issuer.algorithms) == ("idp.example/realms/shop", ("RS256", "ES256"))
    claims = issuer.claims
    assert (claims.issuer, claims.audience, claims.leeway) == (URL, "shop", 30)
    assert (claims.id_claim, claims.role_claim, claims.scope_claim) == ("sub", "", "scope")
    assert (claims.id_prefix, claims.roles_needed) == ("idp.example/realms/shop:", False)
    assert issuer == made()
    assert hash(issuer) == hash(made())


def test_what_is_said_is_kept() -> None:
    roles = {"shop-admins": "admin"}
    issuer = made(name="partner", algorithms=["EdDSA"], role_claim="realm_access.roles", roles=roles, leeway=0)
    roles.clear()
    assert (issuer.name, issuer.algorithms, issuer.roles) == ("partner", ("EdDSA",), {"shop-admins": "admin"})
    assert (issuer.claims.id_prefix, issuer.claims.role_claim) == ("partner:", "realm_access.roles")
    assert made(id_prefix="").claims.id_prefix == ""


@pytest.mark.parametrize(
    ("url", "places"),
    [
        (
            "https://idp.example",
            [
                "https://idp.example/.well-known/openid-configuration",
                "https://idp.example/.well-known/oauth-authorization-server",
            ],
        ),
        (
            "https://idp.example:8443/realms/shop/",
            [
                "https://idp.example:8443/realms/shop/.well-known/openid-configuration",
                "https://idp.example:8443/.well-known/oauth-authorization-server/realms/shop",
            ],
        ),
    ],
)
def test_where_the_discovery_document_may_be(url: str, places: list[str]) -> None:
    assert [str(place) for place in made(url).documents()] == places


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://idp.example", "is not protected: write https://, or say allow_http=True"),
        ("ftp://idp.example", "must begin with https://"),
        ("file:///etc/keys", "must begin with https://"),
        ("idp.example", "must begin with https://"),
        ("", "must begin with https://"),
        ("https://ann:secret@idp.example", "must not hold a user name or a password"),
        ("https://ann:secret/x@idp.example", "must not hold a user name or a password"),
        ("https://ann:secret?x@idp.example", "must not hold a user name or a password"),
        ("https://ann:1#secret@idp.example", "must not hold a user name or a password"),
        ("https://ann:a[secret@idp.example", "must not hold a user name or a password"),
        ("https://ann@idp.example", "must not hold a user name or a password"),
        ("https://idp.example#x", "must not have a fragment"),
        ("https://idp.example/#", "must not have a fragment"),
        ("https://idp.example?x=1", "an issuer has no query"),
        ("https://idp.example/?", "an issuer has no query"),
        ("https://idp.example/a b", "has characters that no URL has"),
        ("https://idp.example/\r\nx: y", "has characters that no URL has"),
        ("https://idp.example/ü", "has characters that no URL has"),
        ("https://idp.example/{a}", "has characters that must be percent-encoded"),
        ("https://idp.example\\@evil.example/", "must not hold a user name"),
        ("https://[::1", "Invalid IPv6 URL"),
        ("https://", "has no valid host and port"),
        ("https://idp.example:0", "has no valid host and port"),
        ("https://idp.example:99999", "Port out of range"),
    ],
)
def test_addresses_that_are_refused(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        made(url)
    assert "secret" not in str(caught.value)
    assert str(caught.value).startswith("Issuer")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"audience": ""}, "audience= is what its tokens must be made for"),
        ({"jwks_uri": "http://idp.example/keys"}, "is not protected"),
        ({"jwks_uri": "https://x:secret@idp.example/keys"}, "must not hold a user name or a password"),
        ({"jwks_uri": "https://idp.example/keys#a"}, "must not have a fragment"),
        ({"algorithms": []}, "algorithms is a list"),
        ({"algorithms": "RS256"}, "algorithms is a list"),
        ({"algorithms": ["HS256"]}, "algorithm 'HS256' is not one of"),
        ({"algorithms": ["RS256", "none"]}, "algorithm 'none' is not one of"),
        ({"name": "a:b"}, "may have letters, digits"),
        ({"name": " "}, "may have letters, digits"),
        ({"id_claim": ""}, "id_claim= names a claim, such as 'sub'"),
        ({"scope_claim": ""}, "scope_claim= names a claim, such as 'scope'"),
        ({"role_claim": ""}, "role_claim='' names no claim; leave it out"),
        ({"id_prefix": " x"}, "id_prefix= is printable ASCII"),
        ({"id_prefix": "x\n"}, "id_prefix= is printable ASCII"),
        ({"roles": {"a": "b"}}, "roles= renames what role_claim= finds"),
        ({"role_claim": "r", "roles": {"a": "b,admin"}}, "a role is printable ASCII without a comma"),
        ({"role_claim": "r", "roles": {"a": ""}}, "a role is printable ASCII without a comma"),
        ({"leeway": -1}, "leeway and cache must not be negative"),
        ({"cache": -1}, "leeway and cache must not be negative"),
        ({"floor": 0}, "floor <= refresh <= stale"),
        ({"floor": 301}, "floor <= refresh <= stale"),
        ({"stale": 299}, "floor <= refresh <= stale"),
        ({"timeouts": Timeouts()}, r"Timeouts\(total=...\) must be given"),
        ({"timeouts": Timeouts(connect=None, total=9)}, r"Timeouts\(connect=...\) must be given"),
    ],
)
def test_what_would_protect_nothing_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        made(**options)
    assert "secret" not in str(caught.value)


def test_http_has_to_be_said() -> None:
    assert made("http://localhost:8080", allow_http=True).location.origin == "http://localhost:8080"
    assert str(made(jwks_uri="https://keys.example/k?v=1").keys) == "https://keys.example/k?v=1"
    with pytest.raises(ValueError, match="tls= is for https://"):
        made("http://localhost:8080", allow_http=True, tls=Tls(ca="ca.pem"))


def test_issuers_that_are_one_or_sound_alike() -> None:
    assert conflicting_issuers([made(), made("https://other.example"), made(audience="other")]) == []
    assert "is named twice for the audience 'shop'" in conflicting_issuers([made(), made()])[0]
    # One with a slash more is another issuer: its tokens say so.
    (problem,) = conflicting_issuers([made(), made(f"{URL}/")])
    assert "their callers' ids could be the same; give one another name=" in problem


@pytest.mark.parametrize(
    ("role", "usable"),
    [
        ("admin", True),
        ("a b", True),
        ("a", True),
        ("x,admin", False),
        (",", False),
        ("", False),
        ("a ", False),
        ("\n", False),
    ],
)
def test_roles_that_can_be_told_to_services(role: str, usable: bool) -> None:
    assert usable_role(role) is usable


def test_a_location_is_what_a_request_line_takes() -> None:
    place = Location.parse("https://idp.example:444/a%20b?x=1&y=/2", allow_http=False)
    assert (place.origin, place.target) == ("https://idp.example:444", b"/a%20b?x=1&y=/2")
    assert Location.parse("https://idp.example", allow_http=False).target == b"/"
