"""Every bad token of the corpus, end to end: each is refused in the same words, is told nothing, and reaches nothing.

What the verifier makes of each, and what that costs, is in ``test_jwt_hostile``. Here one gateway per engine gets them all,
on kept connections: after every attack the connection still serves, unless HTTP says that it must end.
"""

import logging
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from attack_lists import GROUPS, corpus
from attacked import NEVER, Denied, admitted, build, can_be_sent, in_turn, secrets_of
from attacks import AUDIENCE, SIGNERS, Attack, secret_token, signers
from conformance import Case, Gets, Says, Turns, get
from conformance_refusal import Refused
from conformance_stage import Stage
from engines import Engine
from limen.client.limits import ClientLimits
from limen.errors import Kind
from limen.testing import ScriptedUpstream
from serving import serving

HEAD_LIMIT = ClientLimits().head


@pytest.fixture(scope="module")
async def stage(anyio_backend: object, engine: Engine) -> AsyncGenerator[Stage]:
    """A gateway with a route for each verifier."""
    async with ScriptedUpstream() as upstream:
        app = build(upstream.url)
        async with serving(app, engine) as served:
            yield Stage(app, served, upstream, engine)


def bearer(token: bytes) -> bytes:
    """Return the header line that brings ``token``."""
    return b"Authorization: Bearer " + token


@pytest.mark.parametrize("group", GROUPS)
async def test_every_bad_token_in_one_pass(stage: Stage, group: str, caplog: pytest.LogCaptureFixture) -> None:
    """A group on one connection."""
    caplog.set_level(logging.DEBUG)
    attacks = list(filter(can_be_sent, corpus(group)))
    assert attacks
    await stage.play(in_turn(attacks))
    _nothing_told(attacks, caplog)


def _nothing_told(attacks: list[Attack], caplog: pytest.LogCaptureFixture) -> None:
    """No logger of anybody's, at any level, has a claim or a part of the token.

    The server's access log is off, here and under ``limen serve``: it has queries. pytest listens to it all the same.
    """
    log = "\n".join(record.getMessage() for record in caplog.records if record.name != "uvicorn.access")
    sent = {part for one in attacks for part in (*one.authorization, *one.lines, one.query)}
    words = {word.decode("latin-1") for one in sent for word in secrets_of(one)}
    assert log.count(" code=token_") == len(attacks)
    assert not [word for word in (*words, "mallory", "intruder", "Traceback") if word in log]
    assert not [record for record in caplog.records if record.exc_info or record.levelno > logging.INFO]


def test_nearly_all_of_the_corpus_can_be_sent() -> None:
    """What cannot is too large for a head, or has bytes that no field value has: both are in ``ENDING``."""
    attacks = [attack for group in GROUPS for attack in corpus(group)]
    left = [attack.name for attack in attacks if not can_be_sent(attack)]
    assert len(left) < len(attacks) / 20, left


@pytest.mark.parametrize("name", SIGNERS)
async def test_an_honest_token(stage: Stage, name: str) -> None:
    signer = signers()[name]
    await stage.play(admitted(b"/" + signer.on.encode(), bearer(signer.honest)))


def odd_and_honest() -> dict[str, Case]:
    """Return what looks odd and is not: refusing it would be a mistake as well."""
    good = signers()["secret"].honest
    return {
        "a scheme in lower case": admitted(b"/secret", b"authorization: bearer " + good),
        "a scheme in capitals": admitted(b"/secret", b"Authorization: BEARER " + good),
        "several spaces behind the scheme": admitted(b"/secret", b"Authorization: Bearer    " + good),
        "white space before the value": admitted(b"/secret", b"Authorization: \t Bearer " + good),
        "white space behind the value": admitted(b"/secret", bearer(good) + b" \t"),
        "an audience among others": admitted(b"/secret", bearer(secret_token(aud=["mallory", AUDIENCE]))),
        "valid since long ago": admitted(b"/secret", bearer(secret_token(nbf=0, iat=0))),
    }


async def test_odd_but_valid_tokens_are_accepted(stage: Stage) -> None:
    for name, case in odd_and_honest().items():
        try:
            await stage.play(case)
        except AssertionError as error:
            raise AssertionError(name) from error


def ending() -> dict[str, tuple[bytes, int]]:
    """Return header lines that are no message of HTTP, which ends the connection whoever sends it, and the status."""
    good = signers()["secret"].honest
    return {
        "a token above the limit of the head": (bearer(b"a" * HEAD_LIMIT), 431),
        "a NUL in the value": (bearer(good) + b"\0", 400),
        "a bare CR in the value": (bearer(good) + b"\rx: y", 400),
        "a bare LF in the value": (bearer(good) + b"\n", 400),
        "a folded line": (b"Authorization: Bearer\r\n " + good, 400),
        "a blank before the colon": (b"Authorization : Bearer " + good, 400),
    }


async def test_a_credential_that_is_no_valid_header_is_refused(stage: Stage) -> None:
    for name, (line, status) in ending().items():
        try:
            await stage.play((Says(get(b"/secret", line)), Refused(status), Turns()))
        except AssertionError as error:
            raise AssertionError(name) from error


@pytest.mark.parametrize(
    ("target", "challenge"),
    [
        (b"/admin", b'Bearer error="insufficient_scope"'),
        (b"/orders", b'Bearer error="insufficient_scope", scope="orders:read orders:write"'),
    ],
)
async def test_a_caller_without_permission_is_403(stage: Stage, target: bytes, challenge: bytes) -> None:
    token = secret_token(scope='orders:read mallory"\\')
    step = Denied(Kind.FORBIDDEN, challenge, token)
    await stage.play((Says(get(target, bearer(token))), step))


async def test_an_attack_does_not_change_the_cache(stage: Stage) -> None:
    """Tokens that share all but the last bytes with one that is remembered; and that one again, behind each."""
    good = signers()["secret"].honest
    case: list[Any] = [*admitted(b"/secret", bearer(good))]
    for bad in (good[:-1], good + b"=", good + b"A", good[:-2] + b"AA"):
        case += [Says(get(b"/secret", bearer(bad))), Gets(401, code="token_corrupted")]
        case += admitted(b"/secret", bearer(good))
    await stage.play(case)


def test_no_local_reply_holds_a_forbidden_word() -> None:
    """The words that answers are searched for are no words of ours."""
    assert not [word for word in NEVER for kind in Kind if word in kind.value.detail.encode()]
