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
    assert (claims.issuer, claims.audiences, claims.leeway) == (URL, ("shop",), 30)
    assert (claims.id_claim, claims.role_claim, claims.scope_claim) == ("sub", (), "scope")
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
        ({"audience": []}, "audience= is what its tokens must be made for"),
        ({"audience": ["a", ""]}, "audience= is what its tokens must be made for"),
        ({"audience_claims": []}, "audience_claims= is a list"),
        ({"audience_claims": "aud"}, "audience_claims= is a list"),
        ({"tenants": ["one"]}, "tenants= names those that count of an issuer with {tenantid} in it"),
        ({"role_claim": []}, "names no claim; leave it out"),
        ({"role_claim": ["a", ""]}, "names no claim; leave it out"),
        ({"token_size": 1023}, "token_size= is in bytes, from 1024 to 65536"),
        ({"token_size": 65537}, "token_size= is in bytes, from 1024 to 65536"),
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
    assert str(made("http://localhost:8080", allow_http=True).location) == "http://localhost:8080/"
    assert str(made(jwks_uri="https://keys.example/k?v=1").keys) == "https://keys.example/k?v=1"
    with pytest.raises(ValueError, match="tls= is for https://"):
        made("http://localhost:8080", allow_http=True, tls=Tls(ca="ca.pem"))


def test_issuers_that_are_one_or_sound_alike() -> None:
    assert conflicting_issuers([made(), made("https://other.example"), made(audience="other")]) == []
    assert "is named twice for the audience 'shop'" in conflicting_issuers([made(), made()])[0]
    # One with a slash more is another issuer: its tokens say so.
    (problem,) = conflicting_issuers([made(), made(f"{URL}/")])
    assert "could have the same id: the prefixes are" in problem
    assert "give one another name= or id_prefix=, or say shares_ids=True at both" in problem


OTHER = "https://other.example"


@pytest.mark.parametrize(
    ("one", "other", "collide"),
    [
        ({"id_prefix": "p:"}, {"id_prefix": "p:"}, True),
        ({"id_prefix": ""}, {"id_prefix": ""}, True),
        # Whoever may choose an id there may write the prefix of the other issuer into it.
        ({"id_prefix": ""}, {}, True),
        ({"name": "p"}, {"id_prefix": "p"}, True),
        ({"name": "p"}, {"name": "pp"}, False),
        ({"id_prefix": "", "shares_ids": True}, {"id_prefix": ""}, True),
        ({"id_prefix": "", "shares_ids": True}, {"id_prefix": "", "shares_ids": True}, False),
    ],
)
def test_issuers_whose_ids_could_be_the_same(one: dict[str, Any], other: dict[str, Any], collide: bool) -> None:
    for pair in ([made(**one), made(OTHER, **other)], [made(OTHER, **other), made(**one)]):
        assert bool(conflicting_issuers(pair)) is collide


def test_one_issuer_with_ids_of_two_claims() -> None:
    assert conflicting_issuers([made(), made(audience="b", id_claim="email")])
    assert conflicting_issuers([made(), made(audience=["b", "c"])]) == []
    assert "for the audience 'shop'" in conflicting_issuers([made(), made(audience=["b", "shop"])])[0]


@pytest.mark.parametrize("name", ["my-issuer", "accounts.google.com", "urn:example:issuer", "http://uaa/oauth/token"])
def test_an_issuer_may_have_any_name_if_its_keys_are_named(name: str) -> None:
    issuer = made(name, jwks_uri="https://keys.example/jwks")
    assert issuer.issues(name)
    assert not issuer.issues(f"{name}/")
    assert str(issuer.keys) == "https://keys.example/jwks"
    with pytest.raises(ValueError, match="give jwks_uri=, and the issuer may have any name"):
        made(name)


@pytest.mark.parametrize("name", ["", " a", "a\n", "x" * 513, "https://ann:secret@idp.example"])
def test_names_of_issuers_that_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"^Issuer") as caught:
        made(name, jwks_uri="https://keys.example/jwks")
    assert "secret" not in str(caught.value)


def test_an_issuer_of_many_tenants() -> None:
    url = "https://login.example/{tenantid}/v2.0"
    anyone = made(url, jwks_uri="https://login.example/keys")
    assert (anyone.name, anyone.documents()) == ("login.example/tenantid/v2.0", ())
    assert anyone.issues("https://login.example/one/v2.0")
    assert not anyone.issues("https://login.example/v2.0")
    named = made(url, jwks_uri="https://login.example/keys", tenants=["one"])
    assert [named.issues(f"https://login.example/{tenant}/v2.0") for tenant in ("one", "two")] == [True, False]


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
