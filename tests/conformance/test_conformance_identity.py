"""Every bad token that the verifier's own tests know, end to end: none reaches the service, all get the same words."""

from time import time
from typing import Any

import pytest

from conformance import OK, Answers, Case, Gets, Says, Sees, get
from conformance_stage import Stage
from no_claims import HEADERS, PAYLOADS
from tokens import CHOOSING, SECRET, b64, claims, sign

SOON = time() + 600
EXPIRED = "Auth token is expired."
CORRUPTED = "Auth token is corrupted."


def made(header: dict[str, Any] | None = None, **changes: Any) -> bytes:
    """Return a signed token that lives, but for what is changed."""
    return sign({"alg": "HS256", "typ": "JWT"} | (header or {}), claims(**({"exp": SOON} | changes)))


GOOD = made()
HEAD, PAYLOAD, SIGNATURE = GOOD.split(b".")

CLAIMS: dict[str, tuple[Any, ...]] = {
    "exp": (None, "1900000000", True, [SOON], {}, -1, 1e12, 1e400, float("nan"), 10**400),
    "nbf": ("0", True, -1, float("nan"), SOON),
    "iat": ("0", False, [], 10**30),
    "id": (None, True, 7.0, "", "a\nb", "a\x7f", "é", "x" * 257, [7], {}, 10**300),
    "user_type": (None, 7, True, "", "a\r\nb", [], ["a", 7], ["a", ""], [["a"]], {"a": 1}),
}

BAD: dict[str, tuple[bytes, str]] = {
    "expired": (b"Bearer " + made(exp=time() - 3600), EXPIRED),
    "expired at zero": (b"Bearer " + made(exp=0), EXPIRED),
    "no token": (b"Bearer a.b.c", CORRUPTED),
    "cut short": (b"Bearer " + GOOD[:-2], CORRUPTED),
    "two parts": (b"Bearer " + HEAD + b"." + PAYLOAD, CORRUPTED),
    "four parts": (b"Bearer " + GOOD + b".x", CORRUPTED),
    "no signature": (b"Bearer " + HEAD + b"." + PAYLOAD + b".", CORRUPTED),
    "padded": (b"Bearer " + GOOD + b"==", CORRUPTED),
    "no scheme": (GOOD, CORRUPTED),
    "another scheme": (b"Basic eDp5", CORRUPTED),
    "a scheme alone": (b"Bearer", CORRUPTED),
    "two in one": (b"Bearer " + GOOD + b", Bearer " + GOOD, CORRUPTED),
    "another key": (b"Bearer " + sign({"alg": "HS256"}, claims(exp=SOON), key=b"x" * 32), CORRUPTED),
    "another digest": (b"Bearer " + sign({"alg": "HS384"}, claims(exp=SOON), digest="sha384"), CORRUPTED),
    "larger than a token may be": (b"Bearer " + made(x="y" * 8192), CORRUPTED),
    "unsigned": (b"Bearer " + b64(b'{"alg":"none"}') + b"." + PAYLOAD + b".", CORRUPTED),
}
BAD.update(
    {
        f"{name} {value!r:.40}": (b"Bearer " + made(**{name: value}), CORRUPTED)
        for name, values in CLAIMS.items()
        for value in values
    }
)
BAD.update({f"header {header!r}": (b"Bearer " + made(header), CORRUPTED) for header in CHOOSING})
BAD.update({f"payload {raw[:30]!r}": (b"Bearer " + sign({"alg": "HS256"}, raw), CORRUPTED) for raw in PAYLOADS})
BAD.update({f"raw header {raw[:30]!r}": (b"Bearer " + sign(raw, claims(exp=SOON)), CORRUPTED) for raw in HEADERS})


def refused(authorization: bytes, detail: str) -> Case:
    """Return a case of one bad token."""
    return (
        Says(get(b"/mine", b"Authorization: " + authorization)),
        Gets(401, detail=detail, has=(b'www-authenticate: Bearer error="invalid_token"',)),
    )


async def test_every_bad_token_in_one_pass(stage: Stage) -> None:
    """All on one connection, and an honest one at the end."""
    for name, (authorization, detail) in BAD.items():
        try:
            await stage.play(refused(authorization, detail))
        except AssertionError as error:
            raise AssertionError(f"the token {name!r}") from error


@pytest.mark.parametrize(
    "lines",
    [(), (b"Authorization:",), (b"Authorization: Bearer " + GOOD, b"Authorization: Bearer " + GOOD)],
    ids=["none", "empty", "two"],
)
async def test_what_is_no_token_at_all(stage: Stage, lines: tuple[bytes, ...]) -> None:
    await stage.play((Says(get(b"/mine", *lines)), Gets(401, hides=SECRET)))


async def test_an_honest_token(stage: Stage) -> None:
    await stage.play(
        (
            Says(get(b"/mine", b"Authorization: bearer " + GOOD)),
            Sees(has=(b"request-user-id: 7", b"request-user-role: admin"), lacks=(b"authorization",)),
            Answers(OK),
            Gets(200, b"ok"),
        )
    )
