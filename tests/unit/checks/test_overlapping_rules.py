"""Rules that a lenient service is led round: what is reported, and what is not."""

from typing import Any

import pytest
from fastapi import Depends, Response

from limen import Gateway, Principal, Split, Upstream, anyone, owner, role, scope, signed_in
from limen.auth import ApiKeys, Jwt
from limen.auth.rules import Rule
from limen.checks import overlapping_rules
from limen.checks.finding import Finding, Kind
from limen.checks.run import run
from limen.checks.subject import Subject
from tokens import SECRET

SERVICE = Upstream("up", ["http://127.0.0.1:9"])
JWT = Jwt(SECRET)


def gateway() -> Gateway:
    return Gateway(auth=JWT)


def report(app: Gateway, path: str, allow: Rule, **options: Any) -> None:
    """Declare a stub at ``path`` whose parameters are texts."""

    def stub() -> Response: ...

    app.get(path, upstream=options.pop("upstream", SERVICE), allow=allow, **options)(stub)


def check(app: Gateway) -> list[Finding]:
    return list(overlapping_rules.check(Subject(app)))


def examples(app: Gateway) -> dict[str, str]:
    (finding,) = check(app)
    return dict(finding.examples)


def test_a_catch_all_takes_other_spellings_of_a_stub() -> None:
    app = gateway()
    report(app, "/api/admin/report", role("admin"))
    app.forward("/api/{path:path}", upstream=SERVICE, allow=anyone)
    (finding,) = check(app)
    assert finding.kind is Kind.OVERLAPPING_RULES
    assert str(finding.place) == "GET /api/admin/report"
    assert "/api/{path:path} (allow=anyone)" in finding.message
    assert dict(finding.examples) == {
        "GET /api/admin/report/": "if it ignores a final slash",
        "GET /api/Admin/report": "if it ignores case",
        "GET /api/admin/report.json": "if it takes a suffix for a format",
        "POST /api/admin/report": "if it answers POST as GET",
    }


def test_the_requests_that_the_gateway_refuses_are_not_shown() -> None:
    """%2F between two segments, ;parameters and another encoding read as the stub's own path, and the table says so."""
    app = gateway()
    report(app, "/api/admin", role("admin"))
    app.forward("/api/{name}", upstream=SERVICE, allow=anyone, methods=["GET"])
    assert not any("%" in request or ";" in request for request in examples(app))


def test_the_path_without_its_final_slash_is_another_one() -> None:
    app = gateway()
    app.forward("/api/admin/{path:path}", upstream=SERVICE, allow=role("admin"), methods=["GET"])
    app.forward("/api/{path:path}", upstream=SERVICE, allow=signed_in, methods=["GET"])
    shown = examples(app)
    assert shown["GET /api/admin"] == "if it ignores a final slash"


@pytest.mark.parametrize(
    ("strict", "lax", "reported"),
    [
        (role("admin"), anyone, True),
        (role("admin"), signed_in, True),
        (role("admin"), role("admin", "staff"), True),
        (role("admin"), role("admin") | scope("x"), True),
        (role("admin", "staff"), role("staff"), False),
        (role("admin"), role("admin"), False),
        (role("admin"), role("admin") & scope("x"), False),
        (signed_in, role("admin"), False),
        (anyone, role("admin"), False),
        (role("a") & role("b"), role("a"), True),
    ],
)
def test_only_a_rule_that_admits_more_is_reported(strict: Rule, lax: Rule, reported: bool) -> None:
    app = gateway()
    report(app, "/api/one", strict)
    app.forward("/api/{path:path}", upstream=SERVICE, allow=lax, methods=["GET"])
    assert bool(check(app)) is reported


def of_tenant(principal: Principal) -> bool:
    return principal.claims.get("tenant") == "x"


def of_another(principal: Principal) -> bool:
    return principal.claims.get("tenant") == "y"


def test_functions_are_compared_by_what_they_are() -> None:
    def reported(strict: Any, lax: Any) -> bool:
        app = gateway()
        report(app, "/api/one", strict)
        app.forward("/api/{path:path}", upstream=SERVICE, allow=lax, methods=["GET"])
        return bool(check(app))

    assert not reported(of_tenant, of_tenant)
    assert not reported(of_tenant, role("admin") & of_tenant)  # pyright: ignore[reportArgumentType, reportOperatorIssue]
    assert reported(of_tenant, of_another)
    assert reported(role("admin"), of_tenant)
    assert reported(of_tenant, signed_in)


def test_owners_are_compared_by_the_value_of_their_parameter() -> None:
    app = gateway()

    @app.get("/users/{user_id}/cart", upstream=SERVICE, allow=owner("user_id"))
    def cart(user_id: int) -> Response: ...

    app.forward("/users/{id}/{path:path}", upstream=SERVICE, allow=owner("id"), methods=["GET"])
    assert check(app) == []
    app.forward("/users/{id}/", upstream=SERVICE, allow=owner("id") | role("admin"), methods=["GET"])
    assert check(app) == []
    app.forward("/users/{id}/cart/", upstream=SERVICE, allow=owner("id") | role("admin"), methods=["GET"])
    assert examples(app) == {"GET /users/1/cart/": "if it ignores a final slash"}


def test_other_credentials_admit_others() -> None:
    app = gateway()
    report(app, "/api/one", scope("x"))
    keys = ApiKeys(Upstream("keys", ["http://127.0.0.1:8"]))
    app.forward("/api/{path:path}", upstream=SERVICE, allow=scope("x"), auth=JWT | keys, methods=["GET"])
    assert len(check(app)) == 1


