"""Which configurations of tokens are refused. No message repeats a key."""

from datetime import timedelta
from typing import Any

import pytest

from limen.auth.jwt import Jwt
from tokens import SECRET, pair

PEM = pair("ES256")[1]


def test_defaults_and_forms_of_keys() -> None:
    config = Jwt(SECRET.decode())
    assert (config.key, config.algorithms, config.symmetric) == (SECRET, ("HS256",), True)
    assert config.lifetime == timedelta(minutes=15)
    assert Jwt(SECRET) == config
    assert Jwt(SECRET, ["HS384", "HS512"]).symmetric
    assert not Jwt(PEM, ["ES256"]).symmetric
    assert not Jwt("\n" + PEM.decode(), ["ES256"]).symmetric


def test_a_key_is_never_shown() -> None:
    assert "0123456789" not in repr(Jwt(SECRET))


@pytest.mark.parametrize(
    ("key", "algorithms", "message"),
    [
        (SECRET, [], "algorithms is a list, such as"),
        (SECRET, "HS256", "algorithms is a list, such as"),
        (SECRET, ["none"], "algorithm 'none' is not one of"),
        (SECRET, ["HS256", "hs256"], "algorithm 'hs256' is not one of"),
        (SECRET, ["HS256", "RS256"], "must not be mixed: one key cannot serve both"),
        (PEM, ["RS256", "HS256"], "must not be mixed: one key cannot serve both"),
        (PEM, ["HS256"], "the key is a PEM document; name its algorithm"),
        (b"\n" + PEM, ["HS256"], "the key is a PEM document; name its algorithm"),
        (SECRET[:31], ["HS256"], "the secret has 31 bytes; use at least 32"),
        ("", ["HS256"], "the secret has 0 bytes"),
        (SECRET, ["ES256"], "ES256 needs a PEM key"),
    ],
)
def test_what_would_protect_nothing_is_refused(key: Any, algorithms: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        Jwt(key, algorithms)
    assert "0123456789" not in str(caught.value)


@pytest.mark.parametrize(
    "options", [{"leeway": -1}, {"cache": -1}, {"lifetime": timedelta(0)}, {"lifetime": timedelta(seconds=-1)}]
)
def test_numbers_make_sense(options: Any) -> None:
    with pytest.raises(ValueError, match="must not be negative, and lifetime must be more than nothing"):
        Jwt(SECRET, **options)
