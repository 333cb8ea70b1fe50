"""Tokens of an outside issuer: their callers, and that hostile ones give a Fault and nothing else."""

import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuing import URL, Live, describe_result, key, key_set, ready, token
from limen.auth import Revocations
from limen.errors import Fault, Kind
from limen.exchange.principal import Principal
from tokens import CHOOSING, NOW, b64, sign

OFFERING = {"jku", "jwk", "x5c", "x5u"}
OLD, RSA, ED = key("old"), key("rsa", "RS256"), key("ed", "EdDSA")
SET = key_set(OLD, RSA)


async def test_the_first_token_waits_for_the_keys_and_others_do_not() -> None:
    live = await ready(SET, OLD)
    for made in (token(OLD), token(RSA, algorithm="RS256"), token(OLD, {"typ": "at+jwt"})):
        found = live.at_once(made)
        assert isinstance(found, Principal)
        assert (found.id, found.roles, found.scopes) == ("idp.example:ann", frozenset(), frozenset())
        assert live.issuer.recall(made, NOW) is found
    assert live.source.asked == 1
    assert repr(live.issuer) == "<Issuer idp.example well 2 keys 4/4096 cached>"
    assert live.issuer.wants(URL)
    assert not live.issuer.wants(None)
    assert not live.issuer.wants(URL + "/")


async def test_every_algorithm() -> None:
    live = Live(key_set(ED), algorithms=["EdDSA"])
    assert describe_result(await live.later(token(ED, algorithm="EdDSA"))) == "idp.example:ann"
    assert describe_result(live.at_once(token(RSA, algorithm="RS256"))) == "token_corrupted"


async def test_roles_count_when_they_are_named() -> None:
    said: dict[str, Any] = {
        "realm": {"roles": ["staff", "x,admin", "boss"]},
        "scope": "a b",
        "roles": ["admin"],
        "sid": "s1",
    }
    closed, mapped = (
        await ready(SET, OLD),
        await ready(SET, OLD, role_claim="realm.roles", roles={"boss": "admin"}, id_prefix="p|"),
    )
    open_ = Live(SET, role_claim="realm.roles", id_claim="mail")
    found = closed.at_once(token(OLD, **said))
    assert isinstance(found, Principal)
    assert (found.roles, found.scopes) == (frozenset(), {"a", "b"})
    # A session of the issuer's is none of ours.
    assert "sid" not in found.claims
    found = mapped.at_once(token(OLD, **said))
    assert isinstance(found, Principal)
    assert (found.id, found.roles) == ("p|ann", {"admin"})
    found = await open_.later(token(OLD, **said, mail="a@b"))
    assert isinstance(found, Principal)
    # With its comma, the third would read as two in the header that services get.
    assert (found.id, found.roles) == ("idp.example:a@b", {"staff", "boss"})


@pytest.fixture(params=["known", "unknown"])
async def live(request: pytest.FixtureRequest) -> Live:
    """Return an issuer before and after its keys are known: what is refused does not depend on it."""
    options: dict[str, Any] = {"algorithms": ["ES256"]}
    return Live(SET, **options) if request.param == "unknown" else await ready(SET, OLD, **options)


CLAIMS: dict[str, tuple[dict[str, Any], str]] = {
    "another issuer": ({"iss": "https://evil.example"}, "token_corrupted"),
    "a slash more": ({"iss": URL + "/"}, "token_corrupted"),
    "no issuer": ({"iss": None}, "token_corrupted"),
    "several issuers": ({"iss": [URL]}, "token_corrupted"),
    "another audience": ({"aud": "other"}, "token_corrupted"),
    "no audience": ({"aud": None}, "token_corrupted"),
    "a part of the audience": ({"aud": "shop2"}, "token_corrupted"),
    "expired": ({"exp": NOW - 31}, "token_expired"),
    "no end": ({"exp": None}, "token_corrupted"),
    "an end in words": ({"exp": "tomorrow"}, "token_corrupted"),
    "not yet": ({"nbf": NOW + 31}, "token_corrupted"),
    "nobody": ({"sub": None}, "token_corrupted"),
    "an empty name": ({"sub": ""}, "token_corrupted"),
    "a name with a line": ({"sub": "a\r\nb"}, "token_corrupted"),
    "a list of names": ({"sub": ["ann"]}, "token_corrupted"),
}


