"""Hundreds of half-open handshakes: others are served meanwhile, and each is closed when its time is over."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

import anyio
import pytest

from certificates import Authority
from commands import Streams
from engines import ONE_ENGINE
from limen import ClientLimits, Gateway, Upstream, anyone
from limen.cli import server as cli_server
from limen.cli.tls import TlsFiles
from limen.testing import ScriptedUpstream
from services import ready
from tls_clients import secured
from tls_serving import serving_tls

pytestmark = pytest.mark.usefixtures("own_collector")

# Each takes two descriptors of this process, of the 1024 that many systems allow.
COUNT = 200

GET = b"GET /x HTTP/1.1\r\nhost: g\r\n\r\n"

# The head of a TLS record with a ClientHello, and none of its content.
HALF = b"\x16\x03\x01\x02\x00\x01"


@pytest.fixture
async def upstream() -> AsyncGenerator[ScriptedUpstream]:
    async with ScriptedUpstream(ready) as made:
        yield made


def forwarding_gateway(upstream: ScriptedUpstream) -> Gateway:
    app = Gateway()
    app.forward("/{path:path}", upstream=Upstream("svc", [upstream.url]), allow=anyone)
    return app


async def begun(port: int) -> list[Streams]:
    """Begin many handshakes, and go on with none."""
    half = [await asyncio.open_connection("127.0.0.1", port) for _ in range(COUNT)]
    for _, writer in half:
        writer.write(HALF)
    return half


async def served(port: int, authority: Authority) -> None:
    """Insist that somebody else is served."""
    async with secured(port, authority.client()) as (reader, writer):
        writer.write(GET)
        await reader.readuntil(b"\r\n\r\nok")


@ONE_ENGINE
async def test_half_open_handshakes_do_not_shut_out_others(authority: Authority, upstream: ScriptedUpstream) -> None:
    async with serving_tls(forwarding_gateway(upstream), TlsFiles(*authority.pair("served"))) as port:
        half = await begun(port)
        await served(port, authority)
        for _, own in half:
            own.transport.abort()
        await served(port, authority)


@ONE_ENGINE
async def test_each_handshake_is_closed_when_its_time_is_over(
    authority: Authority, upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli_server, "HANDSHAKE", 1.0)
    async with serving_tls(forwarding_gateway(upstream), TlsFiles(*authority.pair("served"))) as port:
        for quiet, own in await begun(port):
            with contextlib.suppress(ConnectionResetError):  # what it has said was not read
                await quiet.read()
            own.close()
        await served(port, authority)


async def _endless(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(bytes(65536))
        await writer.drain()


@ONE_ENGINE
@pytest.mark.parametrize("uvloop", [False, True], ids=["asyncio", "uvloop"])
def test_a_flood_that_was_refused_ends_with_its_time(authority: Authority, uvloop: bool) -> None:
    """Over TLS a loop that closes reads on, for as long as the client sends."""

    async def flood() -> None:
        app = Gateway(limits=ClientLimits(linger=0.3))
        async with (
            serving_tls(app, TlsFiles(*authority.pair("served"))) as port,
            secured(port, authority.client()) as (reader, writer),
        ):
            writer.write(b"PUT //x HTTP/1.1\r\nhost: g\r\ncontent-length: 1000000000\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.1 400 ")
            with pytest.raises(ConnectionError):
                await _endless(writer)

    anyio.run(flood, backend_options={"use_uvloop": uvloop})
