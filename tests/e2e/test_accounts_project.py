"""A fresh project with accounts: the two files of ``docs/accounts.md`` as processes, and what a client does through them."""

import os
import re
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest
from anyio import to_thread

from commands import running
from shop_processes import SECRET, free_ports

ROOT = Path(__file__).parents[2]
LOGIN = {"username": "root", "password": "a long secret"}
STARTED = "Application startup complete"


def files_of(page: Path) -> dict[str, str]:
    """Return the Python files that the page shows, by name."""
    return dict(re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL))


def run(folder: Path, env: Mapping[str, str], *argv: str) -> None:
    subprocess.run([sys.executable, "-m", *argv], cwd=folder, env=os.environ | env, check=True, timeout=50)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncGenerator[httpx2.AsyncClient]:
    """A client of the gateway, in front of the service."""
    for name, content in files_of(ROOT / "docs" / "accounts.md").items():
        (tmp_path / name).write_text(content)
    service_port, gateway_port = free_ports(2)
    url = f"http://127.0.0.1:{gateway_port}"
    service = {
        "IDENTITY_KEYS": f"{url}/.well-known/jwks.json",
        "ADMIN_USERNAME": LOGIN["username"],
        "ADMIN_PASSWORD": LOGIN["password"],
    }
    gateway = {"SECRET_KEY": SECRET, "USERS_SERVICE_URL": f"http://127.0.0.1:{service_port}"}
    await to_thread.run_sync(run, tmp_path, gateway, "limen", "keys", "new", "--directory", "identity-keys")
    await to_thread.run_sync(run, tmp_path, service, "limen_kit", "migrate", "service")
    async with (
        running(tmp_path, "serve", "gateway:app", "--port", str(gateway_port), **gateway) as first,
        running(tmp_path, "serve", "service:app", "--port", str(service_port), **service) as second,
        httpx2.AsyncClient(base_url=url, timeout=30, trust_env=False) as http,
    ):
        await first.says(STARTED)
        await second.says(STARTED)
        yield http


async def post(client: httpx2.AsyncClient, path: str, body: Mapping[str, Any], **headers: str) -> Any:
    response = await client.post(path, json=body, headers=headers)
    assert response.status_code in (200, 201), response.text
    return response.json()


async def code(client: httpx2.AsyncClient, **headers: str) -> str:
    """Return why ``GET /api/keys`` is refused, or nothing."""
    response = await client.get("/api/keys", headers={name.replace("_", "-"): value for name, value in headers.items()})
    return "" if response.status_code == 200 else response.json()["code"]


async def test_it_gives_login_refresh_logout_and_api_keys(client: httpx2.AsyncClient) -> None:
    first = await post(client, "/api/login", LOGIN)
    bearer = f"Bearer {first['access_token']}"
    assert await code(client, authorization=bearer) == ""
    key = await post(client, "/api/keys", {"name": "report", "scopes": ["orders:read"]}, authorization=bearer)
    assert await code(client, x_api_key=key["key"]) == ""
    assert await code(client, x_api_key="key_1_" + "a" * 43) == "api_key_invalid"

    second = await post(client, "/api/refresh", {"refresh_token": first["refresh_token"]})
    assert await code(client, authorization=f"Bearer {second['access_token']}") == ""
    assert await post(client, "/api/logout", {"refresh_token": second["refresh_token"]}) == {"ended": 1}
    # The session is over, and with it every access token of it.
    for pair in (first, second):
        assert await code(client, authorization=f"Bearer {pair['access_token']}") == "token_revoked"
        refused = await client.post("/api/refresh", json={"refresh_token": pair["refresh_token"]})
        assert (refused.status_code, refused.json()["code"]) == (401, "refresh_token_invalid")
    wrong = await client.post("/api/login", json=LOGIN | {"password": "wrong"})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "credentials_wrong")
    assert await code(client) == "token_missing"


async def test_a_reused_refresh_token_ends_the_session_at_the_gateway(client: httpx2.AsyncClient) -> None:
    first = await post(client, "/api/login", LOGIN)
    second = await post(client, "/api/refresh", {"refresh_token": first["refresh_token"]})
    stolen = await client.post("/api/refresh", json={"refresh_token": first["refresh_token"]})
    assert (stolen.status_code, "session-ended" in stolen.headers) == (401, False)
    assert await code(client, authorization=f"Bearer {second['access_token']}") == "token_revoked"


def test_the_service_is_about_ten_lines() -> None:
    lines = files_of(ROOT / "docs" / "accounts.md")["service.py"].splitlines()
    assert len([line for line in lines if line.strip()]) <= 10
    assert lines == files_of(ROOT / "accounts" / "README.md")["service.py"].splitlines()
