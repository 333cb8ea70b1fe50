"""Every case on every engine, under uvloop, on one gateway per module and engine."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from conformance_gateway import build
from conformance_known import KNOWN
from conformance_stage import Stage
from engines import ENGINES, Engine
from limen.testing import ScriptedUpstream
from serving import serving


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Say so to anyio's pytest plugin; one loop for a module."""
    return ("asyncio", {"use_uvloop": True})


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    """The engine under test."""
    found: Engine = request.param
    return found


@pytest.fixture(scope="module")
async def stage(anyio_backend: object, engine: Engine) -> AsyncGenerator[Stage]:
    """A gateway, and the service behind it."""
    async with ScriptedUpstream() as upstream:
        app = build(upstream.url)
        async with serving(app, engine) as served:
            yield Stage(app, served, upstream, engine)


@pytest.fixture(autouse=True)
def known(request: pytest.FixtureRequest, engine: Engine) -> None:
    """Expect what is known to be wrong to be wrong still."""
    for (name, case), why in KNOWN.items():
        node: str = request.node.name
        if name == engine and (node.startswith(f"{case}[") or node.endswith(f"-{case}]")):
            request.applymarker(pytest.mark.xfail(strict=True, reason=why))