@pytest.mark.parametrize(("changes", "code"), CLAIMS.values(), ids=CLAIMS)
async def test_claims_that_are_refused(live: Live, changes: dict[str, Any], code: str) -> None:
    before = live.source.asked
    assert describe_result(live.at_once(token(OLD, **changes))) == code
    # What its own claims refuse is not worth a question.
    assert live.source.asked == before


@pytest.mark.parametrize("header", CHOOSING, ids=str)
async def test_a_token_never_chooses_how_it_is_verified(live: Live, header: dict[str, Any]) -> None:
    before = live.source.asked
    payload = {"iss": URL, "aud": "shop", "sub": "ann", "exp": NOW + 60}
    made = sign({"alg": "ES256", "kid": "old"} | header, payload)
    if not OFFERING.isdisjoint(header):
        # The key that is offered is ignored: the one that the issuer publishes has not signed this.
        found = live.issuer.verify(made, NOW)
        found = found if isinstance(found, Principal | Fault) else await found
        assert describe_result(found) == "token_corrupted"
        return
    assert describe_result(live.at_once(made)) == "token_corrupted"
    assert live.source.asked == before


@pytest.mark.parametrize("header", [each for each in CHOOSING if not OFFERING.isdisjoint(each)], ids=str)
async def test_a_key_that_a_token_offers_is_ignored(header: dict[str, Any]) -> None:
    live = await ready(SET, OLD)
    assert describe_result(live.at_once(token(OLD, header))) == "idp.example:ann"
    mallory = key("old")
    offered = {**header, "jwk": mallory.as_dict(private=False)} if "jwk" in header else header
    assert describe_result(live.at_once(token(mallory, offered))) == "token_corrupted"
    assert live.source.asked == 1


async def test_a_public_key_is_no_secret() -> None:
    live = await ready(SET, OLD)
    payload = {"iss": URL, "aud": "shop", "sub": "ann", "exp": NOW + 60}
    for secret in (RSA.as_pem(private=False), SET, str(RSA.as_dict(private=False)["n"]).encode()):
        for kid in ("rsa", "old"):
            assert (
                describe_result(live.at_once(sign({"alg": "HS256", "kid": kid}, payload, secret))) == "token_corrupted"
            )


async def test_forged_signatures() -> None:
    live = await ready(SET, OLD)
    other = key("old")
    good = token(OLD)
    head, payload, signature = good.split(b".")
    forged = [
        token(other),
        head + b"." + payload + b".",
        head + b"." + payload,
        head + b"." + payload + b"." + b64(bytes(64)),
        head + b"." + payload + b"." + signature + b"A",
        good + b".",
        good + b"\n",
        b64(b'{"alg":"ES256","kid":"rsa"}') + b"." + payload + b"." + signature,
        b64(b'{"alg":"RS256","kid":"old"}') + b"." + payload + b"." + signature,
        b64(b'{"alg":"ES256","kid":"old","kid":"old"}') + b"." + payload + b"." + signature,
        b"",
        b"..",
        b"." * 5_000_000,
        b"a" * 9000,
    ]
    for one in forged:
        assert describe_result(live.at_once(one)) == "token_corrupted", one[:80]
    assert live.source.asked == 1


@given(st.data())
async def test_no_change_to_a_token_is_believed_or_raises(data: st.DataObject) -> None:
    live = await ready(SET, OLD)
    good = bytearray(token(OLD))
    place = data.draw(st.integers(0, len(good) - 1))
    value = data.draw(st.integers(0, 255).filter(lambda one: one != good[place]))
    good[place] = value
    found = live.issuer.verify(bytes(good), NOW)
    assert isinstance(found if isinstance(found, Principal | Fault) else await found, Fault)


# --- what providers do ---


