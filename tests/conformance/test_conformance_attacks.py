"""Attacks on the identity of callers, end to end: each is refused in the same words, is told nothing, and reaches nothing.

What the verifier makes of each is tested with it; here a whole gateway is attacked over its socket, with a shared secret
and with a set of public keys. After every attack the connection still serves, unless HTTP says that it must end.
"""

import json
import logging
from collections.abc import AsyncGenerator
from time import time
from typing import Any

import pytest

from attack_lists import (
    CHOOSING,
    ELSEWHERE,
    EVIL_EC,
    EVIL_JWK,
    EVIL_RSA,
    EXPIRED,
    FORMS,
    GOOD,
    KIDS,
    LINES,
    NONES,
    OTHER_SCHEMES,
    SCHEMES,
    WRONG,
)
from attacks import (
    AUDIENCE,
    EC,
    NEVER,
    RSA,
    SOON,
    Denied,
    bearer,
    build,
    claims,
    denied,
    keyed,
    secret,
    secrets_of,
    with_a_secret,
    with_keys,
)
from conformance import OK, Answers, Case, Gets, Says, Sees, Turns, get
from conformance_refusal import Refused
from conformance_stage import Stage
from engines import Engine
from limen.declare.limits import ClientLimits
from limen.errors import Kind
from limen.testing import ScriptedUpstream
from serving import serving
from tokens import SECRET, compact, sign, sign_with

HEAD_LIMIT = ClientLimits().head
GOOD_RSA, GOOD_EC = keyed(RSA), keyed(EC)
PUBLIC_PEM = RSA.as_pem(private=False)
PUBLIC_JWK = RSA.as_dict(private=False)


def hostile(**tokens: bytes) -> dict[str, Case]:
    return {name.replace("_", " "): denied(bearer(token)) for name, token in tokens.items()}


CASES: dict[str, Case] = {
    **{f"alg {alg!r}, no signature": denied(bearer(compact({"alg": alg}, claims(), b""))) for alg in NONES},
    **{f"alg {alg!r}, a signature": denied(bearer(secret({"alg": alg}))) for alg in NONES},
    **{f"header: {name}": denied(bearer(secret(header))) for name, header in CHOOSING.items()},
    **{f"kid {kid!r:.30}": denied(bearer(sign({"alg": "HS256", "kid": kid}, claims(), key=b""))) for kid in KIDS},
    **{f"form: {name}": denied(bearer(token)) for name, token in FORMS.items()},
    **{f"claims: {name}": denied(bearer(token)) for name, token in WRONG.items()},
    **{name: denied(bearer(token), kind=Kind.TOKEN_EXPIRED) for name, token in EXPIRED.items()},
    **{f"scheme: {name}": denied(b"Authorization: " + value) for name, value in SCHEMES.items()},
    **{f"another scheme: {name}": denied(b"Authorization: " + value) for name, value in OTHER_SCHEMES.items()},
    **{f"lines: {name}": denied(*lines) for name, lines in LINES.items()},
    **{
        f"elsewhere: {name}": denied(*lines, kind=Kind.TOKEN_MISSING, target=target)
        for name, (target, *lines) in ELSEWHERE.items()
    },
    "a public key's token for a secret": denied(bearer(GOOD_RSA)),
}

