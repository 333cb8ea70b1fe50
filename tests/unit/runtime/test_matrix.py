"""Verdicts about made-up callers: each is the rule's own, and what cannot be known is not guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen import Principal, Rule, Upstream, anyone, owner, role, scope, signed_in
from limen.auth import Jwt
from limen.auth.api_keys import ApiKeys
from limen.auth.method import Methods
from limen.auth.rules import as_rule
from limen.runtime.matrix import (
    Caller,
    Matrix,
    MatrixRow,
    Ruled,
    Verdict,
    attributes_read,
    callers,
    matrix,
    route_verdict,
    rule_verdict,
)
from limen.runtime.route import Route
from tokens import SECRET

SERVICE = Upstream("svc", ["http://127.0.0.1:9"])
TOKENS = Jwt(SECRET)
KEYS = ApiKeys(SERVICE)
BY_TOKEN = Methods.of(TOKENS)


def of_tenant(principal: Principal) -> bool:
    return principal.claims.get("tenant") == "x"


def wants_a_tenant(principal: Principal) -> bool:
    return principal.claims["tenant"] == "x"


def is_ann(principal: Principal) -> bool:
    return principal.id == "7"


def is_staff(principal: Principal) -> bool:
    return "staff" in principal.roles


def broken(principal: Principal) -> bool:
    raise RuntimeError("a mistake of the user's")


def named(*names: str) -> Caller:
    """Return a caller with a token: ``role:x``, ``scope:x`` and ``owner:x``."""
    found = {kind: frozenset(n.partition(":")[2] for n in names if n.startswith(kind)) for kind in ("ro", "sc", "ow")}
    return Caller("token", found["ro"], found["sc"], found["ow"])


@pytest.mark.parametrize(
    ("rule", "caller", "verdict"),
    [
        (anyone, Caller("none"), "allowed"),
        (anyone, named("owner:id"), "allowed"),
        (signed_in, Caller("none"), "401"),
        (signed_in, named(), "allowed"),
        (signed_in, Caller("key"), "401"),
        (role("a"), named(), "403"),
        (role("a"), named("role:a"), "allowed"),
        (role("a"), named("role:b"), "403"),
        (scope("a"), named("scope:a"), "allowed"),
        (scope("a", "b"), named("scope:a"), "403"),
        (scope("a", "b"), named("scope:a", "scope:b"), "allowed"),
        (owner("id"), named(), "403"),
        (owner("id"), named("owner:id"), "allowed"),
        (owner("id") & owner("other"), named("owner:id"), "403"),
        (owner("id") | owner("other"), named("owner:other"), "allowed"),
        (role("a"), named("owner:id"), "-"),
        (as_rule(is_staff), named(), "403"),
        (as_rule(is_staff), named("role:staff"), "allowed"),
        (as_rule(of_tenant), named(), "?"),
        (as_rule(is_ann), named(), "?"),
        (as_rule(broken), named(), "?"),
        (as_rule(broken), Caller("none"), "401"),
    ],
    ids=str,
)
def test_verdicts(rule: Rule, caller: Caller, verdict: Verdict) -> None:
    assert route_verdict(rule, BY_TOKEN, caller) == verdict


@pytest.mark.parametrize(
    ("rule", "verdict"),
    [
        (role("a") | of_tenant, "allowed"),
        (of_tenant | role("a"), "allowed"),
        (role("a") & of_tenant, "?"),
        (role("b") & of_tenant, "403"),
        (role("b") | of_tenant, "?"),
        ((of_tenant | role("b")) & role("a"), "?"),
        ((of_tenant | role("a")) & role("b"), "403"),
        (role("a") | wants_a_tenant, "allowed"),
        (wants_a_tenant | role("a"), "?"),
        (role("b") & broken, "403"),
        (broken & role("b"), "?"),
        (role("b") | is_staff, "403"),
        (as_rule(of_tenant) & is_ann, "?"),
    ],
    ids=str,
)
def test_a_function_leaves_a_doubt_only_where_it_decides(rule: Rule, verdict: Verdict) -> None:
    assert route_verdict(rule, BY_TOKEN, named("role:a")) == verdict


def test_what_functions_read() -> None:
    def asked(rule: Rule) -> frozenset[str]:
        return attributes_read(rule, Principal("me"), {})

    assert asked(as_rule(of_tenant)) == {"claims"}
    assert asked(as_rule(wants_a_tenant)) == {"claims", "more than there is"}
    assert asked(as_rule(is_ann)) == {"id"}
    assert asked(as_rule(is_staff)) == frozenset()
    assert asked(as_rule(broken)) == {"more than there is"}


def test_a_rule_made_by_hand_is_a_function() -> None:
    rule = Rule("mine", lambda principal, params: params.get("id") == "x" + principal.id)
    assert route_verdict(rule, BY_TOKEN, named()) == "?"


@pytest.mark.parametrize(
    ("methods", "token", "key"),
    [
        (BY_TOKEN, "allowed", "401"),
        (Methods.of(KEYS), "401", "allowed"),
        (TOKENS | KEYS, "allowed", "allowed"),
    ],
    ids=["token", "key", "both"],
)
def test_a_credential_counts_where_it_is_taken(methods: Methods, token: Verdict, key: Verdict) -> None:
    assert route_verdict(scope("a"), methods, named("scope:a")) == token
    assert route_verdict(scope("a"), methods, named("scope:a").by("key")) == key
    assert route_verdict(scope("a"), methods, Caller("none")) == "401"
    assert route_verdict(anyone, methods, Caller("key")) == "allowed"


def names(*rules: Rule, methods: Methods = BY_TOKEN) -> list[str]:
    return [caller.name for caller in callers([(rule, methods) for rule in rules])]


def test_callers_are_those_that_the_rules_tell_apart() -> None:
    assert names(anyone) == ["anonymous"]
    assert names(signed_in, anyone) == ["anonymous", "signed in"]
    assert names(scope("b"), role("z", "a"), owner("id"), scope("a") | role("a")) == [
        "anonymous",
        "signed in",
        "role a",
        "role z",
        "scope a",
        "scope b",
        "owner id",
    ]


def test_combinations_that_are_admitted_only_together() -> None:
    assert names(role("a") & scope("x", "y"))[-1] == "role a + scope x + scope y"
    assert names(role("a", "b") & owner("id"))[-2:] == ["role a + owner id", "role b + owner id"]
    assert names(role("a") & scope("x") | role("a"))[-1] == "scope x"
    assert names(role("a") & of_tenant)[-1] == "role a"
    many = scope(*"abcdefgh")
    assert names(many)[-1] == " + ".join(f"scope {name}" for name in "abcdefgh")
    assert names(many & (role("z") | signed_in))[-1] == names(many)[-1]
    assert len(names(role(*"abcdefghijklmnop") & scope("x"))) == 2 + 16 + 1 + 16


def test_keys_have_columns_for_what_routes_ask_of_them() -> None:
    asked = scope("a") & scope("b") | role("boss")
    found = callers([(asked, TOKENS | KEYS), (role("admin"), BY_TOKEN), (owner("id"), Methods.of(KEYS))])
    assert [caller.name for caller in found if caller.credential == "key"] == [
        "API key",
        "API key + scope a",
        "API key + scope b",
        "API key + owner id",
        "API key + scope a + scope b",
    ]


def route(path: str, allow: Rule, *, methods: tuple[str, ...] = ("GET",), auth: Methods | None = None) -> Route:
    return Route(methods=methods, path=path, upstream=SERVICE, allow=allow, auth=auth)


def test_a_whole_matrix() -> None:
    local = MatrixRow(("GET",), "/healthz", "FastAPI")
    found = matrix(
        [
            Ruled.of(route("/z", role("admin"), auth=TOKENS | KEYS)),
            Ruled.of(route("/a", anyone)),
            Ruled.of(route("/m/{id}", owner("id") | of_tenant, methods=("GET", "POST"))),
        ],
        BY_TOKEN,
        [local],
    )
    assert [caller.name for caller in found.callers] == [
        *("anonymous", "signed in", "role admin", "owner id"),
        "API key",
    ]
    assert found.rows == (
        MatrixRow(("GET",), "/a", "svc", "anyone", "", ("allowed",) * 5),
        local,
        MatrixRow(
            ("GET", "POST"),
            "/m/{id}",
            "svc",
            "owner(id) | of_tenant",
            "Jwt",
            ("401", "?", "?", "allowed", "401"),
        ),
        MatrixRow(("GET",), "/z", "svc", "role(admin)", "Jwt | ApiKeys", ("401", "403", "allowed", "-", "403")),
    )
    assert found.functions == (("of_tenant", "claims"),)


def test_a_gateway_without_routes() -> None:
    assert matrix([], Methods()) == Matrix((Caller("none"),), (), ())


ROUTES = [route(f"/{n}", rule) for n, rule in enumerate((anyone, role("a"), scope("x") & role("b"), as_rule(is_ann)))]


@given(st.permutations(ROUTES))
def test_the_order_of_the_declaration_does_not_show(routes: list[Route]) -> None:
    assert matrix(list(map(Ruled.of, routes)), BY_TOKEN) == matrix(list(map(Ruled.of, ROUTES)), BY_TOKEN)


ATOMS = [role("a"), role("b", "c"), scope("x"), scope("x", "y"), owner("id"), signed_in, as_rule(is_staff)]
RULES = st.recursive(
    st.sampled_from(ATOMS),
    lambda inner: st.tuples(inner, inner, st.booleans()).map(lambda t: t[0] & t[1] if t[2] else t[0] | t[1]),
    max_leaves=6,
)
PRINCIPALS = st.builds(
    Principal,
    st.sampled_from(["me", "you"]),
    st.frozensets(st.sampled_from(["a", "b", "c", "staff"])),
    st.frozensets(st.sampled_from(["x", "y"])),
)


@given(RULES, PRINCIPALS)
def test_a_verdict_is_what_the_rule_says(rule: Rule, principal: Principal) -> None:
    params = {"id": "me"}
    assert rule_verdict(rule, principal, params) == ("allowed" if rule.check(principal, params) else "403")


@given(RULES, st.booleans())
def test_a_certain_verdict_holds_whatever_a_function_returns(rule: Rule, says: bool) -> None:
    """A verdict other than ``?`` holds for every answer that the function could give."""
    claims = {"tenant": "x" if says else "y"}
    both = rule & (role("a") | of_tenant)
    for roles in (frozenset[str](), frozenset(("a",)), frozenset(("b", "staff"))):
        verdict = rule_verdict(both, Principal("me", roles), {"id": "me"})
        real = both.check(Principal("me", roles, frozenset(), claims), {"id": "me"})
        assert verdict in ("?", "allowed" if real else "403")


@given(RULES)
def test_a_rule_that_admits_somebody_has_a_column_that_shows_it(rule: Rule) -> None:
    everything = Principal("me", frozenset("abc"), frozenset("xy"))
    if rule.check(everything, {"id": "me"}):
        assert "allowed" in [route_verdict(rule, BY_TOKEN, caller) for caller in callers([(rule, BY_TOKEN)])]
