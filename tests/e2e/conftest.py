"""The shop, started once for all tests that only talk to it."""

from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import httpx2
import pytest

from shop_processes import Shop


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Generator[Shop]:
    """Four real processes."""
    with Shop(tmp_path_factory.mktemp("shop")) as running:
        yield running


@pytest.fixture
def shop_with_two_orders(tmp_path: Path) -> Generator[Shop]:
    """The shop with ``orders-1`` and ``orders-2`` on one database, for one test that kills or freezes them."""
    with Shop(tmp_path, orders=2) as running:
        yield running


@pytest.fixture
async def client(shop: Shop) -> AsyncGenerator[httpx2.AsyncClient]:
    """A client of the gateway."""
    async with httpx2.AsyncClient(base_url=shop.url(), timeout=30, trust_env=False) as http:
        yield http
