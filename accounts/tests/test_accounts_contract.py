"""The users service against its own OpenAPI document, on a socket, as each kind of caller."""

from pathlib import Path

import pytest
from anyio import to_thread

from contract import check_contract
from serving import serving
from shop_users.app import create_app
from limen_accounts.settings import Settings


@pytest.mark.parametrize(
    "identity", [{}, {"request-user-id": "2"}, {"request-user-id": "1", "request-user-role": "admin"}]
)
async def test_no_input_gets_an_undocumented_answer(tmp_path: Path, identity: dict[str, str]) -> None:
    async with serving(create_app(Settings(database_url=f"json:{tmp_path}/users.json", demo=True))) as served:
        address = f"http://127.0.0.1:{served.port}"
        assert await to_thread.run_sync(lambda: check_contract(address, identity, examples=25)) == 18
