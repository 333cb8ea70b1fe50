"""Why a token is refused: its line of the access log says it, and the client is told no more than before."""

import logging
from time import time

import pytest

from limen import Gateway, Upstream, signed_in
from limen.auth import Issuer, Jwt
from serving import serving
from tokens import SECRET, sign

OWN = Jwt(SECRET, issuer="me", audience="shop")
ANY_ISSUER = Jwt(b"another-secret-of-32-bytes-or-more")
OUTSIDE = Issuer("https://idp.example", audience="shop")
HERE = {"iss": "me", "aud": "shop", "id": "private-name", "user_type": "boss", "exp": time() + 600}


@pytest.mark.parametrize(
    ("auth", "header", "claims", "cause"),
    [
        (OWN, {}, {"aud": "other"}, "it is made for another audience (aud)"),
        (OWN, {"kid": "private-kid"}, {"id": None, "sub": "x"}, "the claim id (id_claim=) holds no id of a caller"),
        (OWN, {"jku": "https://evil.example"}, {}, "its header has names that this gateway never writes"),
        (ANY_ISSUER, {}, {}, "its signature is not of the key in use"),
        (ANY_ISSUER | OUTSIDE, {}, {"iss": "https://idp.example"}, "; by another method: its algorithm is not one of"),
        (OWN | OUTSIDE, {}, {"iss": "https://elsewhere.example"}, "no method of this route takes tokens of its issuer"),
    ],
)
async def test_the_access_log_says_which_rule_refused_a_token_and_nothing_of_it(
    caplog: pytest.LogCaptureFixture,
    auth: Jwt,
    header: dict[str, object],
    claims: dict[str, object],
    cause: str,
) -> None:
    app = Gateway(auth=auth)
    app.forward("/{path:path}", upstream=Upstream("svc", ["http://127.0.0.1:1"]), allow=signed_in)
    said = {name: value for name, value in (HERE | claims).items() if value is not None}
    token = sign({"alg": "HS256"} | header, said).decode()
    with caplog.at_level(logging.INFO):
        async with serving(app) as served:
            answer = await served.client.get("/x", headers={"authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["detail"]) == (401, "Auth token is corrupted.")
    line = next(line for line in caplog.messages if "code=token_corrupted" in line)
    assert cause in line
    for secret in ("private-name", "private-kid", "boss", "evil", "elsewhere", *token.split(".")):
        assert secret not in caplog.text
        assert secret not in answer.text
