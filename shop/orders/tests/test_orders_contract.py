"""The orders service against its own OpenAPI document, on a socket, as each kind of caller."""

import asyncio
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


async def answer_look_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one request for a supplier."""
    number = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].rpartition(b"/")[2]
    content = b'{"id": %b}' % number
    status = 200 if len(number) == 1 else 404
    writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%b" % (status, len(content), content))
    await writer.drain()
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    "identity",
    [
        {},
        {"request-user-id": "2"},
        GATEWAY.identity_headers(2),
        GATEWAY.identity_headers(1, "admin"),
        GATEWAY.identity_headers("users", "service"),
    ],
)
async def test_no_input_gets_an_undocumented_answer(tmp_path: Path, identity: dict[str, str]) -> None:
    url = f"sqlite://{tmp_path}/orders.sqlite3"
    await migrate(config(url))
    # A gateway that knows only suppliers with an id of one digit.
    gateway = await asyncio.start_server(answer_look_up, "127.0.0.1", 0)
    gateway_url = f"http://127.0.0.1:{gateway.sockets[0].getsockname()[1]}"
    settings = Settings(database_url=url, identity_keys=GATEWAY.keys, gateway_url=gateway_url)
    async with gateway, serving(create_app(settings)) as served:
        address = f"http://127.0.0.1:{served.port}"
        assert await to_thread.run_sync(lambda: check_contract(address, identity, examples=25)) == 7
