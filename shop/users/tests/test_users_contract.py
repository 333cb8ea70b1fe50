"""The users service against its own OpenAPI document, on a socket, as each kind of caller."""

from pathlib import Path

import pytest
from anyio import to_thread

from limen_kit.testing.contract import check_contract
from limen_kit.testing.serving import serving
from shop_users.service import create_app
from shop_users.settings import Settings


@pytest.mark.parametrize(
    "identity", [{}, {"request-user-id": "2"}, {"request-user-id": "1", "request-user-role": "admin"}]
)
async def test_no_input_gets_an_undocumented_answer(tmp_path: Path, identity: dict[str, str]) -> None:
    configured = Settings(database_url=f"json:{tmp_path}/users.json", identity_keys="plain", demo=True)
    async with serving(create_app(configured)) as served:
        address = f"http://127.0.0.1:{served.port}"
        assert await to_thread.run_sync(lambda: check_contract(address, identity, examples=25)) == 18