async def test_a_token_with_many_groups_is_taken_up_to_a_bound_that_is_set() -> None:
    groups = [f"{number:08x}-0000-4000-8000-{number:012x}" for number in range(200)]
    made = token(OLD, groups=groups)
    assert 8192 < len(made) < 16384
    found = await Live(SET, role_claim="groups", roles={groups[7]: "admin"}).later(made)
    assert isinstance(found, Principal)
    assert found.roles == {"admin"}
    refused = Live(SET, token_size=8192).at_once(made)
    assert isinstance(refused, Fault)
    assert (refused.kind, refused.cause) == (Kind.TOKEN_CORRUPTED, "it is longer than token_size= of its issuer")


async def test_keys_without_names_change_without_names() -> None:
    old, new = key(None), key(None)
    live = await ready(key_set(old), old)
    live.clock.now += 11
    live.source.content = key_set(old, new)
    # A key that nobody has named may be new: the set is fetched again, as often as ``floor`` allows.
    assert describe_result(await live.later(token(new, {"kid": "x"}))) == "idp.example:ann"
    assert describe_result(live.at_once(token(old))) == "idp.example:ann"
    assert live.source.asked == 2
    assert describe_result(live.at_once(token(key(None)))) == "token_corrupted"
    assert live.source.asked == 2


async def test_a_key_of_one_tenant_does_not_speak_for_another() -> None:
    url = "https://login.example/{tenantid}/v2.0"
    bound = OLD.as_dict(private=False) | {"issuer": "https://login.example/one/v2.0"}
    live = Live(key_set(bound), url=url, jwks_uri="https://login.example/keys")
    assert describe_result(await live.later(token(OLD, iss="https://login.example/one/v2.0"))) == (
        "login.example/tenantid/v2.0:one:ann"
    )
    refused = live.at_once(token(OLD, iss="https://login.example/two/v2.0"))
    assert isinstance(refused, Fault)
    assert refused.cause == "its key is that of another tenant"


# --- remembering ---


async def test_a_token_is_remembered_until_it_ends() -> None:
    live = await ready(SET, OLD, leeway=0)
    made = token(OLD, exp=NOW + 5)
    live.at_once(made)
    assert describe_result(live.issuer.recall(made, NOW + 4.9) or DEAD_END) == "idp.example:ann"
    assert describe_result(live.issuer.recall(made, NOW + 5) or DEAD_END) == "token_expired"
    assert live.issuer.recall(made, NOW) is None


DEAD_END = Fault(Kind.INTERNAL_ERROR)


async def test_what_is_remembered_is_bounded() -> None:
    live = await ready(SET, OLD, cache=2)
    made = [token(OLD, sub=name) for name in ("a", "b", "c")]
    for one in made[:2]:
        live.at_once(one)
    live.issuer.recall(made[0], NOW)
    live.at_once(made[2])
    assert [live.issuer.recall(one, NOW) is not None for one in made] == [True, False, True]
    none = await ready(SET, OLD, cache=0)
    none.at_once(made[0])
    assert none.issuer.recall(made[0], NOW) is None


async def test_some_can_be_forgotten_and_revoked() -> None:
    revocations = Revocations()
    live = await ready(SET, OLD, revocations=revocations)
    ann, ben = token(OLD, sub="ann", iat=NOW - 10), token(OLD, sub="ben", iat=NOW - 10)
    live.at_once(ann)
    live.at_once(ben)
    revocations.end_subject("idp.example:ann", NOW, NOW + 1000)
    assert live.issuer.recall(ann, NOW) is None
    assert describe_result(live.at_once(ann)) == "token_revoked"
    assert describe_result(live.at_once(ben)) == "idp.example:ben"
    live.issuer.forget(lambda principal: principal.id.endswith("ben"))
    assert live.issuer.recall(ben, NOW) is None


async def test_nothing_secret_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        live = await ready(SET, OLD)
        made = token(OLD, sub="private-name")
        live.at_once(made)
        live.at_once(made[:-3] + b"AAA")
    signature = made.split(b".")[2].decode()
    for text in (caplog.text, repr(live.issuer), str(live.at_once(made[:-3] + b"AAA"))):
        assert signature not in text
        assert "private-name" not in text
