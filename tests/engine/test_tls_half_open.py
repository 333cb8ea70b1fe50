"""Hundreds of handshakes that are begun and left: others are served meanwhile, and each is let go when its time is over."""

import asyncio
from pathlib import Path

import pytest

from certificates import Authority
from limen import Gateway, Upstream, anyone
from limen.cli import server as cli_server
from limen.cli.tls import Files
from limen.testing import ScriptedUpstream
from services import ready
from tls_clients import secured
from tls_serving import serving_tls

pytestmark = pytest.mark.usefixtures("own_collector")

# Each takes two descriptors of this process, of the 1024 that many systems allow.
COUNT = 400

GET = b"GET /x HTTP/1.1\r\nhost: g\r\n\r\n"

# The head of a TLS record with a ClientHello, and none of its content.
HALF = b"\x16\x03\x01\x02\x00\x01"


async def test_half_open_handshakes_shut_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_server, "HANDSHAKE", 3.0)
    authority = Authority(tmp_path)
    app = Gateway()
    async with ScriptedUpstream(ready) as upstream:
        app.forward("/{path:path}", upstream=Upstream("svc", [upstream.url]), allow=anyone)
        async with serving_tls(app, Files(*authority.pair("served"))) as port:
            half = [await asyncio.open_connection("127.0.0.1", port) for _ in range(COUNT)]
            for _, writer in half:
                writer.write(HALF)
            async with secured(port, authority.client()) as (reader, writer):
                writer.write(GET)
                await reader.readuntil(b"\r\n\r\nok")
                assert not any(quiet.at_eof() for quiet, _ in half)
                for quiet, own in half:
                    await asyncio.wait_for(quiet.read(), 10)
                    own.close()
                writer.write(GET)
                await reader.readuntil(b"\r\n\r\nok")
