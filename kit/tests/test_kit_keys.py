"""Where the gateway's keys come from, and which are refused: nothing secret, nothing weak, nothing without a name."""

import json
import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import OctKey

from limen_kit.fetch import MOST_BYTES
from limen_kit.keys import MOST_KEYS, Given, Remote, Stored, keys_from, read
from published import SECRET, jwk, keys

SMALL = {"kty": "RSA", "kid": "k", "n": "w" * 171, "e": "AQAB"}


def test_a_set_and_a_single_key_are_read() -> None:
    assert read(keys(jwk("a"), jwk("b", alg="ES256", use="sig")), strict=True).keys() == {"a", "b"}
    assert read(json.dumps(jwk("a")), strict=True).keys() == {"a"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "no JWK Set"),
        ("7", "no JWK Set"),
        ('{"keys": {}}', "no JWK Set"),
        (keys(), "no key that can be used"),
        (keys(7), "key 0: it is no JSON object"),
        (keys(SECRET), "key 0: it is secret.*limen keys list --public"),
        (keys({**OctKey.generate_key(256).as_dict(private=True), "kid": "k"}), "key 0: it is secret"),
        (keys(jwk(kid="")), "needs a name"),
        (keys({**jwk(), "kid": 7}), "needs a name"),
        (keys({**jwk(), "kid": "x" * 257}), "needs a name"),
        (keys(jwk(alg="ES384")), "not for one of ES256, EdDSA, RS256"),
        (keys(jwk(alg="HS256")), "not for one of"),
        (keys(jwk(use="enc")), "not for one of"),
        (keys(jwk(crv="P-384")), "not for one of"),
        (keys(jwk(kty="ec")), "not for one of"),
        (keys(jwk(kty=["EC"])), "not for one of"),
        (keys(jwk(x="!")), "cannot be read"),
        (keys(jwk(x=None)), "cannot be read"),
        (keys(jwk(x=7)), "cannot be read"),
        (keys(SMALL), "2048 bits|cannot be read"),
        (keys(jwk("a"), jwk("a")), "key 1: another one has the same kid"),
    ],
)
def test_what_is_no_set_of_public_keys_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        read(text, strict=True)
    assert str(SECRET["d"]) not in str(caught.value)


def test_bad_keys_beside_good_ones_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    assert read(keys(jwk("a"), SECRET, jwk("a"), jwk("b", alg="ML-DSA-44")), strict=False).keys() == {"a"}
    assert len(caplog.records) == 3
    assert str(SECRET["d"]) not in caplog.text


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=50) | st.sampled_from(["AQAB", "A" * 43, "w" * 400]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
_MEMBERS = st.fixed_dictionaries(
    {"kty": st.sampled_from(["EC", "OKP", "RSA", "oct"]) | _VALUES, "kid": st.just("k") | _VALUES},
    optional={
        name: _VALUES | st.sampled_from(["P-256", "Ed25519", "Ed448", "sig", "ES256", ["verify"], "x"])
        for name in ("crv", "x", "y", "n", "e", "alg", "use", "key_ops", "x5c", "x5t")
    },
)


@given(st.lists(_MEMBERS | _VALUES, max_size=3))
def test_whatever_a_set_holds_is_read_or_refused(members: list[object]) -> None:
    with suppress(ValueError):
        for key in read(keys(*members), strict=False).values():
            assert key.key.thumbprint()


def test_a_set_is_bounded() -> None:
    one = jwk()
    assert len(read(keys(*({**one, "kid": str(n)} for n in range(MOST_KEYS + 5))), strict=True)) == MOST_KEYS


def test_the_setting_tells_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(keys(jwk()))
    assert isinstance(keys_from(" " + keys(jwk())), Given)
    assert isinstance(keys_from(str(path)), Stored)
    assert isinstance(keys_from("http://gateway:8000/.well-known/jwks.json"), Remote)
    assert isinstance(keys_from("https://[::1]/jwks?x=1"), Remote)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("{}", "IDENTITY_KEYS: key 0"),
        ("nowhere.json", "IDENTITY_KEYS: the file 'nowhere.json': No such file"),
        (".", "IDENTITY_KEYS: the file '.': Is a directory"),
        ("-----BEGIN PUBLIC KEY-----", "IDENTITY_KEYS is PEM"),
        ("ftp://gateway/keys", "IDENTITY_KEYS must be like https://"),
        ("http://", "must be like"),
        ("http://gateway:0/", "must be like"),
        ("http://gateway:x/", "no address"),
        ("http://gateway/#keys", "must be like"),
        ("http://gateway/a b", "no blanks"),
        ("http://gateway/é", "no blanks"),
        ("http://user:s3cret@gateway/", "no password"),
        ("http://user:s3cret/x@gateway/", "no address"),
        ("http://user:s3cret#x@gateway/", "no address"),
        ("http://user:a[s3cret@gateway/", "no address"),
    ],
)
def test_a_setting_that_can_never_work_is_refused(setting: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        keys_from(setting)
    assert "s3cret" not in str(caught.value)


def replaced(path: Path, text: str) -> None:
    """Write a file as ``limen keys`` does: whole or not at all. Dates may be too coarse to differ, so say that it is new."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    new = path.with_suffix(".new")
    new.write_text(text)
    os.utime(new, ns=(before + 10**9, before + 10**9))
    new.replace(path)


def test_a_file_is_read_again_when_it_has_changed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "keys.json"
    replaced(path, keys(jwk("a")))
    found = Stored(path)
    assert found.find("a")
    assert found.find("b") is None
    assert found.version == 0
    replaced(path, keys(jwk("b")))
    assert found.find("b")
    assert found.find("a") is None
    assert found.version == 1
    for bad in ("{", keys(SECRET), " " * (MOST_BYTES + 1)):
        replaced(path, bad)
        assert found.find("b")
        assert found.find("b")
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 3
    path.unlink()
    assert found.find("b")
