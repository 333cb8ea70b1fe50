"""Revoked tokens, and the public keys that are published, on both engines."""

from pathlib import Path
from time import time
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from engines import ONE_ENGINE
from limen import DeclarationError, Gateway, Upstream, anyone, signed_in
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


async def test_the_end_of_a_session_ends_its_tokens_and_no_others() -> None:
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


async def test_shared_secrets_are_not_published_and_publishing_is_optional() -> None:
    private, _ = pair("ES256")
    for app in (build("http://127.0.0.1:9"), build("http://127.0.0.1:9", Jwt(private, ["ES256"]), jwks_path=None)):
        async with serving(app) as gateway:
            assert (await gateway.client.get("/.well-known/jwks.json")).status_code == 404


ANSWERS = {
    "a success": (b"HTTP/1.1 200 OK\r\nsession-ended: a,b\r\ncontent-length: 2\r\n\r\nok", 200),
    "no content": (b"HTTP/1.1 204 No Content\r\nsession-ended: a, b\r\n\r\n", 204),
    "a refusal": (b"HTTP/1.1 401 No\r\nsession-ended: a\r\nSession-Ended: b\r\ncontent-length: 2\r\n\r\nno", 401),
    "nonsense beside it": (b"HTTP/1.1 200 OK\r\nsession-ended: a,,b, c d,\xff\r\ncontent-length: 2\r\n\r\nok", 200),
}


@pytest.mark.parametrize("case", ANSWERS)
async def test_a_service_names_sessions_that_are_over_and_the_client_does_not_see_it(case: str) -> None:
    answer, status = ANSWERS[case]
    async with ScriptedUpstream(saying(OK, answer, OK)) as service:
        upstream = Upstream("svc", [service.url])
        app = build(service.url, revocations=Revocations())

        @app.post("/out", upstream=upstream, allow=anyone, session_ended_header="Session-Ended")
        def out() -> None: ...

        del out
        async with serving(app) as gateway:
            one, two, other = (issue(AUTH, 7, "admin", session=session) for session in ("a", "b", "c"))
            assert await code(gateway, one) == ""
            got = await gateway.client.post("/out")
            assert got.status_code == status
            assert "session-ended" not in got.headers
            assert [await code(gateway, token) for token in (one, two, other)] == ["token_revoked", "token_revoked", ""]


async def test_a_checked_answer_may_name_ended_sessions_too() -> None:
    answer = b'HTTP/1.1 200 OK\r\nsession-ended: a\r\ncontent-length: 11\r\n\r\n{"ended":1}'
    async with ScriptedUpstream(saying(answer)) as service:
        app = build(service.url, revocations=Revocations())

        @app.post("/out", upstream=Upstream("svc", [service.url]), allow=anyone, session_ended_header="session-ended")
        def out() -> dict[str, int]: ...

        del out
        async with serving(app) as gateway:
            got = await gateway.client.post("/out")
            assert (got.json(), "session-ended" in got.headers) == ({"ended": 1}, False)
            assert await code(gateway, issue(AUTH, 7, "admin", session="a")) == "token_revoked"


async def test_a_store_that_fails_is_in_the_log_and_the_answer_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Revocations):
        def end_session(self, session: str, until: float) -> None:
            raise OSError("the store is gone")

    answer = b"HTTP/1.1 200 OK\r\nsession-ended: a\r\ncontent-length: 2\r\n\r\nok"
    async with ScriptedUpstream(saying(answer)) as service:
        app = build(service.url, revocations=Broken())

        @app.post("/out", upstream=Upstream("svc", [service.url]), allow=anyone, session_ended_header="session-ended")
        def out() -> None: ...

        del out
        async with serving(app) as gateway:
            assert (await gateway.client.post("/out")).text == "ok"
    assert "a session could not be ended" in caplog.text


@ONE_ENGINE
@pytest.mark.parametrize(
    ("options", "ends", "message"),
    [
        ({"auth": AUTH}, "session-ended", r"session_ended_header='session-ended' ends tokens; give the gateway"),
        (
            {"revocations": Revocations()},
            "session-ended",
            r"session_ended_header='session-ended' ends tokens; give the gateway",
        ),
        ({"auth": AUTH, "revocations": Revocations()}, "a b", r"session_ended_header='a b' is no name of a header"),
    ],
)
def test_a_declaration_that_could_end_no_session_is_refused(options: dict[str, Any], ends: str, message: str) -> None:
    app = Gateway(**options)

    @app.post("/out", upstream=Upstream("svc", ["http://127.0.0.1:1"]), allow=anyone, session_ended_header=ends)
    def out() -> None: ...

    del out
    with pytest.raises(DeclarationError, match=message):
        app.compile()
