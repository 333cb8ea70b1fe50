"""Tokens as bytes: one spelling each, nesting that is no attack, and any change of an honest one.

Bad tokens that somebody thought of are in the corpus, see ``test_jwt_hostile``.
"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attacks import SIGNERS, joined, signers, verifiers
from limen.auth.jwt import Jwt
from limen.auth.jwt_live import Verifier
from limen.errors import Fault, Kind
from limen.exchange.principal import Principal
from tokens import NOW, SECRET, b64, claims, sign

HS = Jwt(SECRET)


def verdict(given: bytes, config: Jwt = HS) -> Kind | Principal:
    found = Verifier(config).verify(given, NOW)
    return found.kind if isinstance(found, Fault) else found


def test_other_spellings_of_base64() -> None:
    # A signature with both characters that the two alphabets write differently.
    found = (sign({"alg": "HS256"}, claims(n=number)) for number in range(1000))
    good = next(token for token in found if {b"-"[0], b"_"[0]} <= set(token.split(b".")[2]))
    header, payload, signature = good.split(b".")
    assert isinstance(verdict(good), Principal)
    other = signature.replace(b"-", b"+").replace(b"_", b"/")
    assert verdict(joined(header, payload, other)) is Kind.TOKEN_CORRUPTED
    # 32 bytes leave 2 bits of the last character that mean nothing: only one of 4 spellings is taken.
    last = signature[-1:]
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    place = alphabet.index(last)
    for number in range(place & ~3, (place & ~3) + 4):
        again = joined(header, payload, signature[:-1] + alphabet[number : number + 1])
        assert isinstance(verdict(again), Principal) is (number == place)


@pytest.mark.parametrize(
    "changes",
    [
        {"x": [[[[1]]]] * 40},
        {"x": "[" * 200 + '\\"' + "{" * 200},
        {"realm_access": {"roles": [{"name": str(number)} for number in range(50)]}},
    ],
    ids=["wide", "in text", "objects"],
)
def test_brackets_that_are_not_deep_are_no_attack(changes: dict[str, Any]) -> None:
    assert isinstance(verdict(sign({"alg": "HS256"}, claims(**changes))), Principal)


@given(
    st.sampled_from(SIGNERS),
    st.integers(0, 2000),
    st.integers(0, 8),
    st.binary(max_size=8) | st.text("AZaz09-_.=", max_size=8).map(str.encode),
)
def test_any_mutation_of_a_good_token_is_a_fault(name: str, place: int, gone: int, put: bytes) -> None:
    signer = signers()[name]
    good = signer.honest
    start = place % (len(good) + 1)
    mutated = good[:start] + put + good[start + gone :]
    verifier = Verifier(verifiers()[signer.on])
    found = verifier.verify(mutated, NOW)
    assert isinstance(found, Principal) if mutated == good else isinstance(found, Fault)
    assert repr(verifier).split()[-2].startswith("1/" if mutated == good else "0/")


@given(st.binary(max_size=300), st.binary(max_size=300), st.binary(max_size=100))
def test_random_parts_are_a_fault(header: bytes, payload: bytes, signature: bytes) -> None:
    for config in (HS, verifiers()["keys"]):
        assert isinstance(verdict(b".".join(map(b64, (header, payload, signature))), config), Kind)
        assert isinstance(verdict(b".".join((header, payload, signature)), config), Kind)
