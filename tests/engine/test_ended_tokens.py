"""Tokens that ended before their time, and the keys that are published, on both engines."""

from pathlib import Path
from time import time
from typing import Any

from joserfc import jwt
from joserfc.jwk import KeySet

from limen import Gateway, Upstream, signed_in
from limen.auth import Jwt, Keys, Revocations, issue
from limen.testing import ScriptedUpstream, saying
from serving import Served, serving
from tokens import SECRET, pair

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
AUTH = Jwt(SECRET)


def build(url: str, auth: Jwt = AUTH, **options: Any) -> Gateway:
    app = Gateway(auth=auth, **options)
    app.forward("/svc/{path:path}", upstream=Upstream("svc", [url]), allow=signed_in)
    return app


async def code(gateway: Served, token: str) -> str:
    got = await gateway.client.get("/svc/x", headers={"authorization": f"Bearer {token}"})
    if got.status_code == 401:
        assert got.headers["www-authenticate"].startswith('Bearer error="invalid_token"')
    return "" if got.status_code == 200 else got.json()["code"]


async def test_what_ends_a_session_ends_its_tokens_at_once_and_no_others() -> None:
    revocations = Revocations()
    until = AUTH.outlived(time())
    async with (
        ScriptedUpstream(saying(*[OK] * 20)) as service,
        serving(build(service.url, revocations=revocations)) as gateway,
    ):
        one, same, other = (issue(AUTH, 7, "admin", session=session) for session in ("a", "a", "b"))
        for token in (one, same, other):
            assert await code(gateway, token) == ""
        revocations.end_session("a", until)
        assert [await code(gateway, token) for token in (one, same, other)] == ["token_revoked", "token_revoked", ""]
        assert await code(gateway, issue(AUTH, 7, "admin", session="a")) == "token_revoked"
        revocations.end_subject("7", time() + 1, until)
        assert await code(gateway, other) == "token_revoked"
        assert await code(gateway, issue(AUTH, 8, "admin")) == ""


async def test_public_keys_are_published_and_verify_what_was_issued(tmp_path: Path) -> None:
    private, _ = pair("ES256")
    (tmp_path / "key.pem").write_bytes(private)
    (tmp_path / "key.pem").chmod(0o600)
    auth = Jwt(keys=Keys.file(tmp_path / "key.pem"))
    async with ScriptedUpstream(saying(OK)) as service, serving(build(service.url, auth)) as gateway:
        token = issue(auth, 7, "admin")
        assert await code(gateway, token) == ""
        got = await gateway.client.get("/.well-known/jwks.json")
        assert got.headers["content-type"] == "application/jwk-set+json"
        assert got.headers["cache-control"] == "public, max-age=300"
        (key,) = got.json()["keys"]
        assert "d" not in key
        assert jwt.decode(token, KeySet.import_key_set(got.json()), algorithms=["ES256"]).claims["id"] == 7


async def test_shared_secrets_are_not_published_and_nobody_need_publish() -> None:
    private, _ = pair("ES256")
    for app in (build("http://127.0.0.1:9"), build("http://127.0.0.1:9", Jwt(private, ["ES256"]), jwks_path=None)):
        async with serving(app) as gateway:
            assert (await gateway.client.get("/.well-known/jwks.json")).status_code == 404
