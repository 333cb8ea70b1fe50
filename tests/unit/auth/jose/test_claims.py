"""From claims to a caller, with the mapping that outside issuers need. Times and types are in test_jwt.py too."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen.auth.jose.claims import Claims, is_time
from limen.auth.jose.json_object import DEEPEST, MOST_NESTED, read_json_object
from limen.errors import Fault, Kind
from limen.exchange.principal import Principal
from tokens import NOW

OUTSIDE = Claims(
    "https://idp.example", "shop", 5, "sub", "realm_access.roles", "scope", id_prefix="idp:", roles_needed=False
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


@pytest.mark.parametrize("roles", [7, True, ["a", 7], [["a"]], {"a": 1}, "", ["a", ""], ["a\nb"]], ids=repr)
def test_roles_of_the_wrong_form_are_not_none(roles: Any) -> None:
    assert checked(OUTSIDE, realm_access={"roles": roles}) is Kind.TOKEN_CORRUPTED


def test_a_name_with_dots_may_be_a_name() -> None:
    rules = Claims(id_claim="sub", role_claim="https://shop.example/roles", scope_claim="a.b")
    found = checked(rules, **{"https://shop.example/roles": ["x"], "a.b": "s", "a": {"b": "t"}})
    assert isinstance(found, Principal)
    assert (found.roles, found.scopes) == ({"x"}, {"s"})
    assert checked(rules, https="") is Kind.TOKEN_CORRUPTED


def test_without_roles_where_they_are_needed() -> None:
    rules = Claims(id_claim="sub", role_claim="role")
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


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["roles", "a"]), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["iss", "aud", "sub", "exp", "nbf", "iat", "realm_access", "scope"]), JSON))
def test_judging_never_raises(claims: dict[str, Any]) -> None:
    good: dict[str, Any] = {"iss": "https://idp.example", "aud": "shop", "sub": "ann", "exp": NOW + 60}
    for each in (claims, good | claims, claims | good):
        for rules in (OUTSIDE, Claims()):
            found = rules.principal(each, NOW)
            assert isinstance(found, Fault) or found[1].id
