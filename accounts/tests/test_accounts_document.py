"""The users service against its own OpenAPI document, on a socket, as each kind of caller."""

from pathlib import Path

import pytest
from anyio import to_thread

from limen_accounts.testing.service import FIRST_ACCOUNTS, make_service, settings_for
from limen_kit.testing.contract import check_contract
from limen_kit.testing.serving import serving


@pytest.mark.parametrize(
    "identity", [{}, {"request-user-id": "2"}, {"request-user-id": "1", "request-user-role": "admin"}]
)
async def test_no_input_gets_an_undocumented_answer(tmp_path: Path, identity: dict[str, str]) -> None:
    async with serving(
        make_service(settings_for(f"json:{tmp_path}/users.json"), first_accounts=FIRST_ACCOUNTS)
    ) as served:
        address = f"http://127.0.0.1:{served.port}"
        assert await to_thread.run_sync(lambda: check_contract(address, identity, examples=25)) == 24
