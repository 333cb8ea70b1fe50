"""The verdicts of the matrix, for random rules and random callers, are what the engines answer over sockets."""

import base64
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from time import time
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from examples import part
from limen import Gateway, Principal, Rule, Upstream, anyone, owner, role, scope, signed_in
from limen.auth import Jwt
from limen.auth.api_keys import ApiKeys
from limen.auth.method import Methods
from limen.auth.rules import as_rule
from limen.cli.matrix import matrix_of
from limen.runtime.matrix import Caller, Credential, Verdict, route_verdict, rule_verdict
from limen.testing import Conversation, ScriptedUpstream
from serving import Served, serving
from tokens import SECRET, sign

TOKENS = Jwt(SECRET)
# Each example starts a gateway and a service; the fixture that chooses the engine is the same for all of them.
FEW = settings(
    max_examples=part(20),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
INTROSPECT = b"POST /api/keys/introspect "


def is_staff(principal: Principal) -> bool:
    return "staff" in principal.roles


def of_tenant(principal: Principal) -> bool:
    return principal.claims.get("tenant") == "x"


def wants_a_tenant(principal: Principal) -> bool:
    return principal.claims["tenant"] == "x"


def is_me(principal: Principal) -> bool:
    return principal.id == "me"


ATOMS: list[Rule] = [
    *(role("a"), role("b", "c"), scope("x"), scope("x", "y:z"), owner("who"), signed_in, anyone),
    *map(as_rule, (is_staff, of_tenant, wants_a_tenant, is_me)),
]
RULES = st.recursive(
    st.sampled_from(ATOMS),
    lambda inner: st.tuples(inner, inner, st.booleans()).map(lambda t: t[0] & t[1] if t[2] else t[0] | t[1]),
    max_leaves=5,
)
ROUTES = st.lists(st.tuples(RULES, st.sampled_from(["token", "key", "both"])), min_size=1, max_size=4)


@dataclass
class Person:
    """A caller as the test makes one; ``flaw`` is what is wrong with the token."""

    id: str = "me"
    roles: list[str] = field(default_factory=lambda: ["unnamed"])
    scopes: list[str] = field(default_factory=list[str])
    tenant: str | None = None
    flaw: str = ""

    def token(self) -> str:
        claims: dict[str, Any] = {"id": self.id, "user_type": self.roles, "scope": self.scopes, "exp": time() + 600}
        if self.tenant is not None:
            claims["tenant"] = self.tenant
        if self.flaw == "expired":
            claims["exp"] = time() - 1
        key = b"y" * 32 if self.flaw == "forged" else SECRET
        made = sign({"alg": "HS256"}, claims, key=key).decode()
        return made[:-5] if self.flaw == "cut" else made

    def key(self) -> str:
        known = {"active": not self.flaw, "id": 1, "owner": self.id, "roles": self.roles, "scopes": self.scopes}
        return base64.urlsafe_b64encode(json.dumps(known).encode()).decode()


PEOPLE = st.lists(
    st.builds(
        Person,
        st.sampled_from(["me", "another"]),
        st.lists(st.sampled_from(["a", "b", "c", "staff", "other"]), min_size=1, max_size=3, unique=True),
        st.lists(st.sampled_from(["x", "y:z", "w"]), max_size=3, unique=True),
        st.sampled_from([None, "x", "y"]),
        st.sampled_from(["", "", "", "expired", "forged", "cut"]),
    ),
    min_size=1,
    max_size=4,
)


async def service(conversation: Conversation) -> None:
    """Tell about keys what they say themselves; answer anything else."""
    while True:
        head, _, body = (await conversation.request()).partition(b"\r\n\r\n")
        content = b"{}"
        if head.startswith(INTROSPECT):
            content = base64.urlsafe_b64decode(json.loads(body)["key"])
        lines = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        await conversation.say(lines % len(content) + content)


def build(url: str, routes: Sequence[tuple[Rule, str]]) -> Gateway:
    """Return a gateway with a route for each rule; its path parameter is what ``owner`` reads."""
    behind = Upstream("svc", [url])
    taken = methods(behind)
    app = Gateway(auth=TOKENS)
    for number, (rule, credentials) in enumerate(routes):
        app.forward(f"/{number}/{{who}}", upstream=behind, allow=rule, methods=["GET"], auth=taken[credentials])
    return app


def methods(behind: Upstream) -> dict[str, Methods]:
    keys = ApiKeys(behind)
    return {"token": Methods.of(TOKENS), "key": Methods.of(keys), "both": TOKENS | keys}


async def answer(gateway: Served, number: int, who: str, headers: dict[str, str]) -> str:
    """Return the status as the matrix puts it; a function that fails is an error of the gateway."""
    got = await gateway.client.get(f"/{number}/{who}", headers=headers)
    return {200: "allowed", 500: "failed"}.get(got.status_code, str(got.status_code))


def agrees(verdict: Verdict, real: str) -> bool:
    return real in ("allowed", "403", "failed") if verdict == "?" else verdict == real


Check = Callable[[Gateway, Served], Awaitable[None]]


async def with_gateway(routes: Sequence[tuple[Rule, str]], check: Check) -> None:
    async with ScriptedUpstream(service) as upstream:
        app = build(upstream.url, routes)
        async with serving(app) as gateway:
            await check(app, gateway)


@FEW
@given(ROUTES)
async def test_every_verdict_is_what_such_a_caller_gets(routes: list[tuple[Rule, str]]) -> None:
    async def check(app: Gateway, gateway: Served) -> None:
        found = matrix_of(app)
        judged = [row for row in found.rows if row.verdicts]
        assert len(judged) == len(routes)
        for number, row in enumerate(judged):
            for caller, verdict in zip(found.callers, row.verdicts, strict=True):
                if verdict == "-":
                    assert "who" in caller.owns
                    assert "who" not in routes[number][0].path_params
                    continue
                real = await answer(gateway, number, "me" if caller.owns else "another", _headers(caller))
                assert agrees(verdict, real), (row, caller.name, verdict, real)

    await with_gateway(routes, check)


def _headers(caller: Caller) -> dict[str, str]:
    person = Person("me", sorted(caller.roles) or ["unnamed"], sorted(caller.scopes))
    match caller.credential:
        case "none":
            return {}
        case "token":
            return {"authorization": f"Bearer {person.token()}"}
        case "key":
            person.roles = sorted(caller.roles)
            return {"x-api-key": person.key()}


@FEW
@given(ROUTES, PEOPLE)
@example([(as_rule(of_tenant), "token"), (role("a") | of_tenant, "both")], [Person(tenant="x"), Person(tenant="y")])
@example([(as_rule(is_me) & signed_in, "both"), (is_me | role("a"), "key")], [Person("me"), Person("another")])
@example([(wants_a_tenant | role("a"), "token"), (role("a") | wants_a_tenant, "both")], [Person(roles=["a"])])
async def test_any_caller_gets_what_the_matrix_would_say(routes: list[tuple[Rule, str]], people: list[Person]) -> None:
    async def check(app: Gateway, gateway: Served) -> None:
        taken = methods(Upstream("svc", ["http://127.0.0.1:9"]))
        for number, (rule, credentials) in enumerate(routes):
            for person in people:
                bearer = {"authorization": f"Bearer {person.token()}"}
                real = await answer(gateway, number, "me", bearer)
                assert agrees(_expected(rule, taken[credentials], person, "token"), real), (str(rule), person, real)
                if rule.public or credentials == "token":
                    continue
                real = await answer(gateway, number, "me", {"x-api-key": person.key()})
                assert agrees(_expected(rule, taken[credentials], person, "key"), real), (str(rule), person, real)

    await with_gateway(routes, check)


def _expected(rule: Rule, taken: Methods, person: Person, credential: Credential) -> Verdict:
    """Return what the matrix says: of a flawed credential, and of one that is not taken, that it is none."""
    if person.flaw or rule.public or route_verdict(signed_in, taken, Caller(credential)) == "401":
        return route_verdict(rule, taken, Caller("none"))
    principal = Principal(person.id, frozenset(person.roles), frozenset(person.scopes))
    return rule_verdict(rule, principal, {"who": "me"})
