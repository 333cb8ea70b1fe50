"""Rules: who is admitted, how rules combine, and what is refused as a rule."""

import functools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen import Principal, Rule, anyone, owner, role, scope, signed_in
from limen.auth.rules import as_rule

ANN = Principal("7", frozenset(("admin", "staff")), frozenset(("a:read", "a:write")), {"tenant": "x"})
BOB = Principal("8")


def is_ann(principal: Principal) -> bool:
    return principal.id == "7"


def of_tenant_x(principal: Principal) -> bool:
    return principal.claims.get("tenant") == "x"


def never(principal: Principal) -> bool:
    return False


@pytest.mark.parametrize(
    ("rule", "ann", "bob"),
    [
        (anyone, True, True),
        (signed_in, True, True),
        (role("admin"), True, False),
        (role("none", "staff"), True, False),
        (role("none"), False, False),
        (scope("a:read"), True, False),
        (scope("a:read", "a:write"), True, False),
        (scope("a:read", "b:read"), False, False),
        (role("admin") & scope("a:read"), True, False),
        (role("admin") & scope("b:read"), False, False),
        (role("none") | scope("a:read"), True, False),
        (role("none") | scope("none"), False, False),
        (role("admin") & is_ann, True, False),
        (is_ann & role("admin"), True, False),
        (role("none") | is_ann, True, False),
        (is_ann | role("none"), True, False),
        (never | role("admin"), True, False),
        (never & role("admin"), False, False),
        (signed_in & never, False, False),
        (signed_in | never, True, True),
        (role("none") | role("admin") & is_ann, True, False),
    ],
    ids=str,
)
def test_who_is_admitted(rule: Rule, ann: bool, bob: bool) -> None:
    assert rule.check(ANN, {}) is ann
    assert rule.check(BOB, {}) is bob


@pytest.mark.parametrize(
    ("rule", "public"),
    [
        (anyone, True),
        (signed_in, False),
        (anyone | role("a"), True),
        (role("a") | anyone, True),
        (anyone & role("a"), False),
        (role("a") & anyone, False),
        (anyone & anyone, True),
        (is_ann | anyone, True),
        (is_ann & anyone, False),
        (signed_in | role("a"), False),
    ],
    ids=str,
)
def test_only_what_admits_everybody_is_public(rule: Rule, public: bool) -> None:
    assert rule.public is public


@pytest.mark.parametrize("result", [1, "yes", [0], object(), None, 0, False])
def test_only_true_itself_admits(result: object) -> None:
    def test(principal: Principal) -> Any:
        return result

    assert not as_rule(test).check(ANN, {})
    assert not (signed_in & test).check(ANN, {})
    assert not (role("none") | test).check(ANN, {})
    rule: Any = Rule("odd", lambda principal, params: result)  # pyright: ignore[reportArgumentType] - the mistake under test
    assert not rule.check(ANN, {})


async def coroutine(principal: Principal) -> bool:
    return True


class Later:
    async def __call__(self, principal: Principal) -> bool:
        return True


class Now:
    def __call__(self, principal: Principal) -> bool:
        return True


@pytest.mark.parametrize("value", [coroutine, Later(), functools.partial(coroutine)])
def test_what_is_async_is_no_rule(value: object) -> None:
    with pytest.raises(TypeError, match="is async: a coroutine is always true"):
        as_rule(value)


def nobody() -> bool:
    return True


def two(a: Principal, b: Principal) -> bool:
    return True


def by_name(*, principal: Principal) -> bool:
    return True


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("admin", "allow='admin' is no rule: use anyone"),
        (None, "allow=None is no rule"),
        (True, "allow=True is no rule"),
        (["admin"], "is no rule"),
        (nobody, "allow=nobody must take exactly one argument"),
        (two, "allow=two must take exactly one argument"),
        (by_name, "allow=by_name must take exactly one argument"),
    ],
)
def test_what_is_no_rule_says_why(value: object, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        as_rule(value)


def test_functions_and_callable_objects_are_rules() -> None:
    assert as_rule(signed_in) is signed_in
    assert str(as_rule(is_ann)) == "is_ann"
    assert str(as_rule(Now())) == "Now"
    assert as_rule(Now()).check(BOB, {})
    assert as_rule(of_tenant_x).check(ANN, {})
    assert not as_rule(of_tenant_x).check(BOB, {})


@pytest.mark.parametrize(("params", "admitted"), [({"id": "7"}, True), ({"id": "8"}, False), ({}, False)])
def test_an_owner_is_whom_the_path_names(params: dict[str, str], admitted: bool) -> None:
    assert owner("id").check(ANN, params) is admitted


def test_combined_rules_know_their_parameters() -> None:
    rule = (owner("user_id") | role("admin")) & owner("other")
    assert rule.path_params == {"user_id", "other"}
    assert rule.check(BOB, {"user_id": "8", "other": "8"})
    assert not rule.check(BOB, {"user_id": "8", "other": "7"})


@pytest.mark.parametrize("make", [lambda: owner("{id}"), lambda: owner("")])
def test_an_owner_names_a_parameter(make: Callable[[], Rule]) -> None:
    with pytest.raises(ValueError, match=r"name a path parameter, such as owner\('user_id'\)"):
        make()


@pytest.mark.parametrize("make", [role, scope])
def test_a_rule_without_names_is_refused(make: Callable[..., Rule]) -> None:
    for names in ((), ("",), ("a", "")):
        with pytest.raises(ValueError, match=rf"{make.__name__}\(\) names nobody: give at least one"):
            make(*names)


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (anyone, "anyone"),
        (role("a", "b"), "role(a, b)"),
        (scope("a:b"), "scope(a:b)"),
        (owner("id"), "owner(id)"),
        (role("a") & role("b"), "role(a) & role(b)"),
        (role("a") & (role("b") | is_ann), "role(a) & (role(b) | is_ann)"),
        ((role("a") & role("b")) | owner("id"), "(role(a) & role(b)) | owner(id)"),
        (anyone & role("a"), "role(a)"),
        (anyone | role("a"), "anyone"),
    ],
)
def test_rules_show_as_they_are_read(rule: Rule, text: str) -> None:
    assert str(rule) == text


