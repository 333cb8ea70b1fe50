"""Tokens under a set of keys: which key signs and verifies, and what a change of the set does to cached tokens."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, OKPKey

from limen.auth import issue as issue_now
from limen.auth.jose.compact import CompactJws, parse_jws
from limen.auth.jose.keyring import LEAST_READ_INTERVAL, REFRESH_INTERVAL
from limen.auth.jose.keys import Keys
from limen.auth.jwt import Jwt
from limen.auth.jwt_live import Verifier, issue
from limen.errors import Fault, Kind
from limen.exchange.principal import Principal
from tokens import NOW, SECRET, claims, kept_pair, sign

EC: dict[str, Any] = dict(ECKey.generate_key("P-256").as_dict(private=True)) | {"alg": "ES256"}
OTHER: dict[str, Any] = dict(ECKey.generate_key("P-256").as_dict(private=True)) | {"alg": "ES256"}
OKP: dict[str, Any] = dict(OKPKey.generate_key("Ed25519").as_dict(private=True)) | {"alg": "EdDSA"}
OCT: dict[str, Any] = dict(OctKey.import_key(SECRET).as_dict(private=True)) | {"alg": "HS256"}


def keys(*members: dict[str, Any]) -> Keys:
    return Keys.of(json.dumps({"keys": members}))


def put(path: Path, *members: dict[str, Any]) -> None:
    """Replace the file as a whole, as whoever rotates keys does."""
    half = path.with_suffix(".half")
    half.write_text(json.dumps({"keys": members}))
    half.chmod(0o600)
    half.replace(path)


def kid_of(token: str) -> str | None:
    parts = parse_jws(token.encode())
    assert isinstance(parts, CompactJws)
    return parts.kid


def verdict(verifier: Verifier, token: str, now: float = NOW) -> Kind | Principal:
    found = verifier.verify(token.encode(), now)
    return found.kind if isinstance(found, Fault) else found


def test_the_newest_key_that_is_not_retired_signs() -> None:
    config = Jwt(
        keys=keys(
            EC | {"kid": "old", "iat": 1},
            OKP | {"kid": "new", "iat": 3},
            OTHER | {"kid": "retired", "iat": 9, "exp": NOW + 60},
            OCT | {"kid": "older"},
        )
    )
    made = issue(config, 7, "admin", NOW)
    assert kid_of(made) == "new"
    assert config.algorithms == ("ES256", "EdDSA", "HS256")
    assert isinstance(verdict(Verifier(config), made), Principal)
    assert [key["kid"] for key in config.public_jwks(NOW)["keys"]] == ["old", "new", "retired"]
    assert [key["kid"] for key in config.public_jwks(NOW + 60)["keys"]] == ["old", "new"]
    assert [key["kid"] for key in config.public_jwks()["keys"]][:2] == ["old", "new"]
    assert repr(config.ring) == "<Keyring old:ES256, new:EdDSA, retired:ES256, older:HS256>"


def test_a_retired_key_verifies_until_it_ends() -> None:
    before = Jwt(keys=keys(EC | {"kid": "a"}))
    made = issue(before, 7, "admin", NOW)
    after = Jwt(keys=keys(EC | {"kid": "a", "exp": NOW + 50}, OTHER | {"kid": "b"}))
    verifier = Verifier(after)
    assert isinstance(verdict(verifier, made, NOW + 49.9), Principal)
    # Remembered no longer than its key verifies, though the token itself would go on.
    assert verdict(verifier, made, NOW + 50) is Kind.TOKEN_EXPIRED
    assert verdict(verifier, made, NOW + 50) is Kind.TOKEN_CORRUPTED


def test_without_a_private_key_nothing_is_issued() -> None:
    public = {name: value for name, value in EC.items() if name != "d"}
    with pytest.raises(ValueError, match="the key is public and signs nothing; give the private key"):
        issue_now(Jwt(keys=keys(public)), 7, "admin")
    with pytest.raises(
        ValueError, match="every private key is retired and signs nothing; make another: limen keys rotate"
    ):
        issue_now(Jwt(keys=keys(EC | {"exp": 5})), 7, "admin")


def test_a_public_key_says_so_itself() -> None:
    (key,) = keys({name: value for name, value in EC.items() if name != "d"}).load()
    with pytest.raises(ValueError, match="is public and signs nothing"):
        key.sign(b"x")


def test_the_key_is_found_by_its_name_and_has_its_own_algorithm() -> None:
    config = Jwt(keys=keys(OCT | {"kid": "h"}, EC | {"kid": "e"}))
    verifier = Verifier(config)
    good = sign({"alg": "HS256", "kid": "h"}, claims()).decode()
    assert isinstance(verdict(verifier, good), Principal)
    for header in (
        {"alg": "HS256", "kid": "e"},
        {"alg": "ES256", "kid": "h"},
        {"alg": "HS384", "kid": "h"},
        {"alg": "none", "kid": "h"},
        {"alg": "HS256", "kid": "H"},
        {"alg": "HS256", "kid": ""},
        {"alg": "HS256", "kid": "x"},
    ):
        assert verdict(verifier, sign(header, claims()).decode()) is Kind.TOKEN_CORRUPTED


def test_a_token_without_kid_is_for_the_only_key_that_fits() -> None:
    token = sign({"alg": "HS256"}, claims()).decode()
    assert isinstance(verdict(Verifier(Jwt(keys=keys(OCT, EC))), token), Principal)
    two = keys(OCT | {"kid": "a"}, OCT | {"kid": "b"})
    assert verdict(Verifier(Jwt(keys=two)), token) is Kind.TOKEN_CORRUPTED
    assert verdict(Verifier(Jwt(keys=keys(EC))), token) is Kind.TOKEN_CORRUPTED


def test_a_single_key_of_the_configuration_takes_any_name() -> None:
    assert isinstance(
        verdict(Verifier(Jwt(SECRET)), sign({"alg": "HS256", "kid": "../x"}, claims()).decode()), Principal
    )
    assert kid_of(issue(Jwt(SECRET), 7, "admin", NOW)) is None


def test_rotation_is_seen_at_the_first_unknown_name(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    put(path, EC | {"kid": "a"})
    config = Jwt(keys=Keys.file(path))
    verifier = Verifier(config)
    old = issue(config, 7, "admin", NOW)
    assert isinstance(verdict(verifier, old), Principal)
    put(path, EC | {"kid": "a", "exp": NOW + 3600}, OTHER | {"kid": "b"})
    # A moment later: made by another process that already has the new key.
    new = issue(Jwt(keys=Keys.file(path)), 7, "admin", NOW)
    assert kid_of(new) == "b"
    assert isinstance(verdict(verifier, new, NOW + 0.01), Principal)
    assert isinstance(verdict(verifier, old, NOW + 0.02), Principal)


def test_a_key_that_is_gone_ends_what_is_remembered(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    put(path, EC | {"kid": "a"}, OKP | {"kid": "b"})
    config = Jwt(keys=Keys.file(path))
    verifier = Verifier(config)
    by_b = issue(config, 7, "admin", NOW)
    assert kid_of(by_b) == "b"
    only_a = Jwt(keys=keys(EC | {"kid": "a"}))
    by_a = issue(only_a, 7, "admin", NOW)
    first = verdict(verifier, by_a)
    assert isinstance(first, Principal)
    assert isinstance(verdict(verifier, by_b), Principal)
    put(path, EC | {"kid": "a"})
    # Not looked at yet: what is remembered is good.
    assert isinstance(verdict(verifier, by_b, NOW + REFRESH_INTERVAL - 0.1), Principal)
    # A hit looks too, or a busy token would outlive its key.
    assert verdict(verifier, by_b, NOW + REFRESH_INTERVAL) is Kind.TOKEN_CORRUPTED
    assert verdict(verifier, by_a, NOW + REFRESH_INTERVAL) is first
    assert repr(verifier) == "<Verifier ES256,EdDSA 1/4096 cached>"


def test_a_change_that_somebody_else_saw_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    put(path, EC | {"kid": "a"}, OKP | {"kid": "b"})
    config = Jwt(keys=Keys.file(path))
    verifier = Verifier(config)
    by_b = issue(config, 7, "admin", NOW)
    assert isinstance(verdict(verifier, by_b), Principal)
    put(path, EC | {"kid": "a"})
    assert kid_of(issue(config, 7, "admin", NOW + REFRESH_INTERVAL)) == "a"
    assert verdict(verifier, by_b, NOW + REFRESH_INTERVAL) is Kind.TOKEN_CORRUPTED


def test_another_key_under_the_same_name_ends_what_is_remembered(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    put(path, EC | {"kid": "a"})
    config = Jwt(keys=Keys.file(path))
    verifier = Verifier(config)
    made = issue(config, 7, "admin", NOW)
    assert isinstance(verdict(verifier, made), Principal)
    put(path, OTHER | {"kid": "a"})
    assert verdict(verifier, made, NOW + REFRESH_INTERVAL) is Kind.TOKEN_CORRUPTED


class Counted:
    """Counts the readings of a source."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        load = Keys.load

        def counted(source: Keys, *given: Any) -> Any:
            self.count += 1
            return load(source, *given)

        monkeypatch.setattr(Keys, "load", counted)


