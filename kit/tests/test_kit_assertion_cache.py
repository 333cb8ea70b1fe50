"""The cache of verified assertions, and what removes one from it: time, size, and a rotation of the gateway's keys."""

import pytest

from limen_kit.assertion import LEEWAY, AssertionVerifier, KeysUnavailable
from limen_kit.keys import PublicKey, parse_jwks
from limen_kit.testing import Signer
from limen_kit.testing.assertions import CLAIMS, NOW, SIGNER, make_verifier, refusal_reason, token


async def test_a_cached_assertion_expires() -> None:
    verifier, assertion = make_verifier(), token()
    first = await verifier.verify(assertion, NOW)
    assert await verifier.verify(assertion, NOW + 59) is first
    for _ in range(2):
        assert await refusal_reason(assertion, NOW + 60 + LEEWAY, verifier) == "it has expired"


async def test_the_cache_is_bounded() -> None:
    verifier = make_verifier(cache_size=2)
    a, b, c = (token(sub=name) for name in "abc")
    first = await verifier.verify(a, NOW)
    second = await verifier.verify(b, NOW)
    assert await verifier.verify(a, NOW) is first
    await verifier.verify(c, NOW)
    assert await verifier.verify(a, NOW) is first
    assert await verifier.verify(b, NOW) is not second


class RotatingKeys:
    """Keys that change: each renewal returns ``after``, or fails if it is None."""

    def __init__(self, before: str | None, after: str | None) -> None:
        self.version = 0
        self.failed = False
        self.renewals = 0
        self._keys = parse_jwks(before, strict=True) if before else {}
        self._after = after

    def find(self, kid: str) -> PublicKey | None:
        return self._keys.get(kid)

    async def renew(self) -> None:
        self.renewals += 1
        self.failed = self._after is None
        if self._after is not None:
            self._keys, self.version = parse_jwks(self._after, strict=True), self.version + 1

    async def aclose(self) -> None: ...


async def test_a_rotation_is_noticed_by_the_new_kid() -> None:
    rotated = Signer("orders")
    keys = RotatingKeys(SIGNER.keys, rotated.keys)
    verifier = AssertionVerifier(keys, audience="orders")
    old = token()
    assert await verifier.verify(old, NOW)
    assert await verifier.verify(rotated.token(CLAIMS), NOW)
    assert keys.renewals == 1
    # The old key is gone, and so are the cached assertions.
    assert "kid" in await refusal_reason(old, verifier=verifier)


async def test_keys_that_cannot_be_fetched_make_no_assertion_invalid() -> None:
    verifier = AssertionVerifier(RotatingKeys(None, None), audience="orders")
    with pytest.raises(KeysUnavailable):
        await verifier.verify(token(), NOW)
    with_cached_key = AssertionVerifier(RotatingKeys(SIGNER.keys, None), audience="orders")
    assert await with_cached_key.verify(token(), NOW)
    with pytest.raises(KeysUnavailable):
        await with_cached_key.verify(Signer("orders").token(CLAIMS), NOW)
    assert await with_cached_key.verify(token(), NOW)
