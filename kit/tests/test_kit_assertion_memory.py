"""What a service remembers of an assertion that was good, and what ends that: time, room, and other keys of the gateway."""

import pytest

from limen_kit.assertion import LEEWAY, Unavailable, Verifier
from limen_kit.keys import PublicKey, read
from limen_kit.testing import Signer
from vouching import GOOD, NOW, SIGNER, reason, token, verifier


async def test_what_is_remembered_expires_as_well() -> None:
    of, made = verifier(), token()
    first = await of.verify(made, NOW)
    assert await of.verify(made, NOW + 59) is first
    for _ in range(2):
        assert await reason(made, NOW + 60 + LEEWAY, of) == "it has expired"


async def test_the_memory_is_bounded() -> None:
    of = verifier(cache=2)
    a, b, c = (token(sub=name) for name in "abc")
    first = await of.verify(a, NOW)
    second = await of.verify(b, NOW)
    assert await of.verify(a, NOW) is first
    await of.verify(c, NOW)
    assert await of.verify(a, NOW) is first
    assert await of.verify(b, NOW) is not second


class Turning:
    """Keys that change: the first renewal brings ``after``."""

    def __init__(self, before: str | None, after: str | None) -> None:
        self.version = 0
        self.failed = False
        self.renewed = 0
        self._keys = read(before, strict=True) if before else {}
        self._after = after

    def find(self, kid: str) -> PublicKey | None:
        return self._keys.get(kid)

    async def renew(self) -> None:
        self.renewed += 1
        self.failed = self._after is None
        if self._after is not None:
            self._keys, self.version = read(self._after, strict=True), self.version + 1

    async def aclose(self) -> None: ...


async def test_a_rotation_is_noticed_by_the_new_name() -> None:
    new = Signer("orders")
    keys = Turning(SIGNER.keys, new.keys)
    of = Verifier(keys, audience="orders")
    old = token()
    assert await of.verify(old, NOW)
    assert await of.verify(new.token(GOOD), NOW)
    assert keys.renewed == 1
    # The old key is gone, and so is what was remembered of it.
    assert "kid" in await reason(old, of=of)


async def test_keys_that_cannot_be_had_are_nobodys_fault() -> None:
    of = Verifier(Turning(None, None), audience="orders")
    with pytest.raises(Unavailable):
        await of.verify(token(), NOW)
    known = Verifier(Turning(SIGNER.keys, None), audience="orders")
    assert await known.verify(token(), NOW)
    with pytest.raises(Unavailable):
        await known.verify(Signer("orders").token(GOOD), NOW)
    assert await known.verify(token(), NOW)
