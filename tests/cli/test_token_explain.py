"""``limen token explain``: what each method makes of a token, and that nothing secret is printed."""

import asyncio
import sys
from pathlib import Path
from time import time

import pytest
from click.testing import CliRunner

from limen.auth import Jwt, issue
from limen.cli.main import main
from oidc_process import ProviderProcess
from tokens import SECRET, b64, sign

OWN = Jwt(SECRET, issuer="me", audience="shop")
GATEWAY = """
from limen import Gateway, Upstream, role, signed_in
from limen.auth import ApiKeys, Issuer, Jwt

service = Upstream("svc", ["http://127.0.0.1:1"])
own = Jwt({secret!r}, issuer="me", audience="shop")
outside = Issuer({issuer!r}, name="idp", audience="shop", role_claim="shop_role", allow_http=True)
app = Gateway(auth=own)
app.forward("/a/{{path:path}}", upstream=service, allow=signed_in, auth=own | outside | ApiKeys(service))
"""


def explain(
    folder: Path, monkeypatch: pytest.MonkeyPatch, token: str | bytes, issuer: str = "http://127.0.0.1:9"
) -> tuple[int, str]:
    """Return the status and what is printed, for a gateway of this test's own."""
    name = f"explained_{folder.name.replace('-', '_')}"
    (folder / f"{name}.py").write_text(GATEWAY.format(secret=SECRET.decode(), issuer=issuer))
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    result = CliRunner().invoke(main, ["token", "explain", f"{name}:app"], input=token)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    return result.exit_code, result.output


def test_a_good_token_is_taken_and_its_caller_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token = issue(OWN, 7, "admin", scopes=["a:b"])
    status, said = explain(tmp_path, monkeypatch, f"Bearer {token}\n")
    assert status == 0
    assert "Jwt(issuer='me', audience='shop'): taken, as caller '7'; roles: admin; scopes: a:b\n" in said
    assert "Issuer idp (http://127.0.0.1:9): refused, token_corrupted: its algorithm is not one of algorithms=" in said
    assert "ApiKeys: not asked" in said
    assert "header  alg 'HS256', typ 'JWT'" in said
    assert "iss 'me', aud 'shop', iat " in said
    assert "and 'id', 'user_type', 'jti', 'scope'" in said
    for secret in (token.split(".")[2], SECRET.decode(), token.split(".")[1]):
        assert secret not in said


@pytest.mark.parametrize(
    ("claims", "cause"),
    [
        ({"aud": "other"}, "token_corrupted: it is made for another audience (aud)"),
        ({"aud": None}, "token_corrupted: it does not say for whom it is made (aud)"),
        ({"iss": "you"}, "token_corrupted: it is of another issuer (iss)"),
        ({"exp": 5}, "token_expired: Auth token is expired."),
        ({"exp": None}, "token_corrupted: it has no end that is a time in seconds (exp)"),
        ({"id": None, "sub": "ann"}, "the claim id (id_claim=) holds no id of a caller; the token has sub"),
        (
            {"user_type": None, "roles": ["a"]},
            "the claim user_type (role_claim=) holds no role; the token has roles",
        ),
    ],
    ids=repr,
)
def test_a_refusal_says_which_rule_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, claims: dict[str, object], cause: str
) -> None:
    good = {"iss": "me", "aud": "shop", "id": "private-name", "user_type": "a", "exp": int(time()) + 60}
    said = {name: value for name, value in (good | claims).items() if value is not None}
    status, printed = explain(tmp_path, monkeypatch, sign({"alg": "HS256"}, said))
    assert status == 1
    assert cause in printed
    assert "private-name" not in printed


def test_a_token_is_no_way_to_the_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = sign(
        {"alg": "\x1b[2J", "\x1b[31m": 1}, {"iss": "\r\n\x1b]0;x\x07", "exp": 1e300, "\x1b": 1, "aud": [[["a"]]]}
    )
    status, said = explain(tmp_path, monkeypatch, hostile)
    assert status == 1
    assert "\x1b" not in said
    assert "\r" not in said


@pytest.mark.parametrize("token", ["x", "a.b.c", "..", b64(b"[1]").decode() + ".e30.x", "\xff" * 9, "x" * 70_000])
def test_what_is_no_token_is_said_to_be_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    status, said = explain(tmp_path, monkeypatch, token)
    assert status == 1
    assert "bytes, which are no JWT" in said
    assert token not in said or len(token) < 6


def test_nothing_to_explain_is_an_error_that_says_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    status, said = explain(tmp_path, monkeypatch, "\n")
    assert status == 1
    assert "there is no token: give it on standard input" in said


def test_a_token_of_a_provider_is_verified_with_the_keys_that_it_publishes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = ProviderProcess([], None)
    provider.start()
    try:
        token = asyncio.run(provider.token("ann", claims={"shop_role": "admin"}))
        status, said = explain(tmp_path, monkeypatch, token, provider.url)
        assert (status, "taken, as caller 'idp:ann'; roles: admin; scopes: none" in said) == (0, True), said
    finally:
        provider.kill()
    status, said = explain(tmp_path, monkeypatch, token, provider.url)
    assert status == 1
    assert "refused, identity_unavailable: issuer idp: " in said
