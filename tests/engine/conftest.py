"""The engine runs on uvloop in production: so do its tests."""

from typing import Any

import pytest


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Say so to anyio's pytest plugin."""
    return ("asyncio", {"use_uvloop": True})
