"""The demonstration, word for word, on what ``make up`` starts."""

import asyncio
import re
import signal
import sys
from pathlib import Path

import httpx2
import pytest

from shop_processes import free_ports

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(120)
async def test_the_demonstration(tmp_path: Path) -> None:
    ports = dict(zip(("users", "orders", "suppliers", "gateway"), free_ports(4), strict=True))
    options = [word for name, port in ports.items() for word in ("--port", f"{name}={port}")]
    up = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "limen", "up", "--file", str(ROOT / "limen.toml"), "--data", str(tmp_path / "data")),
        *options,
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert up.stdout is not None
    said = ""
    try:
        while "Ctrl-C stops everything" not in said:
            line = await up.stdout.readline()
            assert line, said
            said += line.decode()
        assert f"http://127.0.0.1:{ports['gateway']}" in said
        assert "admin / a" in said
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{ports['gateway']}", trust_env=False) as client:
            # Obtain an admin token.
            login = await client.post("/api/login", json={"username": "admin", "password": "a"})
            assert login.status_code == 201
            assert login.json()["token_type"] == "bearer"
            # Create a supplier with it.
            headers = {"authorization": f"Bearer {login.json()['access_token']}"}
            form = {"name": "Ada", "surname": "Lovelace", "address": "12 St James's Square"}
            created = await client.post("/api/suppliers", json=form, headers=headers)
            assert created.status_code == 201
            assert created.headers["location"] == "/api/suppliers/1"
            # Try to create another without a token and get the authentication error.
            refused = await client.post("/api/suppliers", json=form | {"name": "Charles"})
            assert (refused.status_code, refused.json()["detail"]) == (401, "Auth token is missing in headers.")
            assert refused.headers["www-authenticate"] == "Bearer"
            # List suppliers without a token and see the first one.
            listed = await client.get("/api/suppliers")
            assert listed.status_code == 200
            assert listed.json() == [created.json()]
            assert listed.json()[0] | form | {"created_by": 1} == listed.json()[0]
    finally:
        up.send_signal(signal.SIGINT)
        rest = (await up.stdout.read()).decode()
        assert await up.wait() == 0, rest
    secret = (tmp_path / "SECRET_KEY").read_text().strip()
    assert secret not in said + rest
    assert login.json()["access_token"] not in said + rest
    assert not re.search(r"Traceback|ERROR", said + rest), said + rest
