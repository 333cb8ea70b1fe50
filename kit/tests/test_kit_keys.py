"""The sources of the gateway's keys, and the keys that are refused: private, weak, or without a kid."""

import json
import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import OctKey

from limen_kit.fetch import MAX_BYTES
from limen_kit.keys import MAX_KEYS, KeyFile, RemoteKeys, StaticKeys, key_source, parse_jwks
from limen_kit.testing.jwks import PRIVATE_JWK, jwk, jwk_set

SMALL_RSA = {"kty": "RSA", "kid": "k", "n": "w" * 171, "e": "AQAB"}


def test_a_set_and_a_single_key_are_read() -> None:
    assert parse_jwks(jwk_set(jwk("a"), jwk("b", alg="ES256", use="sig")), strict=True).keys() == {"a", "b"}
    assert parse_jwks(json.dumps(jwk("a")), strict=True).keys() == {"a"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "no JWK Set"),
        ("7", "no JWK Set"),
        ('{"keys": {}}', "no JWK Set"),
        (jwk_set(), "no key that can be used"),
        (jwk_set(7), "key 0: it is no JSON object"),
        (jwk_set(PRIVATE_JWK), "key 0: it is secret.*limen keys list --public"),
        (jwk_set({**OctKey.generate_key(256).as_dict(private=True), "kid": "k"}), "key 0: it is secret"),
        (jwk_set(jwk(kid="")), "needs a name"),
        (jwk_set({**jwk(), "kid": 7}), "needs a name"),
        (jwk_set({**jwk(), "kid": "x" * 257}), "needs a name"),
        (jwk_set(jwk(alg="ES384")), "not for one of ES256, EdDSA, RS256"),
        (jwk_set(jwk(alg="HS256")), "not for one of"),
        (jwk_set(jwk(use="enc")), "not for one of"),
        (jwk_set(jwk(crv="P-384")), "not for one of"),
        (jwk_set(jwk(kty="ec")), "not for one of"),
        (jwk_set(jwk(kty=["EC"])), "not for one of"),
        (jwk_set(jwk(x="!")), "cannot be read"),
        (jwk_set(jwk(x=None)), "cannot be read"),
        (jwk_set(jwk(x=7)), "cannot be read"),
        (jwk_set(SMALL_RSA), "2048 bits|cannot be read"),
        (jwk_set(jwk("a"), jwk("a")), "key 1: another one has the same kid"),
    ],
)
def test_what_is_no_set_of_public_keys_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        parse_jwks(text, strict=True)
    assert str(PRIVATE_JWK["d"]) not in str(error.value)


def test_bad_keys_beside_good_ones_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    assert parse_jwks(jwk_set(jwk("a"), PRIVATE_JWK, jwk("a"), jwk("b", alg="ML-DSA-44")), strict=False).keys() == {"a"}
    assert len(caplog.records) == 3
    assert str(PRIVATE_JWK["d"]) not in caplog.text


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
        for key in parse_jwks(jwk_set(*members), strict=False).values():
            assert key.key.thumbprint()


def test_a_set_is_bounded() -> None:
    key = jwk()
    assert len(parse_jwks(jwk_set(*({**key, "kid": str(n)} for n in range(MAX_KEYS + 5))), strict=True)) == MAX_KEYS


def test_the_setting_tells_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(jwk_set(jwk()))
    assert isinstance(key_source(" " + jwk_set(jwk())), StaticKeys)
    assert isinstance(key_source(str(path)), KeyFile)
    assert isinstance(key_source("http://gateway:8000/.well-known/jwks.json"), RemoteKeys)
    assert isinstance(key_source("https://[::1]/jwks?x=1"), RemoteKeys)


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
    with pytest.raises(ValueError, match=message) as error:
        key_source(setting)
    assert "s3cret" not in str(error.value)


def replace_file(path: Path, text: str) -> None:
    """Replace a file atomically, as ``limen keys`` does, with a newer date: the clock of files may be too coarse."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    new = path.with_suffix(".new")
    new.write_text(text)
    os.utime(new, ns=(before + 10**9, before + 10**9))
    new.replace(path)


def test_a_file_is_read_again_when_it_has_changed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "keys.json"
    replace_file(path, jwk_set(jwk("a")))
    key_file = KeyFile(path)
    assert key_file.find("a")
    assert key_file.find("b") is None
    assert key_file.version == 0
    replace_file(path, jwk_set(jwk("b")))
    assert key_file.find("b")
    assert key_file.find("a") is None
    assert key_file.version == 1
    for bad in ("{", jwk_set(PRIVATE_JWK), " " * (MAX_BYTES + 1)):
        replace_file(path, bad)
        assert key_file.find("b")
        assert key_file.find("b")
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 3
    path.unlink()
    assert key_file.find("b")
