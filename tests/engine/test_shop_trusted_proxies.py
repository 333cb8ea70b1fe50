"""The shop's gateway behind a proxy: with ``TRUST``, the client's address reaches the users service, which counts by it."""

import json

import pytest
from pydantic import SecretStr

from limen import Gateway
from limen.testing import ScriptedUpstream, saying
from serving import serving
from shop_gateway.settings import Settings
from shop_processes import SECRET

REFUSED = b"HTTP/1.1 401 Unauthorized\r\ncontent-type: application/problem+json\r\ncontent-length: 2\r\n\r\n{}"
LOGIN = json.dumps({"username": "johndoe", "password": "b"}).encode()


def build(url: str, trust: str, monkeypatch: pytest.MonkeyPatch) -> Gateway:
    """Return the gateway with its services at ``url``."""
    addresses = {f"{name}_service_url": url for name in ("users", "orders", "suppliers")}
    # The module builds the gateway of the environment where it is imported, which need not be the first time.
    for name, value in {"secret_key": SECRET, **addresses}.items():
        monkeypatch.setenv(name.upper(), value)
    from shop_gateway.app import create_app

    return create_app(Settings.model_validate({"secret_key": SecretStr(SECRET), "trust": trust, **addresses}))


@pytest.mark.parametrize(("trust", "client"), [("", b"127.0.0.1"), ("127.0.0.0/8", b"203.0.113.66, 127.0.0.1")])
async def test_a_login_is_counted_for_the_client_that_a_named_proxy_tells(
    trust: str, client: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        ScriptedUpstream(saying(REFUSED)) as upstream,
        serving(build(upstream.url, trust, monkeypatch)) as gateway,
    ):
        headers = {"content-type": "application/json", "x-forwarded-for": "203.0.113.66"}
        assert (await gateway.client.post("/api/login", content=LOGIN, headers=headers)).status_code == 401
    assert b"x-forwarded-for: " + client + b"\r\n" in upstream.requests[0]
