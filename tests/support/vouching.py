"""Assertions for one service, and what its verifier says of them."""

import time
from typing import Any

import pytest

from limen_kit.assertion import Refused, Verifier
from limen_kit.keys import Given
from limen_kit.testing import Signer

SIGNER = Signer("orders")
NOW = time.time()
GOOD: dict[str, Any] = {"sub": "7", "roles": ["admin"], "scope": "a b", "sid": "s", "iat": NOW, "exp": NOW + 60}


def verifier(keys: str = SIGNER.keys, cache: int = 4096) -> Verifier:
    return Verifier(Given(keys), audience="orders", cache=cache)


def token(*without: str, **changes: Any) -> str:
    return SIGNER.token({name: value for name, value in (GOOD | changes).items() if name not in without})


async def reason(token: str, now: float = NOW, of: Verifier | None = None) -> str:
    with pytest.raises(Refused) as caught:
        await (of or verifier()).verify(token, now)
    return str(caught.value)