def test_another_service_is_not_confused() -> None:
    app = gateway()
    report(app, "/api/admin", role("admin"))
    other = Upstream("other", ["http://127.0.0.1:10"])
    app.forward("/api/{path:path}", upstream=other, allow=anyone)
    assert check(app) == []


def test_upstreams_with_a_common_target_are_one_service() -> None:
    app = gateway()
    report(app, "/api/admin", role("admin"))
    other = Upstream("other", ["http://127.0.0.1:10", "http://127.0.0.1:9"])
    app.forward("/api/{path:path}", upstream=other, allow=anyone)
    assert len(check(app)) == 1


def test_what_the_contract_of_the_other_route_refuses_is_no_way_round() -> None:
    def gateway_with(kind: type) -> Gateway:
        app = gateway()
        report(app, "/users/me", role("admin"))

        def user(user_id: Any) -> Response: ...

        user.__annotations__["user_id"] = kind
        app.get("/users/{user_id}", upstream=SERVICE, allow=signed_in)(user)
        return app

    assert check(gateway_with(int)) == []
    assert "GET /users/Me" in examples(gateway_with(str))


def test_methods_that_are_declared_for_one_path_are_told_apart() -> None:
    app = gateway()
    report(app, "/items", anyone)
    app.forward("/items", upstream=SERVICE, allow=role("admin"), methods=["POST"])
    app.forward("/{name}", upstream=SERVICE, allow=role("admin"), methods=["DELETE"])
    assert check(app) == []


def test_a_preflight_for_anyone_is_no_way_round() -> None:
    app = gateway()
    report(app, "/api/one", role("admin"))
    app.forward("/api/{path:path}", upstream=SERVICE, allow=anyone, methods=["OPTIONS"])
    assert check(app) == []


# --- rewrite ---


def test_paths_are_compared_at_the_service() -> None:
    app = gateway()
    report(app, "/admin/report", role("admin"), rewrite="/internal/report")
    app.forward("/admin/{path:path}", upstream=SERVICE, allow=anyone, rewrite="/public/{path}", methods=["GET"])
    assert check(app) == []


def test_another_way_to_the_same_path_is_found() -> None:
    app = gateway()
    report(app, "/admin/report", role("admin"), rewrite="/internal/report")
    app.forward("/open/{path:path}", upstream=SERVICE, allow=anyone, rewrite="/internal/{path}", methods=["GET"])
    (finding,) = check(app)
    assert finding.kind is Kind.BYPASSED_RULE
    assert finding.examples == (("GET /open/report", ""),)


def test_a_rewrite_may_lead_to_another_spelling() -> None:
    app = gateway()
    report(app, "/admin/report", role("admin"))
    app.forward("/open/{path:path}", upstream=SERVICE, allow=anyone, rewrite="/Admin/{path}", methods=["GET"])
    assert examples(app)["GET /open/report"] == "if it ignores case"


def test_a_rewrite_may_use_a_parameter_twice_or_not_at_all() -> None:
    app = gateway()

    @app.get("/admin/{name}/x", upstream=SERVICE, allow=role("admin"), rewrite="/a/{name}/{name}")
    def twice(name: str) -> Response: ...

    @app.get("/open/{name}/{other}", upstream=SERVICE, allow=anyone, rewrite="/a/{name}/{name}/")
    def none(name: str, other: str) -> Response: ...

    assert examples(app) == {"GET /open/1/1": "if it ignores a final slash"}


# --- the cost ---


def test_each_route_costs_the_same_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(count: int) -> float:
        app = gateway()
        for number in range(count):
            report(app, f"/api/r{number}/one", role(f"r{number}"))
        app.forward("/api/{path:path}", upstream=SERVICE, allow=anyone)
        questions = 0
        route_of = Subject.route_of

        def counted(self: Subject, method: str, path: str) -> Any:
            nonlocal questions
            questions += 1
            return route_of(self, method, path)

        with monkeypatch.context() as patch:
            patch.setattr(Subject, "route_of", counted)
            assert len(check(app)) == count
        return questions / count

    assert asked(80) <= asked(20) < 100


def test_a_guard_that_is_walked_round_is_reported() -> None:
    """Dependencies refuse as rules do."""

    def only_admins() -> None: ...

    app = Gateway()
    service = Upstream("svc", ["http://127.0.0.1:9"])
    app.forward("/admin", upstream=service, allow=anyone, methods=["GET"], dependencies=[Depends(only_admins)])
    app.forward("/{path:path}", upstream=service, allow=anyone, methods=["GET"])
    (finding,) = run(app)
    assert finding.kind is Kind.OVERLAPPING_RULES
    assert "allow=anyone with only_admins is not asked" in finding.message


def test_every_service_of_a_route_counts() -> None:
    """A canary and a fallback answer the same requests as the upstream: a laxer route of theirs leads round the rule too."""
    canary, backup = Upstream("next", ["http://127.0.0.1:10"]), Upstream("backup", ["http://127.0.0.1:11"])
    for other in (canary, backup):
        app = gateway()
        report(app, "/report", role("admin"), upstream=Split(SERVICE, canary, share=0.1), fallback=backup)
        app.forward("/all/{path:path}", upstream=other, allow=anyone, rewrite="/{path}")
        (finding,) = check(app)
        assert finding.kind is Kind.BYPASSED_RULE
