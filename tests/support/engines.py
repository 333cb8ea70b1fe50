"""The engines that must mean the same: the one list that the conformance suite, and what else runs on each, reads."""

from typing import Literal

import pytest

Engine = Literal["asgi", "direct"]

ENGINES: tuple[Engine, ...] = ("asgi", "direct")

# How uvicorn is told; by name, so that a test of one engine does not import the other.
PROTOCOLS: dict[Engine, str] = {
    "asgi": "limen.engines.direct:GuardedProtocol",
    "direct": "limen.engines.direct:GatewayProtocol",
}

ONE_ENGINE = pytest.mark.parametrize("engine", ["direct"], indirect=True)
"""For a test of what stands on one side of the engines, or behind both in the same lines: it runs once."""
