"""The recipes of docs/providers.md, each run against what its provider publishes and issues; and the page's table."""

import re
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import RSAKey
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from limen import IDENTITY, Gateway, Principal, Upstream, signed_in
from limen.auth import Issuer
from limen.auth.jose.claim_path import claim_at, path_text
from limen.testing import serving
from providers import CASES, ProviderCase

PAGE = Path(__file__).parents[4] / "docs" / "providers.md"
RECIPE = re.compile(r"^## ([^\n]+)\n(?:(?!^## ).)*?^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NONE = "\u2013"
RECIPES = dict(RECIPE.findall(PAGE.read_text(encoding="utf-8")))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the caller that the gateway has named."""
    request = Request(scope, receive)
    names = ("request-user-id", "request-user-role", "request-user-scopes")
    answer: Response = JSONResponse([request.headers.get(name, "") for name in names])
    await answer(scope, receive, send)


def declared(case: ProviderCase) -> dict[str, Any]:
    """Run the recipe of the page, and return its names."""
    names: dict[str, Any] = {}
    exec(RECIPES[case.name], names)
    assert isinstance(names["auth"], Issuer)
    return names


async def asked(case: ProviderCase, *tokens: str) -> list[Any]:
    """Return what a gateway with the recipe answers to each token: whom a service is told of, or the code of a refusal."""
    names = declared(case)
    app = Gateway(auth=names["auth"], identity={**IDENTITY, "request-user-scopes": _scopes})
    allow = names.get("allow", signed_in)
    app.forward("/{path:path}", upstream=Upstream("echo", ["http://echo"]), allow=allow)
    found: list[Any] = []
    async with serving(app, services={"echo": echo, **case.services()}) as client:
        for token in tokens:
            answer = await client.get("/me", headers={"authorization": f"Bearer {token}"})
            found.append(answer.json() if answer.status_code == 200 else answer.json()["code"])
    return found


@pytest.mark.anyio
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_the_recipe_of_a_provider_takes_its_tokens_and_no_others(case: ProviderCase) -> None:
    audience = next(name for name in ("aud", "client_id", "azp") if name in case.claims)
    good, *refused = await asked(
        case,
        case.token(),
        case.token(None, **{audience: "somebody-else"}),
        case.token(aud=None, client_id=None, azp=None),
        case.token(iss="https://evil.example"),
        case.token(exp=1),
        case.token(RSAKey.generate_key(2048)),
    )
    caller, roles, scopes = good
    assert (caller, ",".join(sorted(roles.split(","))), scopes) == (case.caller, case.roles, case.scopes)
    assert refused == [*["token_corrupted"] * 3, "token_expired", "token_corrupted"]


@pytest.mark.anyio
async def test_who_is_of_another_organisation_is_refused_where_the_recipe_says_so() -> None:
    cases = {case.name: case for case in CASES}
    google, entra = cases["Google"], cases["Entra ID"]
    assert await asked(google, google.token(hd="other.example"), google.token(hd=None)) == ["forbidden"] * 2
    other = str(entra.claims["iss"]).replace(str(entra.claims["tid"]), "other-tenant")
    assert await asked(entra, entra.token(iss=other, tid="other-tenant")) == ["token_corrupted"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_recipe_is_short(case: ProviderCase) -> None:
    # What has to be thought of: not the import, and not the bracket that closes.
    lines = [line for line in RECIPES[case.name].splitlines() if line not in ("", ")") and not line.startswith("from ")]
    assert len(lines) <= 10
    assert list(RECIPES) == [each.name for each in CASES]


def test_the_table_of_the_page_is_that_of_the_cases() -> None:
    head = "| provider | made for | id | roles | scopes | in the header | with a key |\n|---|---|---|---|---|---|---|\n"
    table = head + "".join(_row(case) for case in CASES)
    assert table in PAGE.read_text(encoding="utf-8"), f"docs/providers.md needs this table:\n{table}"


def _row(case: ProviderCase) -> str:
    auth: Issuer = declared(case)["auth"]
    audience = next(name for name in auth.audience_claims if name in case.claims)
    header = [f"`{name}`" for name in ("kid", *case.header) if name not in ("alg", "kid")]
    header = ["no `kid`"] * ("kid" not in case.header) + header
    key = [f"`{name}`" for name in case.jwk if name not in ("kid", "alg", "use")]
    key = [f"no `{name}`" for name in ("kid", "alg") if name not in case.jwk] + key
    cells = [
        case.name,
        _claim(case, audience),
        _claim(case, auth.id_claim),
        NONE if auth.role_claim is None else _claim(case, auth.role_claim),
        _claim(case, auth.scope_claim) if case.scopes else NONE,
        ", ".join(header) or NONE,
        ", ".join(key) or NONE,
    ]
    return f"| {' | '.join(cells)} |\n"


def _claim(case: ProviderCase, path: Any) -> str:
    value = claim_at(case.claims, path)
    form = "text" if isinstance(value, str) else "a list" if isinstance(value, list) else "an object"
    return f"`{path_text(path)}`, {form}"


def _scopes(caller: Principal) -> str:
    return " ".join(sorted(caller.scopes))
