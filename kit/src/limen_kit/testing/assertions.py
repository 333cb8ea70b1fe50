"""Assertions for one service, and its verifier."""

import time
from typing import Any

import pytest

from limen_kit.assertion import AssertionVerifier, InvalidAssertion
from limen_kit.keys import StaticKeys
from limen_kit.testing.signer import Signer

SIGNER = Signer("orders")
NOW = time.time()
CLAIMS: dict[str, Any] = {"sub": "7", "roles": ["admin"], "scope": "a b", "sid": "s", "iat": NOW, "exp": NOW + 60}


def make_verifier(keys: str = SIGNER.keys, cache_size: int = 4096) -> AssertionVerifier:
    return AssertionVerifier(StaticKeys(keys), audience="orders", cache_size=cache_size)


def token(*missing: str, **changes: Any) -> str:
    return SIGNER.token({name: value for name, value in (CLAIMS | changes).items() if name not in missing})


async def refusal_reason(token: str, now: float = NOW, verifier: AssertionVerifier | None = None) -> str:
    with pytest.raises(InvalidAssertion) as caught:
        await (verifier or make_verifier()).verify(token, now)
    return str(caught.value)
