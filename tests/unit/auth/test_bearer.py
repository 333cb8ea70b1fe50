"""``Authorization`` as RFC 6750 section 2.1 and RFC 9110 section 11.4 write it, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen.auth.bearer import CORRUPTED, EXPIRED, MISSING, bearer_token
from limen.errors import Fault


@pytest.mark.parametrize("scheme", [b"Bearer", b"bearer", b"BEARER", b"bEaReR"])
@pytest.mark.parametrize("token", [b"a", b"a.b-c_d~e+f/g", b"YQ==", b"0"])
@pytest.mark.parametrize("spaces", [1, 2, 30])
def test_a_token(scheme: bytes, token: bytes, spaces: int) -> None:
    assert bearer_token([scheme + b" " * spaces + token]) == token


@pytest.mark.parametrize(
    "values",
    [
        [b""],
        [b"Bearer"],
        [b"Bearer "],
        [b"Bearer   "],
        [b"Bearer\ta"],
        [b"Bearer \ta"],
        [b"Bearer\t a"],
        [b"Bearer  a  b"],
        [b" Bearer a"],
        [b"Bearer a "],
        [b"Bearer a b"],
        [b"Bearer a,b"],
        [b"Bearer =a"],
        [b"Bearer a=b"],
        [b"Bearer \xe9"],
        [b"Bearer a\n"],
        [b"Bearera"],
        [b"Basic YTpi"],
        [b"Token a"],
        [b"a"],
        [b"Bearer a", b"Bearer a"],
        [b"Basic a", b"Bearer a"],
    ],
    ids=repr,
)
def test_anything_else_is_a_fault(values: list[bytes]) -> None:
    found = bearer_token(values)
    assert isinstance(found, Fault)
    assert (found.kind, found.headers) == (CORRUPTED.kind, CORRUPTED.headers)
    # The reason is for the log, and repeats nothing of what came.
    assert found.cause in (
        "Authorization is not the word Bearer and one token",
        "there are several Authorization headers",
    )


def test_nothing_is_a_missing_token() -> None:
    assert bearer_token([]) is MISSING


def test_only_a_token_that_was_given_is_called_invalid() -> None:
    assert MISSING.headers == ((b"www-authenticate", b"Bearer"),)
    assert EXPIRED.headers == CORRUPTED.headers == ((b"www-authenticate", b'Bearer error="invalid_token"'),)


@given(st.lists(st.binary(max_size=40), max_size=3))
def test_random_bytes_never_raise(values: list[bytes]) -> None:
    found = bearer_token(values)
    assert isinstance(found, Fault) or (len(values) == 1 and values[0].lower().split() == [b"bearer", found.lower()])
