"""Every engine test runs on each engine, on the event loop of production."""

from typing import Any

import pytest

import serving


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Say so to anyio's pytest plugin."""
    return ("asyncio", {"use_uvloop": True})


@pytest.fixture(params=serving.PROTOCOLS, autouse=True)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Choose the engine that ``serving`` uses."""
    name: str = request.param
    monkeypatch.setattr(serving, "ENGINE", name)
    return name
