"""Endpoints of the application's own in the document: who may call those that have a rule."""

from typing import Any

from openapi_spec_validator import validate

from limen import Gateway, Principal, Router, Upstream, anyone, role
from limen.auth import Jwt
from tokens import SECRET


def test_an_endpoint_with_a_rule_says_who_may_call() -> None:
    app = Gateway(title="T", version="1", auth=Jwt(SECRET))

    @app.get("/dashboard/{day:int}", allow=role("admin"))
    def dashboard(day: int, caller: Principal) -> str:
        """Show it."""
        return f"{day} {caller.id}"

    @app.get("/open")
    def opened() -> str:
        """Be open."""
        return ""

    del dashboard, opened
    document: Any = app.openapi()
    validate(document)
    paths = document["paths"]
    said, bare = paths["/dashboard/{day}"]["get"], paths["/open"]["get"]
    assert said["description"] == "Show it.\n\n**Who may call:** callers with the role `admin`, with a bearer token."
    assert (said["x-limen-allow"], said["security"]) == ("role(admin)", [{"bearer": []}])
    assert {"200", "401", "403", "422"} <= set(said["responses"])
    assert [parameter["name"] for parameter in said["parameters"]] == ["day"]
    assert "security" not in bare
    assert bare["description"] == "Be open."
    assert list(document["components"]["securitySchemes"]) == ["bearer"]


def test_a_forward_is_documented_as_its_routers_say() -> None:
    service = Upstream("svc", ["http://127.0.0.1:9"])
    shown, hidden = Router(prefix="/shown", tags=["shown"]), Router(prefix="/hidden", include_in_schema=False)
    for router in (shown, hidden):
        router.forward("/{path:path}", upstream=service, allow=anyone, methods=["GET"], tags=["own"])
    app = Gateway(title="T", version="1")
    app.include_router(shown, prefix="/api", tags=["included"])
    app.include_router(shown, prefix="/quiet", include_in_schema=False)
    app.include_router(hidden)
    for _ in range(2):
        document: Any = app.openapi()
        assert list(document["paths"]) == ["/api/shown/{path}"]
        assert document["paths"]["/api/shown/{path}"]["get"]["tags"] == ["included", "shown", "own"]
        app.forward("/late", upstream=service, allow=anyone, include_in_schema=False)