RULES = st.recursive(
    st.sampled_from([(signed_in, True), (role("none"), False), (as_rule(is_ann), True), (as_rule(never), False)]),
    lambda inner: st.tuples(inner, inner, st.booleans()).map(
        lambda t: (t[0][0] & t[1][0], t[0][1] and t[1][1]) if t[2] else (t[0][0] | t[1][0], t[0][1] or t[1][1])
    ),
)


@given(RULES)
def test_rules_combine_as_logic_does(case: tuple[Rule, bool]) -> None:
    rule, expected = case
    assert rule.check(ANN, {}) is expected
    assert not rule.public


@pytest.mark.parametrize(
    ("rule", "roles", "scopes", "custom"),
    [
        (anyone, set[str](), set[str](), False),
        (signed_in, set[str](), set[str](), False),
        (role("b", "a"), {"a", "b"}, set[str](), False),
        (scope("x:y"), set[str](), {"x:y"}, False),
        (owner("id"), set[str](), set[str](), False),
        (as_rule(is_ann), set[str](), set[str](), True),
        (role("a") & (scope("x") | role("b") & scope("y")), {"a", "b"}, {"x", "y"}, False),
        (role("a") & (scope("x") | is_ann), {"a"}, {"x"}, True),
        (anyone & role("a"), {"a"}, set[str](), False),
        (anyone | role("a"), set[str](), set[str](), False),
        (Rule("by hand", lambda principal, params: True), set[str](), set[str](), True),
    ],
    ids=str,
)
def test_rules_know_whom_they_name(rule: Rule, roles: set[str], scopes: set[str], custom: bool) -> None:
    assert (rule.roles, rule.scopes, rule.custom) == (roles, scopes, custom)


@pytest.mark.parametrize(
    ("rule", "challenge"),
    [
        (role("admin"), b'Bearer error="insufficient_scope"'),
        (as_rule(is_ann), b'Bearer error="insufficient_scope"'),
        (scope("a:read"), b'Bearer error="insufficient_scope", scope="a:read"'),
        (scope("b", "a") & (role("admin") | scope("c")), b'Bearer error="insufficient_scope", scope="a b c"'),
        (
            scope("https://x.example/a?b=c'd"),
            b"""Bearer error="insufficient_scope", scope="https://x.example/a?b=c'd\"""",
        ),
    ],
    ids=str,
)
def test_a_refusal_says_which_scopes_would_do(rule: Rule, challenge: bytes) -> None:
    assert rule.challenge == challenge


@pytest.mark.parametrize("name", ["a b", 'a"', "a\\", "é", "a\r\nset-cookie: x", "a\x7f", " a", "\t"])
def test_a_scope_is_what_a_token_can_have(name: str) -> None:
    with pytest.raises(
        ValueError, match=r"a scope is printable ASCII without blanks.*give several as scope\('a', 'b'\)"
    ):
        scope("good", name)


def test_the_leaves_of_a_rule() -> None:
    a, b = role("a"), owner("id")
    rule = a & (is_ann | b)
    first, second, third = rule.leaves()
    assert (first, str(second), third) == (a, "is_ann", b)
    assert list(signed_in.leaves()) == [signed_in]


@given(RULES)
def test_a_rule_with_nothing_replaced_is_the_same(case: tuple[Rule, bool]) -> None:
    rule, expected = case
    same = rule.replaced(lambda leaf: leaf)
    assert (str(same), same.check(ANN, {}), same.custom) == (str(rule), expected, rule.custom)
    assert same.roles == rule.roles == frozenset(name for leaf in rule.leaves() for name in leaf.roles)
    assert not rule.replaced(lambda leaf: as_rule(never)).check(ANN, {})
    assert rule.replaced(lambda leaf: signed_in).check(ANN, {})
