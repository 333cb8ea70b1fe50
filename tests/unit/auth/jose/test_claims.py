"""From claims to a caller, with the mapping that outside issuers need. Times and types are in test_jwt.py too."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen.auth.jose.claim_path import claim_at, names_in
from limen.auth.jose.claims import Claims, is_time
from limen.auth.jose.json_object import DEEPEST, MOST_NESTED, read_json_object
from limen.auth.jose.tenants import Tenants
from limen.errors import Fault, Kind
from limen.exchange.principal import Principal
from tokens import NOW

OUTSIDE = Claims(
    "https://idp.example", ("shop",), 5, "sub", "realm_access.roles", "scope", id_prefix="idp:", roles_needed=False
)

TENANTS = Claims(
    audiences=("shop",), id_claim="sub", role_claim=("realm_access", "roles"), tenants=Tenants("h{tenantid}")
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["roles", "a"]), inner, max_size=3),
    max_leaves=6,
)


def checked(rules: Claims, **changes: Any) -> Kind | Principal:
    base: dict[str, Any] = {"iss": "https://idp.example", "aud": ["shop"], "sub": "ann", "exp": NOW + 60}
    found = rules.principal({k: v for k, v in (base | changes).items() if v is not None}, NOW)
    return found.kind if isinstance(found, Fault) else found[1]


def caller(**changes: Any) -> Principal:
    found = checked(OUTSIDE, **changes)
    assert isinstance(found, Principal)
    return found


def test_an_id_from_outside_is_never_one_from_inside() -> None:
    assert caller().id == "idp:ann"
    assert caller(sub=7).id == "idp:7"
    assert checked(OUTSIDE, sub="") is Kind.TOKEN_CORRUPTED


def test_the_end_has_its_leeway() -> None:
    found = OUTSIDE.principal({"iss": "https://idp.example", "aud": "shop", "sub": "a", "exp": NOW}, NOW + 4)
    assert not isinstance(found, Fault)
    assert found[0] == NOW + 5


def test_roles_may_be_deep() -> None:
    assert caller(realm_access={"roles": ["a", "b"]}).roles == {"a", "b"}
    assert caller(realm_access={"roles": "a"}).roles == {"a"}
    odd: tuple[Any, ...] = ({}, {"roles": None}, {"roles": []}, [], "roles", 7, {"other": ["a"]})
    for each in odd:
        assert caller(realm_access=each).roles == frozenset()


@pytest.mark.parametrize(
    ("roles", "kept"),
    [
        (7, set[str]()),
        (True, set[str]()),
        ("", set[str]()),
        ([["a"]], set[str]()),
        (["a", 7], {"a"}),
        (["a", "", None], {"a"}),
        (["a\nb", "c", "d" * 300], {"c"}),
        ({"a": {"1": "org.example"}, "b": True}, {"a", "b"}),
        ({"a": False, "b": None, "c": {}, "d": 1, "e": "yes", "f": []}, set[str]()),
    ],
    ids=repr,
)
def test_odd_roles_are_dropped_and_the_others_stay(roles: Any, kept: set[str]) -> None:
    assert caller(realm_access={"roles": roles}).roles == kept
    # The gateway writes no odd role: a token of its own that has one is not its own.
    own = Claims(audiences=("shop",), id_claim="sub", role_claim="r")
    assert checked(own, r=roles) is Kind.TOKEN_CORRUPTED


@pytest.mark.parametrize(
    ("path", "claims", "roles"),
    [
        ("resource_access.com.example.app.roles", {"resource_access": {"com.example.app": {"roles": ["a"]}}}, {"a"}),
        ("a.b.c", {"a": {"b.c": "long", "b": {"c": "short"}}}, {"long"}),
        ("a.b.c", {"a.b": {"c": "joined"}, "a": {"b": {"c": "apart"}}}, {"joined"}),
        ("a.b", {"a": [{"b": "x"}]}, set[str]()),
        (("a", "b.c", "d"), {"a": {"b.c": {"d": ["x"]}}}, {"x"}),
        (("a.b",), {"a": {"b": "x"}}, set[str]()),
        (("a", "b"), {"a": "text"}, set[str]()),
        ((), {"": "x"}, set[str]()),
    ],
)
def test_a_path_leads_to_the_claim_of_roles(path: Any, claims: dict[str, Any], roles: set[str]) -> None:
    rules = Claims(audiences=("shop",), id_claim="sub", role_claim=path, roles_needed=False)
    found = checked(rules, **claims)
    assert isinstance(found, Principal)
    assert found.roles == roles


NAMES = st.text("ab.", min_size=1, max_size=4)


@given(st.lists(NAMES, min_size=1, max_size=4))
def test_names_may_have_dots_wherever_a_path_leads_to_one_claim(names: list[str]) -> None:
    claims: dict[str, object] = {names[-1]: "found"}
    for name in reversed(names[:-1]):
        claims = {name: claims}
    assert claim_at(claims, tuple(names)) == "found"
    assert claim_at(claims, ".".join(names)) == "found"


@given(st.dictionaries(NAMES, JSON, max_size=3), NAMES | st.lists(NAMES, max_size=3))
def test_a_path_never_raises_and_its_names_are_texts(claims: dict[str, Any], path: Any) -> None:
    assert all(isinstance(name, str) for name in names_in(claim_at(claims, path)))


def test_roles_are_renamed_before_they_have_to_be_printable() -> None:
    rules = Claims(
        audiences=("shop",), id_claim="sub", role_claim="r", roles_needed=False, role_names={"Gesch\xe4ft": "boss"}
    )
    found = checked(rules, r=["Gesch\xe4ft", "other"])
    assert isinstance(found, Principal)
    assert found.roles == {"boss"}


@pytest.mark.parametrize(
    ("audiences", "claims", "good"),
    [
        ((), {"aud": None}, True),
        ((), {"aud": "shop"}, False),
        ((), {"aud": []}, False),
        (("shop",), {"aud": None}, False),
        (("shop",), {"aud": None, "azp": "shop"}, True),
        (("shop",), {"aud": None, "client_id": "shop", "azp": "other"}, True),
        (("shop",), {"aud": None, "client_id": "other", "azp": "shop"}, False),
        (("shop",), {"aud": None, "client_id": ["shop"]}, False),
        (("shop",), {"aud": "other", "client_id": "shop"}, False),
        (("shop",), {"aud": [], "client_id": "shop"}, False),
        (("shop",), {"aud": ["shop", 7]}, False),
        (("shop",), {"aud": {"shop": True}}, False),
        (("a", "b"), {"aud": ["x", "b"]}, True),
    ],
)
def test_for_whom_a_token_is_made(audiences: tuple[str, ...], claims: dict[str, Any], good: bool) -> None:
    rules = Claims(audiences=audiences, id_claim="sub", roles_needed=False, audience_claims=("aud", "client_id", "azp"))
    assert isinstance(checked(rules, **claims), Principal) is good


def test_two_tenants_have_no_caller_in_common() -> None:
    url = "https://login.example/{tenantid}/v2.0"
    rules = Claims(url, ("shop",), id_claim="sub", tenants=Tenants(url), id_prefix="e:", roles_needed=False)
    ids = {
        found.id
        for tenant in ("one", "two.example")
        if isinstance(found := checked(rules, iss=f"https://login.example/{tenant}/v2.0"), Principal)
    }
    assert ids == {"e:one:ann", "e:two.example:ann"}
    for changes in (
        {"iss": "https://login.example/one/v2.0", "tid": "two"},
        {"iss": "https://login.example/a/b/v2.0"},
        {"iss": "https://login.example//v2.0"},
        {"iss": "https://login.example/v2.0"},
        {"iss": "https://login.example/a:b/v2.0"},
        {"iss": "https://evil.example/one/v2.0"},
        {"iss": url},
        {"iss": ["https://login.example/one/v2.0"]},
    ):
        assert checked(rules, **changes) is Kind.TOKEN_CORRUPTED, changes


def test_a_name_with_dots_may_be_a_name() -> None:
    rules = Claims(audiences=("shop",), id_claim="sub", role_claim="https://shop.example/roles", scope_claim="a.b")
    found = checked(rules, **{"https://shop.example/roles": ["x"], "a.b": "s", "a": {"b": "t"}})
    assert isinstance(found, Principal)
    assert (found.roles, found.scopes) == ({"x"}, {"s"})
    assert checked(rules, https="") is Kind.TOKEN_CORRUPTED


def test_without_roles_where_they_are_needed() -> None:
    rules = Claims(audiences=("shop",), id_claim="sub", role_claim="role")
    assert checked(rules) is Kind.TOKEN_CORRUPTED
    assert checked(rules, role=[]) is Kind.TOKEN_CORRUPTED
    assert isinstance(checked(rules, role="a"), Principal)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, True), (1.5, True), (999_999_999_999, True), (1e12, False), (-1, False), (True, False), ("1", False)],
)
def test_times(value: object, expected: bool) -> None:
    assert is_time(value) is expected
    assert not is_time(None)
    assert not is_time(float("nan"))


def test_depth_is_exact() -> None:
    assert read_json_object(b'{"a":' * DEEPEST + b"1" + b"}" * DEEPEST) is not None
    assert read_json_object(b'{"a":' * (DEEPEST + 1) + b"1" + b"}" * (DEEPEST + 1)) is None
    assert read_json_object(b'{"a":[' + b",".join([b"{}"] * (MOST_NESTED - 2)) + b"]}") is not None
    assert read_json_object(b'{"a":[' + b",".join([b"{}"] * (MOST_NESTED - 1)) + b"]}") is None
    assert read_json_object(b'{"a":"' + b"[" * 300 + b'\\"' + b"{" * 100 + b'"}') is not None


@given(st.binary(max_size=60) | st.text('[]{}",:\\a1 ', max_size=60).map(str.encode))
def test_reading_never_raises(text: bytes) -> None:
    found = read_json_object(text)
    assert found is None or isinstance(found, dict)


@given(st.dictionaries(st.sampled_from(["iss", "aud", "sub", "exp", "nbf", "iat", "realm_access", "scope"]), JSON))
def test_judging_never_raises(claims: dict[str, Any]) -> None:
    good: dict[str, Any] = {"iss": "https://idp.example", "aud": "shop", "sub": "ann", "exp": NOW + 60}
    for each in (claims, good | claims, claims | good):
        for rules in (OUTSIDE, Claims(), TENANTS):
            found = rules.principal(each, NOW)
            assert isinstance(found, Fault) or found[1].id
