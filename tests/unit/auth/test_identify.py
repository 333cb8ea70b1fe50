"""Which method verifies a credential."""

import base64
import json

import pytest

from limen import Principal
from limen.auth.identify import claimed_issuer, identify_by
from limen.auth.jwt import Jwt
from limen.auth.jwt_live import Verifier, issue
from limen.auth.method import Methods
from limen.errors import Fault, Kind
from limen.exchange.request import Request
from limen.testing import make_request
from tokens import NOW, SECRET

INSIDE = Jwt(SECRET, issuer="inside")
OUTSIDE = Jwt(b"another secret that is long enough", issuer="outside")

INSIDE_OF_OUTSIDE = Jwt(SECRET, issuer="outside", audience="shop")


def bearer(token: str, *more: str) -> Request:
    return make_request(headers=[("authorization", f"Bearer {token}"), *(("authorization", value) for value in more)])


def kind(found: object) -> Kind:
    assert isinstance(found, Fault)
    return found.kind


def test_each_issuer_judges_its_own_tokens() -> None:
    identify = identify_by([Verifier(INSIDE), Verifier(OUTSIDE)], [])
    for config in (INSIDE, OUTSIDE):
        for _ in range(2):  # verified, then remembered
            assert isinstance(identify(bearer(issue(config, 1, "admin", NOW)), NOW), Principal)
    # Signed by one, claimed to be of the other.
    forged = issue(Jwt(SECRET, issuer="outside"), 1, "admin", NOW)
    assert kind(identify(bearer(forged), NOW)) is Kind.TOKEN_CORRUPTED
    unknown = issue(Jwt(SECRET, issuer="nobody"), 1, "admin", NOW)
    assert kind(identify(bearer(unknown), NOW)) is Kind.TOKEN_CORRUPTED


def test_the_reason_that_says_most_is_told() -> None:
    identify = identify_by([Verifier(Jwt(SECRET)), Verifier(OUTSIDE)], [])
    late = issue(OUTSIDE, 1, "admin", NOW - 10**6)
    assert kind(identify(bearer(late), NOW)) is Kind.TOKEN_EXPIRED
    assert kind(identify(make_request(), NOW)) is Kind.TOKEN_MISSING
    assert kind(identify(bearer("a.b.c", "Bearer d"), NOW)) is Kind.TOKEN_CORRUPTED


def test_a_token_that_is_too_long_for_all_is_not_even_decoded() -> None:
    identify = identify_by([Verifier(INSIDE), Verifier(OUTSIDE)], [])
    found = identify(bearer(f"{'a' * 9000}.{'b' * 9000}.c"), NOW)
    assert isinstance(found, Fault)
    assert (found.kind, found.cause) == (Kind.TOKEN_CORRUPTED, "it is longer than any method of this route takes")


def test_two_methods_that_refuse_a_token_both_say_why() -> None:
    found = identify_by([Verifier(Jwt(SECRET)), Verifier(OUTSIDE)], [])(
        bearer(issue(INSIDE_OF_OUTSIDE, 1, "a", NOW)), NOW
    )
    assert isinstance(found, Fault)
    one = "it is made for an audience (aud), and none is declared: give audience="
    assert found.cause == f"{one}; by another method: its signature is not of the key in use"


def test_without_tokens_a_token_is_no_credential() -> None:
    identify = identify_by([], [])
    assert kind(identify(make_request(), NOW)) is Kind.TOKEN_MISSING
    assert kind(identify(bearer("a.b.c"), NOW)) is Kind.TOKEN_CORRUPTED


def with_payload(payload: bytes) -> bytes:
    return b"e30." + base64.urlsafe_b64encode(payload).rstrip(b"=") + b".c2ln"


@pytest.mark.parametrize(
    ("token", "issuer"),
    [
        (with_payload(b'{"iss":"a"}'), "a"),
        (with_payload(b'{"iss":7}'), None),
        (with_payload(b'["iss"]'), None),
        (with_payload(b"\xff"), None),
        (with_payload(b"[" * 3000), None),
        (with_payload(json.dumps({"iss": "a", "x": "y" * 9000}).encode()), "a"),
        (with_payload(json.dumps({"iss": "a", "x": "y" * 65536}).encode()), None),
        (b"e30.e30", None),
        (b"e30.!!!.c2ln", None),
        (b"..", None),
        (b"", None),
    ],
)
def test_the_issuer_of_whatever_comes(token: bytes, issuer: str | None) -> None:
    assert claimed_issuer(token) == issuer


def test_methods_combine_in_order_and_each_once() -> None:
    assert list(INSIDE | OUTSIDE) == [INSIDE, OUTSIDE]
    assert list(INSIDE | (OUTSIDE | INSIDE)) == [INSIDE, OUTSIDE]
    assert list(Methods.of([INSIDE, OUTSIDE])) == [INSIDE, OUTSIDE]
    assert len(Methods.of(None)) == 0
    assert SECRET.decode() not in repr(INSIDE | OUTSIDE)
    for wrong in ("jwt", [INSIDE, "x"], 7):
        with pytest.raises(TypeError, match="is no method: use Jwt"):
            Methods.of(wrong)
