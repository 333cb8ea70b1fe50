"""Every wire test runs on either event loop."""

from typing import Any

import pytest


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Say so to anyio's pytest plugin."""
    return ("asyncio", {"use_uvloop": request.param})
