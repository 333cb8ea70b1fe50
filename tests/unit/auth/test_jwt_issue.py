"""Issued tokens: their claims, and what cannot be a claim."""

from datetime import timedelta
from typing import Any

import pytest

from limen.auth import issue as issue_now
from limen.auth.jwt import Jwt
from limen.auth.jwt_live import Verifier, issue
from limen.exchange.principal import Principal
from tokens import NOW, SECRET

CONFIG = Jwt(SECRET)


def read(token: str, config: Jwt = CONFIG, now: float = NOW) -> Principal:
    found = Verifier(config).verify(token.encode(), now)
    assert isinstance(found, Principal)
    return found


def test_every_token_has_a_name_of_its_own() -> None:
    made = [read(issue(CONFIG, 7, "admin", NOW)) for _ in range(50)]
    names = {str(each.claims["jti"]) for each in made}
    assert len(names) == 50
    assert all(len(name) == 22 for name in names)
    assert set(made[0].claims) == {"id", "user_type", "iat", "exp", "jti"}


def test_session_and_scopes() -> None:
    found = read(issue_now(CONFIG, "ann", "user", session="s1", scopes=("a:read", "b"), now=NOW))
    assert (found.id, found.roles, found.scopes) == ("ann", {"user"}, {"a:read", "b"})
    assert (found.claims["sid"], found.claims["scope"]) == ("s1", "a:read b")
    assert (found.claims["iat"], found.claims["exp"]) == (NOW, NOW + 900)


def test_claims_have_the_names_that_were_configured() -> None:
    config = Jwt(SECRET, id_claim="sub", role_claim="a.role", scope_claim="scp", issuer="me", audience="shop")
    found = read(issue(config, 7, "admin", NOW, scopes=["x"]), config)
    assert (found.id, found.roles, found.scopes) == ("7", {"admin"}, {"x"})
    assert {"sub", "a.role", "scp", "iss", "aud"} <= set(found.claims)


def test_times_are_whole_seconds() -> None:
    config = Jwt(SECRET, lifetime=timedelta(seconds=0.5))
    assert issue(config, 7, "admin", NOW + 0.9)
    found = read(issue(CONFIG, 7, "admin", NOW + 0.9), now=NOW + 1)
    assert (found.claims["iat"], found.claims["exp"]) == (NOW, NOW + 900)


@pytest.mark.parametrize(
    ("subject", "role", "options", "message"),
    [
        ("", "admin", {}, "subject is a number or printable"),
        ("a\nb", "admin", {}, "subject is a number or printable"),
        (True, "admin", {}, "subject is a number or printable"),
        (1 << 64, "admin", {}, "subject is a number or printable"),
        (None, "admin", {}, "subject is a number or printable"),
        (7, "", {}, "role printable"),
        (7, "a\r\nb", {}, "role printable"),
        (7, "admin", {"session": ""}, "a session must not be empty"),
        (7, "admin", {"scopes": ["a b"]}, "a scope is one word"),
        (7, "admin", {"scopes": ["a", ""]}, "a scope is one word"),
        (7, "admin", {"scopes": ["é"]}, "a scope is one word"),
    ],
)
def test_what_would_not_be_accepted_is_not_issued(subject: Any, role: str, options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        issue(CONFIG, subject, role, NOW, **options)
