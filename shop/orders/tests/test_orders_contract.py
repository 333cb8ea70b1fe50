"""The orders service against its own OpenAPI document, on a socket, as each kind of caller."""

from pathlib import Path

import pytest
from anyio import to_thread

from limen_kit.database import migrate
from limen_kit.testing import Signer
from limen_kit.testing.contract import check_contract
from limen_kit.testing.serving import serving
from shop_orders.database import config
from shop_orders.service import create_app
from shop_orders.settings import Settings

GATEWAY = Signer("orders")


@pytest.mark.parametrize(
    "identity", [{}, {"request-user-id": "2"}, GATEWAY.identity_headers(2), GATEWAY.identity_headers(1, "admin")]
)
async def test_no_input_gets_an_undocumented_answer(tmp_path: Path, identity: dict[str, str]) -> None:
    url = f"sqlite://{tmp_path}/orders.sqlite3"
    await migrate(config(url))
    async with serving(create_app(Settings(database_url=url, identity_keys=GATEWAY.keys))) as served:
        address = f"http://127.0.0.1:{served.port}"
        assert await to_thread.run_sync(lambda: check_contract(address, identity, examples=25)) == 6