_ZERO, _ORDER = bytes(64), bytes.fromhex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551")
_EC_HEADER = {"alg": "ES256", "kid": "ec-key"}
PUBLIC_KEY_CASES: dict[str, Case] = {
    **{f"alg {alg!r}": denied(bearer(compact({"alg": alg, "kid": "rsa-key"}, claims(), b""))) for alg in NONES},
    **{f"header: {name}": denied(bearer(keyed(RSA, header))) for name, header in CHOOSING.items()},
    **{f"kid {kid!r:.30}": denied(bearer(keyed(EVIL_RSA, {"kid": kid}))) for kid in KIDS},
    **{
        f"kid {kid!r:.30}, no secret": denied(bearer(sign({"alg": "HS256", "kid": kid}, claims(), b""))) for kid in KIDS
    },
    **hostile(
        the_public_key_as_a_secret=sign({"alg": "HS256", "kid": "rsa-key"}, claims(), key=PUBLIC_PEM),
        the_public_key_as_a_secret_without_its_last_line_end=sign({"alg": "HS256"}, claims(), key=PUBLIC_PEM.strip()),
        the_public_jwk_as_a_secret=sign({"alg": "HS256"}, claims(), key=json.dumps(PUBLIC_JWK).encode()),
        the_modulus_as_a_secret=sign({"alg": "HS256", "kid": "rsa-key"}, claims(), key=str(PUBLIC_JWK["n"]).encode()),
        the_real_secret_of_another_gateway=sign({"alg": "HS256", "kid": "rsa-key"}, claims(), key=SECRET),
        a_key_of_mine_that_the_token_brings=sign_with(EVIL_RSA, {"alg": "RS256", "jwk": EVIL_JWK}, claims()),
        a_key_of_mine_under_your_name=keyed(EVIL_RSA),
        a_curve_key_of_mine_under_your_name=keyed(EVIL_EC),
        another_of_your_keys_by_name=keyed(RSA, {"kid": "ec-key"}),
        another_algorithm_of_the_same_key=keyed(RSA, {"alg": "PS256"}),
        another_kind_of_key_by_algorithm=keyed(EC, {"alg": "RS256", "kid": "rsa-key"}),
        no_signature=GOOD_EC.rpartition(b".")[0] + b".",
        a_signature_of_zeros=compact(_EC_HEADER, claims(), _ZERO),
        a_signature_of_the_order=compact(_EC_HEADER, claims(), _ORDER + _ORDER),
        a_signature_of_one_zero=compact(_EC_HEADER, claims(), b"\0"),
        a_signature_in_DER=compact(_EC_HEADER, claims(), bytes.fromhex("3006020101020101")),
        a_signature_that_is_longer=GOOD_EC + b"AA",
        a_signature_that_is_very_long=compact(_EC_HEADER, claims(), b"x" * 5000),
        an_RSA_signature_of_zeros=compact({"alg": "RS256", "kid": "rsa-key"}, claims(), bytes(256)),
        not_yet_valid=keyed(EC, nbf=SOON),
        a_wrong_audience=keyed(EC, aud="mallory"),
        a_wrong_issuer=keyed(EC, iss="https://mallory.example"),
    ),
    "expired": denied(bearer(keyed(EC, exp=int(time()) - 5)), kind=Kind.TOKEN_EXPIRED),
}


def admitted(*lines: bytes) -> Case:
    """Return a case of a request that gets through with the identity of an honest token."""
    told = (b"request-user-id: mallory-7", b"request-user-role: intruder")
    return (Says(get(b"/mine", *lines)), Sees(has=told, lacks=(b"authorization",)), Answers(OK), Gets(200, b"ok"))


# What looks odd and is not: refusing it would be a mistake as well.
HONEST: dict[str, Case] = {
    "a scheme in lower case": admitted(b"authorization: bearer " + GOOD),
    "a scheme in capitals": admitted(b"Authorization: BEARER " + GOOD),
    "white space before the value, which is not a part of it": admitted(b"Authorization: \t Bearer " + GOOD),
    "an audience among others": admitted(bearer(secret(aud=["mallory", AUDIENCE]))),
    "valid since long ago": admitted(bearer(secret(nbf=0, iat=0))),
}

# What is no message of HTTP ends the connection, whoever sends it.
ENDING: dict[str, Case] = {
    "a token above the limit of the head": (
        Says(get(b"/mine", b"Authorization: Bearer " + b"a" * HEAD_LIMIT)),
        Refused(431),
        Turns(),
    ),
    "a NUL in the value": (Says(get(b"/mine", bearer(GOOD) + b"\0")), Refused(), Turns()),
    "a bare CR in the value": (Says(get(b"/mine", bearer(GOOD) + b"\rx: y")), Refused(), Turns()),
    "a folded line": (Says(get(b"/mine", b"Authorization: Bearer\r\n " + GOOD)), Refused(), Turns()),
    "a blank before the colon": (Says(get(b"/mine", b"Authorization : Bearer " + GOOD)), Refused(), Turns()),
}


