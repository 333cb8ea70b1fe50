"""Sources of keys, and every reason to refuse one. No message repeats a key."""

import json
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from limen.auth.jose.jwk import Jwk
from limen.auth.jose.keys import MOST_BYTES, MOST_KEYS, Keys
from limen.auth.jwt import Jwt
from tokens import SECRET, pair

EC: dict[str, Any] = dict(ECKey.generate_key("P-256").as_dict(private=True)) | {"alg": "ES256"}
RSA: dict[str, Any] = dict(RSAKey.generate_key(2048).as_dict(private=True)) | {"alg": "RS256"}
OKP: dict[str, Any] = dict(OKPKey.generate_key("Ed25519").as_dict(private=True)) | {"alg": "EdDSA"}
OCT: dict[str, Any] = dict(OctKey.import_key(SECRET).as_dict(private=True)) | {"alg": "HS256"}
PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "k")


def bare(member: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a key with changes; a change to None leaves the member out."""
    return {name: value for name, value in (member | changes).items() if value is not None}


def public(member: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return bare(member, **dict.fromkeys(PRIVATE), **changes)


def jwks(*members: object) -> str:
    return json.dumps({"keys": list(members)})


def loaded(*members: object, algorithms: tuple[str, ...] = ()) -> tuple[Jwk, ...]:
    return Keys.of(jwks(*members)).load(algorithms)


def refused(source: Keys, match: str, algorithms: tuple[str, ...] = ()) -> None:
    with pytest.raises(ValueError, match=match) as caught:
        source.load(algorithms)
    message = str(caught.value)
    for member in (EC, RSA, OKP, OCT):
        assert not any(str(member[name]) in message for name in PRIVATE if name in member)
    assert SECRET.decode() not in message


def put(path: Path, text: str | bytes, mode: int = 0o600) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("member", [EC, RSA, OKP, OCT], ids=lambda member: member["alg"])
def test_a_jwk_alone_or_in_a_set(member: dict[str, Any]) -> None:
    for text in (json.dumps(member), jwks(member), "\n " + jwks(member) + "\n"):
        (key,) = Keys.of(text).load()
        assert (key.algorithm, key.private, key.created, key.retires) == (member["alg"], True, 0, None)
        assert len(key.kid) == 43
        signature = key.sign(b"x")
        assert key.verifies(b"x", signature)
        assert not key.verifies(b"y", signature)
        assert not key.verifies(b"x", b"")
        assert str(member.get("d", member.get("k"))) not in repr(key)


def test_the_thumbprint_is_that_of_the_rfc() -> None:
    # RFC 8037 appendix A.3.
    member = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "alg": "EdDSA"}
    assert loaded(member)[0].kid == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_what_a_key_says_of_itself() -> None:
    (key,) = loaded(bare(EC, kid="one", iat=5, exp=7.5, use="sig", x5t="ignored"))
    assert (key.kid, key.created, key.retires) == ("one", 5, 7.5)
    assert not key.ended(7.4)
    assert key.ended(7.5)
    assert not loaded(public(EC))[0].private


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "EdDSA"])
def test_a_pem_key_is_for_what_its_curve_is_for(algorithm: str) -> None:
    private, public = pair(algorithm)
    for text in (private, public):
        (key,) = Keys.of(text.decode()).load()
        assert key.algorithm == algorithm
        assert Keys.of("\n" + text.decode()).load((algorithm, "RS256"))[0].kid == key.kid


def test_a_pem_key_on_a_curve_that_serves_nothing() -> None:
    text = ECKey.generate_key("P-521").as_pem(private=True).decode()
    refused(Keys.of(text), "a key on the curve P-521 serves none of")
    refused(Keys.of(pair("ES384")[0].decode()), r"a key on the curve P-384 serves none of \['ES256'\]", ("ES256",))


def test_a_key_that_is_of_another_kind_after_all_verifies_nothing() -> None:
    (key,) = loaded(EC)
    assert not Jwk("", "RS256", key.key, "").verifies(b"x", b"y")
    assert not Jwk("", "HS256", key.key, "").verifies(b"x", b"y")


def test_an_rsa_key_in_pem_needs_an_algorithm() -> None:
    text = pair("RS256")[0].decode()
    assert Keys.of(text).load(("RS384",))[0].algorithm == "RS384"
    refused(Keys.of(text), "an RSA key in PEM names no algorithm; give one")
    refused(Keys.of(text), "names no algorithm", ("RS256", "PS256"))


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (bare(EC, alg=None), 'names no algorithm; add "alg"'),
        (bare(EC, alg="none"), '"alg" of a key without kid is not one of HS256'),
        (bare(EC, alg=7), '"alg" of'),
        (bare(EC, alg="ES384", kid="a"), "the key 'a': ES384 does not fit the curve P-256"),
        (bare(EC, alg="RS256"), "RS256 does not fit a key of type EC"),
        (bare(EC, alg="HS256"), "HS256 does not fit a key of type EC"),
        (bare(OCT, alg="RS256"), "RS256 does not fit a key of type oct"),
        (bare(OCT, alg="HS384"), "the secret has 32 bytes; HS384 needs at least 48"),
        (bare(OCT, k="AAAA"), "the secret has 3 bytes; HS256 needs at least 32"),
        (bare(OCT, k=""), "not a key that can be read|the secret has 0 bytes"),
        (bare(OCT, k=7), "not a key that can be read"),
        (bare(RSA, alg="EdDSA"), "EdDSA does not fit a key of type RSA"),
        (bare(OKP, crv="X25519"), "EdDSA does not fit the curve X25519|not a key that can be read"),
        (bare(EC, crv="secp256k1"), "not a key that can be read|does not fit the curve"),
        (bare(EC, x="AAAA"), "not a key that can be read"),
        (bare(EC, x=None), "not a key that can be read"),
        (bare(EC, kty=None), '"kty" of a key is not one of oct, RSA, EC, OKP'),
        (bare(EC, kty="ec"), '"kty" of a key is not one of'),
        (bare(EC, kty=["EC"]), '"kty" of a key is not one of'),
        (bare(EC, kid=7), '"kid" of a key is not printable'),
        (bare(EC, kid=""), '"kid" of a key is not printable'),
        (bare(EC, kid="a\nb"), '"kid" of a key is not printable'),
        (bare(EC, kid="é"), '"kid" of a key is not printable'),
        (bare(EC, kid="x" * 257), '"kid" of a key is not printable'),
        (bare(EC, use="enc"), 'its "use" is not "sig"'),
        (bare(EC, iat="now"), '"iat" of a key without kid is not a time'),
        (bare(EC, exp=True), '"exp" of a key without kid is not a time'),
        (bare(EC, exp=-1), '"exp" of a key without kid is not a time'),
        ("text", "something that is no JWK"),
        (None, "something that is no JWK"),
    ],
)
def test_keys_that_are_refused(member: object, message: str) -> None:
    refused(Keys.of(jwks(member)), f"Keys.of: .*({message})|({message})")


def test_small_rsa_keys_are_refused() -> None:
    with pytest.warns(UserWarning, match="2048"):
        small = RSAKey.generate_key(1024)
    member = dict(small.as_dict(private=True)) | {"alg": "RS256"}
    refused(Keys.of(jwks(member)), "an RSA key of 1024 bits; use at least 2048")
    with pytest.raises(ValueError, match="Jwt: an RSA key of 1024 bits; use at least 2048"):
        Jwt(small.as_pem(private=True), ["RS256"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"keys": []}', "there is no key in it; make one: limen keys new"),
        ("{}", '"kty" of a key'),
        ("", "neither a JSON object of keys"),
        ("[]", "neither a JSON object of keys"),
        ('{"keys": {}}', '"keys" is not a list'),
        ('{"keys": [], "keys": []}', "neither a JSON object of keys"),
        ("[" * 5000, "neither a JSON object of keys"),
        (SECRET.decode(), "neither a JSON object of keys"),
        ("-----BEGIN NOTHING-----", "no PEM key of RSA, EC or Ed25519"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "no PEM key of RSA, EC or Ed25519"),
    ],
)
def test_texts_that_are_no_keys(text: str, message: str) -> None:
    refused(Keys.of(text), message)


def test_a_set_has_different_and_not_too_many_keys() -> None:
    refused(
        Keys.of(jwks(bare(EC, kid="a"), bare(OKP, kid="a"))), "Keys.of: two keys have the kid 'a'; give each its own"
    )
    refused(Keys.of(jwks(EC, EC)), "two keys have the kid")
    many = [bare(OCT, kid=str(number)) for number in range(MOST_KEYS + 1)]
    refused(Keys.of(jwks(*many)), f"{MOST_KEYS + 1} keys are more than {MOST_KEYS}")
    assert len(loaded(*many[1:])) == MOST_KEYS


def test_only_algorithms_that_are_accepted() -> None:
    assert loaded(EC, algorithms=("ES256", "RS256"))
    refused(Keys.of(jwks(EC, OKP)), r"is for EdDSA, which algorithms=\['ES256'\] does not accept", ("ES256",))


def test_a_variable_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Keys.env("LIMEN_TEST_KEYS")
    refused(source, "the environment variable LIMEN_TEST_KEYS is not set")
    monkeypatch.setenv("LIMEN_TEST_KEYS", "  ")
    refused(source, "is not set")
    monkeypatch.setenv("LIMEN_TEST_KEYS", "nothing")
    refused(source, "the environment variable LIMEN_TEST_KEYS: neither")
    monkeypatch.setenv("LIMEN_TEST_KEYS", jwks(EC))
    assert source.load()[0].algorithm == "ES256"


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    refused(Keys.file(path), "keys.json: keys cannot be read: No such file.*; make a key: limen keys new")
    put(path, jwks(EC))
    assert Keys.file(str(path)).load()[0].algorithm == "ES256"
    put(path, b" " * (MOST_BYTES + 1))
    refused(Keys.file(path), "is this a file of keys")
    refused(Keys.file(tmp_path), "keys cannot be read: Is a directory")


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o601, 0o620, 0o610, 0o644, 0o666, 0o777])
def test_private_keys_that_others_can_read(tmp_path: Path, mode: int) -> None:
    for member in (EC, OCT):
        path = put(tmp_path / "a.json", jwks(member), mode)
        refused(Keys.file(path), "others may read this private key, or change it; keep them out: chmod 600 .*a.json")
        refused(Keys.directory(tmp_path), "chmod 600 .*a.json")


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640, 0o440])
def test_private_keys_that_the_owner_and_a_group_can_read(tmp_path: Path, mode: int) -> None:
    assert Keys.file(put(tmp_path / "a.json", jwks(EC), mode)).load()


def test_public_keys_are_for_all_to_read_and_not_to_write(tmp_path: Path) -> None:
    path = put(tmp_path / "a.json", jwks(public(EC)), 0o644)
    assert Keys.file(path).load()
    path.chmod(0o646)
    refused(Keys.file(path), "others may change these keys; keep them out: chmod 644 .*a.json")


def test_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    refused(Keys.directory(folder), f"No such file.*; make a key: limen keys new --directory {folder}")
    folder.mkdir(mode=0o700)
    put(folder / "README", "no key")
    put(folder / ".hidden.json", "no key")
    refused(Keys.directory(folder), "there is no key in it")
    put(folder / "b.jwk.json", json.dumps(bare(EC, kid="b")))
    put(folder / "a.pem", pair("ES384")[0])
    put(folder / "c.jwks", jwks(bare(OKP, kid="c"), bare(OCT, kid="d")))
    assert [key.algorithm for key in Keys.directory(folder).load()] == ["ES384", "ES256", "EdDSA", "HS256"]
    put(folder / "e.json", jwks(bare(RSA, kid="c")))
    refused(Keys.directory(folder), "c.jwks and .*e.json: two keys have the kid 'c'")
    put(folder / "e.json", "{")
    refused(Keys.directory(folder), "e.json: neither a JSON object")
    folder.chmod(0o707)
    refused(Keys.directory(folder), "others may put keys into this folder; keep them out: chmod 700")


def test_a_stamp_tells_files_apart(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    source = Keys.file(path)
    assert source.stamp() is None
    put(path, jwks(EC))
    first = source.stamp()
    assert first == source.stamp()
    put(tmp_path / "b.json", jwks(EC)).replace(path)
    assert first != source.stamp()
    assert (source.changes, Keys.directory(tmp_path).changes) == (True, True)
    assert (Keys.of("").changes, Keys.env("X").changes) == (False, False)


def test_what_did_not_change_is_not_read_twice() -> None:
    pem = pair("ES256")[0].decode()
    for source in (Keys.of(jwks(EC, OKP)), Keys.of(pem)):
        first = source.load()
        again = source.load((), {key.text: key for key in first})
        assert all(one is other for one, other in zip(first, again, strict=True))


def test_only_public_halves_are_published() -> None:
    for member in (EC, RSA, OKP):
        (key,) = loaded(bare(member, kid="a"))
        assert key.public() == public(member, kid="a", use="sig")
    assert loaded(OCT)[0].public() is None
    assert Jwt(SECRET).public_jwks() == {"keys": []}
    private, half = pair("RS256")
    for pem in (private, half):
        (found,) = Jwt(pem, ["RS256", "PS256"]).public_jwks()["keys"]
        assert set(found) == {"kty", "n", "e", "kid", "alg", "use"}


def test_the_two_halves_of_a_key_are_one() -> None:
    other = dict(OKPKey.generate_key("Ed25519").as_dict(private=False))["x"]
    (key,) = loaded(bare(OKP, x=other))
    published = key.public()
    assert published is not None
    assert published["x"] == OKP["x"]


def test_a_text_is_never_shown() -> None:
    source = Keys.of(jwks(OCT))
    assert OCT["k"] not in repr(source) + repr(Jwt(keys=source)) + repr(Jwt(keys=source).ring)
    assert urlsafe_b64encode(SECRET).decode()[:40] not in repr(source)
