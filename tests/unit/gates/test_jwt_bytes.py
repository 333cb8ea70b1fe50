"""Tokens that are no tokens: odd bytes, odd sizes, odd claims. What bounds the work is counted here, not timed."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attacked import CONFIGS, HONEST, HS, SET, joined, parts, verdict
from limen.declare import claims as declared_claims
from limen.declare import compact
from limen.declare.principal import Principal
from limen.errors import Fault, Kind
from limen.gates.jwt import MOST_BYTES, Verifier
from tokens import NOW, b64, claims, sign


@pytest.mark.parametrize("name", CONFIGS)
def test_bytes_around_and_between(name: str) -> None:
    good, config = HONEST[name], CONFIGS[name]
    header, payload, signature = parts(good)
    for odd in (
        b"=",
        b"==",
        b".",
        b" ",
        b"\n",
        b"\0",
        b"A",
        b"AAAA",
        b"\xff",
        "é".encode(),
        b"%00",
        b",",
        b"~",
        b"+",
        b"/",
    ):
        for forged in (
            *(good + odd, odd + good),
            *(header + odd + b"." + payload + b"." + signature, header + b"." + payload + odd + b"." + signature),
            *(header + b"." + odd + payload + b"." + signature, header + b"." + payload + b"." + odd + signature),
        ):
            assert verdict(forged, config) is Kind.TOKEN_CORRUPTED
    middle = len(payload) // 2
    assert (
        verdict(joined(header, payload[:middle] + b"\n" + payload[middle:], signature), config) is Kind.TOKEN_CORRUPTED
    )
    assert verdict(good + b"." + good, config) is Kind.TOKEN_CORRUPTED
    assert verdict(good.decode().encode("utf-16"), config) is Kind.TOKEN_CORRUPTED
    assert verdict(good.swapcase(), config) is Kind.TOKEN_CORRUPTED
    assert verdict(b"", config) is Kind.TOKEN_CORRUPTED
    assert verdict(b"..", config) is Kind.TOKEN_CORRUPTED


def test_other_spellings_of_base64() -> None:
    # A signature with both characters that the two alphabets write differently.
    found = (sign({"alg": "HS256"}, claims(n=number)) for number in range(1000))
    good = next(token for token in found if {b"-"[0], b"_"[0]} <= set(parts(token)[2]))
    header, payload, signature = parts(good)
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


HUGE = {
    "huge": b"A" * 8_000_000,
    "huge parts": b".".join([b"A" * 3_000_000] * 3),
    "millions of dots": b"." * 3_000_000,
    "dots within the bound": b"." * MOST_BYTES,
    "a long header": joined({"alg": "HS256", "kid": "x" * 1024}, claims(), b"AAAA"),
    "a long signature": joined({"alg": "HS256"}, claims(), b"A" * 1401),
    "a deep header": joined(b64(b'{"alg":' + b"[" * 700), claims(), b"AAAA"),
    "a wide header": joined(b64(b'{"alg":[' + b"{}," * 240 + b"{}]}"), claims(), b"AAAA"),
    "a header of digits": joined(b64(b'{"alg":' + b"9" * 700 + b"}"), claims(), b"AAAA"),
}


@pytest.mark.parametrize("what", HUGE)
def test_what_is_large_is_refused_before_it_is_read(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[int] = []
    read: list[int] = []
    decode, json_read = compact._decoded, declared_claims.read  # pyright: ignore[reportPrivateUsage] - what is counted

    def counted(text: bytes) -> bytes | None:
        decoded.append(len(text))
        return decode(text)

    def counted_read(text: bytes) -> dict[str, object] | None:
        read.append(len(text))
        return json_read(text)

    monkeypatch.setattr(compact, "_decoded", counted)
    monkeypatch.setattr(compact, "read", counted_read)
    assert verdict(HUGE[what]) is Kind.TOKEN_CORRUPTED
    assert sum(decoded) <= MOST_BYTES
    assert sum(read) <= compact.MOST_HEADER


@pytest.mark.parametrize(
    "payload",
    [
        b'{"id":7,"user_type":"admin","exp":1900000000,"x":' + b"[" * 17 + b"]" * 17 + b"}",
        b'{"id":7,"user_type":"admin","exp":1900000000,"x":' + b'{"a":' * 17 + b"1" + b"}" * 18,
        b'{"id":7,"user_type":"admin","exp":1900000000,"x":' + b"[" * 5000,
        b"{" * 5000,
        b'{"id":7,"user_type":"admin","exp":1900000000,"x":[' + b"[]," * 600 + b"[]]}",
    ],
    ids=["arrays", "objects", "open arrays", "open objects", "very many"],
)
def test_much_and_deep_nesting_is_never_parsed(payload: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    class Never:
        def decode(self, text: str) -> object:
            raise AssertionError(text)

    signed = sign({"alg": "HS256"}, payload)
    assert compact.dissect(signed) is not None
    verifier = Verifier(HS)
    verifier.verify(sign({"alg": "HS256"}, b"{"), NOW)
    with monkeypatch.context() as patched:
        patched.setattr(declared_claims, "_DECODER", Never())
        assert declared_claims.read(payload) is None
    assert verdict(signed) is Kind.TOKEN_CORRUPTED


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


@pytest.mark.parametrize(
    "payload",
    [
        b'{"id":7,"user_type":"admin","exp":1900000000}x',
        b'{"id":7,"user_type":"admin","exp":1900000000}\0',
        b'{"id":7,"user_type":"admin","exp":1900000000}{}',
        b'\xef\xbb\xbf{"id":7,"user_type":"admin","exp":1900000000}',
        '{"id":7,"user_type":"admin","exp":1900000000}'.encode("utf-16"),
        b'{"id":7,"user_type":"admin","exp":1900000000,"x":"\xff"}',
        b'{"id":7,"user_type":"admin","exp":1900000000,"x":"\xed\xa0\x80"}',
        b'{"id":7,"user_type":"admin","exp":NaN}',
        b'{"id":7,"user_type":"admin","exp":Infinity}',
        b'{"id":7,"user_type":"admin","exp":1900000000,"x":NaN}',
        b'{"id":7,"user_type":"admin","exp":1e400}',
        b"{'id':7,'user_type':'admin','exp':1900000000}",
        b'{"id":7,"user_type":"admin","exp":1900000000,}',
        b'{"id":7,"user_type":"admin","exp":01900000000}',
        b'{"id":7,"\\u0069d":8,"user_type":"admin","exp":1900000000}',
        b'{"exp":1,"id":7,"user_type":"admin","exp":1900000000}',
        b'{"ID":7,"user_type":"admin","exp":1900000000}',
        b'{"id":7,"user_type":"admin","Exp":1900000000}',
        b'{"id":"7\\u0000","user_type":"admin","exp":1900000000}',
        b'{"id":"7\\r\\nrequest-user-role: admin","user_type":"user","exp":1900000000}',
        b'{"id":"\\ud800","user_type":"admin","exp":1900000000}',
        b'{"id":" 1","user_type":"admin","exp":1900000000}',
        '{"id":"\uff11","user_type":"admin","exp":1900000000}'.encode(),
        b'{"id":7,"user_type":"admin\\n","exp":1900000000}',
        b'{"id":-1e400,"user_type":"admin","exp":1900000000}',
        b'{"id":18446744073709551616,"user_type":"admin","exp":1900000000}',
    ],
    ids=lambda payload: repr(payload[:60]),
)
def test_odd_claims_under_a_good_signature(payload: bytes) -> None:
    assert verdict(sign({"alg": "HS256"}, payload)) is Kind.TOKEN_CORRUPTED


@given(
    st.sampled_from(sorted(CONFIGS)),
    st.integers(0, 2000),
    st.integers(0, 8),
    st.binary(max_size=8) | st.text("AZaz09-_.=", max_size=8).map(str.encode),
)
def test_any_mutation_of_a_good_token_is_a_fault(name: str, place: int, gone: int, put: bytes) -> None:
    good = HONEST[name]
    start = place % (len(good) + 1)
    mutated = good[:start] + put + good[start + gone :]
    verifier = Verifier(CONFIGS[name])
    found = verifier.verify(mutated, NOW)
    assert isinstance(found, Principal) if mutated == good else isinstance(found, Fault)
    assert repr(verifier).split()[-2].startswith("1/" if mutated == good else "0/")


@given(st.binary(max_size=300), st.binary(max_size=300), st.binary(max_size=100))
def test_random_parts_are_a_fault(header: bytes, payload: bytes, signature: bytes) -> None:
    for config in (HS, SET):
        assert isinstance(verdict(b".".join(map(b64, (header, payload, signature))), config), Kind)
        assert isinstance(verdict(b".".join((header, payload, signature)), config), Kind)