def test_invented_names_do_not_keep_us_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "keys.json", EC | {"kid": "a"})
    verifier = Verifier(Jwt(keys=Keys.directory(tmp_path)))
    counted = Counted(monkeypatch)
    for number in range(1000):
        forged = sign({"alg": "ES256", "kid": f"kid-{number}"}, claims()).decode()
        assert verdict(verifier, forged, NOW + number / 1000) is Kind.TOKEN_CORRUPTED
    assert counted.count == 1
    forged = sign({"alg": "ES256", "kid": "x"}, claims()).decode()
    assert verdict(verifier, forged, NOW + LEAST_READ_INTERVAL) is Kind.TOKEN_CORRUPTED
    assert counted.count == 2


def test_sources_that_cannot_change_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    config = Jwt(keys=keys(EC | {"kid": "a"}))
    counted = Counted(monkeypatch)
    verifier = Verifier(config)
    for late in (0, 1, 100, 1000):
        assert (
            verdict(verifier, sign({"alg": "ES256", "kid": "x"}, claims()).decode(), NOW + late) is Kind.TOKEN_CORRUPTED
        )
    assert counted.count == 0


def test_a_set_that_cannot_be_read_any_more_stays(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "keys.json"
    put(path, EC | {"kid": "a"})
    config = Jwt(keys=Keys.file(path))
    verifier = Verifier(config)
    path.write_text('{"keys": [' + json.dumps(EC))
    with caplog.at_level(logging.INFO, "limen.keys"):
        made = issue(config, 7, "admin", NOW + 1)
        assert isinstance(verdict(verifier, made, NOW + 1), Principal)
        assert isinstance(verdict(Verifier(config), made, NOW + 2 * REFRESH_INTERVAL), Principal)
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert "keys: not read anew, those in use stay" in caplog.text
        put(path, EC | {"kid": "a"}, OKP | {"kid": "b"})
        assert kid_of(issue(config, 7, "admin", NOW + 4 * REFRESH_INTERVAL)) == "b"
        assert f"keys: 2 in use from {path}" in caplog.text
    assert EC["d"] not in caplog.text


def test_a_clock_that_was_set_back_does_not_keep_old_keys(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    put(path, EC | {"kid": "a"})
    config = Jwt(keys=Keys.file(path))
    issue(config, 7, "admin", NOW)
    put(path, OKP | {"kid": "b"})
    assert kid_of(issue(config, 7, "admin", NOW - 3600)) == "b"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"give either a key, such as Jwt\(secret\), or keys="),
        ({"key": SECRET, "keys": keys(EC)}, "give either a key"),
        ({"keys": keys()}, "Jwt: a text: there is no key in it"),
        ({"keys": keys(EC), "algorithms": ["RS256"]}, "Jwt: Keys.of: .* is for ES256"),
        ({"keys": keys(EC), "algorithms": []}, "algorithms is a list"),
        ({"keys": keys(EC), "algorithms": ["none"]}, "algorithm 'none' is not one of"),
        ({"keys": Keys.file("/nowhere/keys.json")}, "Jwt: /nowhere/keys.json: keys cannot be read"),
    ],
)
def test_configurations_that_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Jwt(**options)


def test_algorithms_may_be_narrowed() -> None:
    config = Jwt(keys=keys(EC, OCT), algorithms=["ES256", "HS256"], issuer="me")
    assert config.algorithms == ("ES256", "HS256")
    narrow = Jwt(keys=Keys.of(kept_pair("RS256")[0].decode()), algorithms=["PS256"])
    assert isinstance(verdict(Verifier(narrow), issue(narrow, 7, "admin", NOW)), Principal)


def test_whose_business_a_token_is() -> None:
    assert Verifier(Jwt(SECRET)).wants(None)
    assert Verifier(Jwt(SECRET)).wants("anyone")
    ours = Verifier(Jwt(SECRET, issuer="me"))
    assert [ours.wants(issuer) for issuer in ("me", "Me", None)] == [True, False, False]
