"""The cache of verified tokens: bounded, and never longer than a token lives."""

import pytest

from limen.auth.jwt import Jwt
from limen.auth.jwt_live import Verifier
from limen.errors import Fault, Kind
from limen.exchange.principal import Principal
from tokens import NOW, SECRET, token


def verifier(cache: int, leeway: int = 0) -> Verifier:
    return Verifier(Jwt(SECRET, cache=cache, leeway=leeway))


def held(of: Verifier) -> str:
    return repr(of)


def test_a_token_is_verified_once() -> None:
    found = verifier(9)
    first = found.verify(token(), NOW)
    assert isinstance(first, Principal)
    assert found.verify(token(), NOW + 59) is first
    assert held(found) == "<Verifier HS256 1/9 cached>"


@pytest.mark.parametrize("leeway", [0, 5])
def test_what_is_remembered_expires_as_the_token_does(leeway: int) -> None:
    found = verifier(9, leeway)
    assert isinstance(found.verify(token(), NOW), Principal)
    assert isinstance(found.verify(token(), NOW + 59.9 + leeway), Principal)
    late = found.verify(token(), NOW + 60 + leeway)
    assert isinstance(late, Fault)
    assert late.kind is Kind.TOKEN_EXPIRED
    assert held(found) == "<Verifier HS256 0/9 cached>"
    assert found.verify(token(), NOW + 60 + leeway) == late


def test_the_least_recently_used_is_forgotten_first() -> None:
    found = verifier(2)
    a, b, c = (found.verify(token(id=who), NOW) for who in (1, 2, 3))
    assert held(found) == "<Verifier HS256 2/2 cached>"
    assert found.verify(token(id=2), NOW) is b
    assert found.verify(token(id=1), NOW) is not a
    # 2 was used after 3, so 3 made room for 1.
    assert found.verify(token(id=2), NOW) is b
    assert found.verify(token(id=3), NOW) is not c


def test_no_cache_is_no_memory() -> None:
    found = verifier(0)
    first = found.verify(token(), NOW)
    assert found.verify(token(), NOW) is not first
    assert found.verify(token(), NOW) == first
    assert held(found) == "<Verifier HS256 0/0 cached>"


def test_what_is_refused_is_not_remembered() -> None:
    found = verifier(9)
    for bad in (b"x", token(exp=1), token(id=None)):
        assert isinstance(found.verify(bad, NOW), Fault)
    assert held(found) == "<Verifier HS256 0/9 cached>"
