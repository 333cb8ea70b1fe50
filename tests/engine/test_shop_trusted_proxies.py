"""The shop's gateway behind a proxy: with ``TRUST`` the client's address reaches the users service, which counts guesses by it."""

import json

import pytest
from pydantic import SecretStr

from limen.testing import ScriptedUpstream, saying
from serving import serving
from shop_gateway.app import create_app
from shop_gateway.settings import Settings
from tokens import SECRET

REFUSED = b"HTTP/1.1 401 Unauthorized\r\ncontent-type: application/problem+json\r\ncontent-length: 2\r\n\r\n{}"
LOGIN = json.dumps({"username": "johndoe", "password": "b"}).encode()


def settings(url: str, trust: str) -> Settings:
    return Settings.model_validate(
        {
            "secret_key": SecretStr(SECRET),
            "trust": trust,
            **{f"{name}_service_url": url for name in ("users", "orders", "suppliers")},
        }
    )


@pytest.mark.parametrize(("trust", "client"), [("", b"127.0.0.1"), ("127.0.0.0/8", b"203.0.113.66, 127.0.0.1")])
async def test_a_login_is_counted_for_the_client_that_a_named_proxy_tells(trust: str, client: bytes) -> None:
    async with (
        ScriptedUpstream(saying(REFUSED)) as upstream,
        serving(create_app(settings(upstream.url, trust))) as gateway,
    ):
        headers = {"content-type": "application/json", "x-forwarded-for": "203.0.113.66"}
        assert (await gateway.client.post("/api/login", content=LOGIN, headers=headers)).status_code == 401
    assert b"x-forwarded-for: " + client + b"\r\n" in upstream.requests[0]
