"""Tests of several targets run in memory, by a clock that they move, on asyncio's own loop: uvloop's time cannot be moved."""

from typing import Any

import pytest


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Say so to anyio's pytest plugin."""
    return ("asyncio", {})
