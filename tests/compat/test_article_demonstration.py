"""The demonstration of the article, word for word, on each engine and with the functions of either side."""

import pytest

import serving
from article_gateway import Project, running
from engines import ENGINES, Engine

SUPPLIER = {"name": "Ada", "surname": "Lovelace", "address": "12 St James Square, London"}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("own", [True, False], ids=["own functions", "limen's"])
async def test_the_demonstration(project: Project, monkeypatch: pytest.MonkeyPatch, engine: Engine, own: bool) -> None:
    monkeypatch.setattr(serving, "ENGINE", engine)
    async with running(project, own=own) as article:
        client = article.client
        # Obtain an admin token from /api/login.
        login = await client.post("/api/login", json={"username": "admin", "password": "a"})
        assert login.status_code == 201
        assert set(login.json()) == {"access_token", "token_type"}
        assert login.json()["token_type"] == "bearer"
        bearer = {"authorization": f"Bearer {login.json()['access_token']}"}
        # Create a supplier with it.
        created = await client.post("/api/suppliers", json=SUPPLIER, headers=bearer)
        assert created.status_code == 200
        assert created.json() | SUPPLIER | {"id": 1, "created_by": 1} == created.json()
        # Try to create another without a token, and get the authentication error.
        refused = await client.post("/api/suppliers", json=SUPPLIER | {"name": "Charles"})
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        assert refused.json()["detail"] == "Auth token is missing in headers."
        # List suppliers without a token, and see the first one.
        listed = await client.get("/api/suppliers")
        assert (listed.status_code, listed.json()) == (200, [created.json()])