@pytest.fixture(scope="module")
async def secret_stage(anyio_backend: object, engine: Engine) -> AsyncGenerator[Stage]:
    """A gateway that verifies with a shared secret."""
    async with ScriptedUpstream() as upstream:
        app = build(upstream.url, with_a_secret())
        async with serving(app, engine) as served:
            yield Stage(app, served, upstream, engine)


@pytest.fixture(scope="module")
async def keys_stage(anyio_backend: object, engine: Engine) -> AsyncGenerator[Stage]:
    """A gateway that verifies with a set of public keys."""
    async with ScriptedUpstream() as upstream:
        app = build(upstream.url, with_keys())
        async with serving(app, engine) as served:
            yield Stage(app, served, upstream, engine)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_attack(secret_stage: Stage, case: Case, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await secret_stage.play(case)
    _nothing_told(case, caplog)


@pytest.mark.parametrize("case", PUBLIC_KEY_CASES.values(), ids=PUBLIC_KEY_CASES)
async def test_attack_on_public_keys(keys_stage: Stage, case: Case, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await keys_stage.play(case)
    _nothing_told(case, caplog)


def _nothing_told(case: Case, caplog: pytest.LogCaptureFixture) -> None:
    """No logger of anybody's, at any level, has a claim or a part of the token.

    The server's access log is off, here and under ``limen serve``: it has queries. pytest listens to it all the same.
    """
    log = "\n".join(record.getMessage() for record in caplog.records if record.name != "uvicorn.access")
    sent = [step.sent for step in case if isinstance(step, Denied)]
    words = [word.decode("latin-1") for one in sent for word in secrets_of(one)]
    assert " code=token_" in log
    assert not [word for word in (*words, "mallory", "intruder", "Traceback") if word in log], log
    assert not [record for record in caplog.records if record.exc_info or record.levelno > logging.INFO], log


@pytest.mark.parametrize("case", HONEST.values(), ids=HONEST)
async def test_what_only_looks_odd(secret_stage: Stage, case: Case) -> None:
    await secret_stage.play(case)


@pytest.mark.parametrize("token", [GOOD_RSA, GOOD_EC], ids=["RS256", "ES256"])
async def test_honest_tokens_of_public_keys(keys_stage: Stage, token: bytes) -> None:
    await keys_stage.play(admitted(bearer(token)))


@pytest.mark.parametrize("case", ENDING.values(), ids=ENDING)
async def test_what_is_no_message(secret_stage: Stage, case: Case) -> None:
    await secret_stage.play(case)


@pytest.mark.parametrize(
    ("target", "challenge"),
    [
        (b"/admin", b'Bearer error="insufficient_scope"'),
        (b"/orders", b'Bearer error="insufficient_scope", scope="orders:read orders:write"'),
    ],
)
async def test_a_caller_who_may_not(secret_stage: Stage, target: bytes, challenge: bytes) -> None:
    token = secret(scope='orders:read mallory"\\')
    step = Denied(Kind.FORBIDDEN, challenge, token)
    await secret_stage.play((Says(get(target, bearer(token))), step))


async def test_an_attack_does_not_spoil_what_is_remembered(secret_stage: Stage) -> None:
    """Tokens that share all but the last bytes with one that is remembered; and that one again, behind each."""
    case: list[Any] = [*admitted(bearer(GOOD))]
    for bad in (GOOD[:-1], GOOD + b"=", GOOD + b"A", GOOD[:-2] + b"AA"):
        case += [*denied(bearer(bad))[:1], Gets(401, code="token_corrupted"), *admitted(bearer(GOOD))]
    await secret_stage.play(case)


async def test_what_never_shows_is_never_in_a_page_of_ours() -> None:
    """The words that answers are searched for are no words of ours."""
    assert not [word for word in NEVER for kind in Kind if word in kind.value.detail.encode()]
