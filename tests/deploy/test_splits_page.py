"""docs/splits-and-fallbacks.md: its gateway does what the page says of it."""

import re
from pathlib import Path

import pytest

from limen import Gateway
from limen.checks.run import run
from limen.runtime.fallback import FALLS_BACK
from limen.testing import Fleet, ScriptedTarget, answer, as_caller, refusing, saying, serving, statuses
from tokens import SECRET

PAGE = (Path(__file__).parents[2] / "docs" / "splits-and-fallbacks.md").read_text()


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Gateway:
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    monkeypatch.setenv("SECRET_KEY", SECRET.decode())
    space: dict[str, object] = {"__name__": "gateway"}
    exec(compile(code, "gateway.py", "exec"), space)
    made = space["app"]
    assert isinstance(made, Gateway)
    return made


def test_it_compiles_and_is_sound(app: Gateway) -> None:
    assert run(app) == []
    shown = {info.path: info.upstream for info in app.describe()}
    split = "orders | orders-next (role(staff), 5%)"
    assert shown == {
        "/api/orders/open": f"{split}, else 200",
        "/api/orders/{number}": f"{split}, else archive",
        "/api/orders": f"{split}, else orders",
        "/beta/{path:path}": "orders | orders-next (x-canary: yes)",
    }
    assert split in PAGE
    parameters = app.openapi()["paths"]["/api/orders"]["post"]["parameters"]
    assert [one["name"] for one in parameters] == ["Idempotency-Key"]
    assert "parameters" not in app.openapi()["paths"]["/api/orders/open"]["get"]


def test_it_names_every_fault_that_a_fallback_answers_for() -> None:
    listed = PAGE.partition("with a fault of the service:")[2].partition(";")[0]
    assert set(re.findall(r"`(\w+)`", listed)) == {kind.code for kind in FALLS_BACK}


async def test_its_routes_answer_as_it_says(app: Gateway) -> None:
    fleet, following, archive = Fleet(2, "orders"), ScriptedTarget(), ScriptedTarget()
    for target in fleet:
        target.behave(saying(answer({"by": "orders"})))
    following.behave(saying(answer({"by": "next"})))
    archive.behave(saying(answer({"by": "archive"})))
    services = {**fleet.services, "http://orders-next:8000": following, "http://archive:8000": archive}
    staff = dict(as_caller(app, 1, "staff"))
    async with serving(app, services=services) as client:
        assert (await client.get("/api/orders/1", headers=staff)).json() == {"by": "next"}
        beta = {**as_caller(app, 2), "x-canary": "yes"}
        assert (await client.get("/beta/x", headers=beta)).json() == {"by": "next"}
        assert (await client.get("/beta/x", headers=as_caller(app, 2))).json() == {"by": "orders"}
        following.behave(*statuses(503))
        assert (await client.get("/api/orders/1", headers=staff)).json() == {"by": "archive"}
        stale = await client.get("/api/orders/open", headers=staff)
        assert stale.json() == {"orders": [], "complete": False}
        assert stale.headers["proxy-status"] == "limen; received-status=503"
        assert (await client.post("/api/orders", json={"a": 1}, headers=staff)).status_code == 503
        with_key = {**staff, "idempotency-key": "1"}
        assert (await client.post("/api/orders", json={"a": 1}, headers=with_key)).json() == {"by": "orders"}
        following.behave(refusing)
        assert (await client.post("/api/orders", json={"a": 1}, headers=staff)).json() == {"by": "orders"}
