"""300 MB through the gateway, each way, while its memory hardly grows."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx2
import pytest

from limen.testing import Conversation, ScriptedUpstream
from shop_processes import free_ports, wait_for

SIZE = 300 * 1000 * 1000
MAX_GROWTH = 32 * 1024  # KiB
CHUNK = b"x" * 65536

GATEWAY = """
from limen import Gateway, Upstream, anyone
app = Gateway()
app.forward("/files/{{path:path}}", upstream=Upstream("files", ["http://127.0.0.1:{port}"]), allow=anyone)

@app.get("/healthz")
async def healthz() -> dict[str, str]:
    return {{"status": "alive"}}
"""


async def files(conversation: Conversation) -> None:
    """A service that counts the bytes of an upload, and sends SIZE bytes to a GET."""
    while True:
        head = await conversation.head()
        if head.startswith(b"GET "):
            await conversation.say(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % SIZE)
            for start in range(0, SIZE, len(CHUNK)):
                await conversation.say(CHUNK[: SIZE - start])
            continue
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        received = 0
        while received < length:
            received += len(await conversation.reader.read(len(CHUNK)))
        response = str(received).encode()
        await conversation.say(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(response), response))


class RunningGateway:
    """The gateway's process and where it listens."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.port = port

    def memory(self, field: str = "VmRSS") -> int:
        """Return resident memory in KiB; ``VmHWM`` is the most there ever was."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition(f"{field}:")[2].split()[0])


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncGenerator[RunningGateway]:
    [port] = free_ports(1)
    async with ScriptedUpstream(files) as upstream:
        (tmp_path / "big.py").write_text(GATEWAY.format(port=upstream.port))
        argv = [sys.executable, "-m", "limen", "serve", "big:app", "--port", str(port)]
        process = await asyncio.to_thread(subprocess.Popen[bytes], argv, cwd=tmp_path)
        try:
            await asyncio.to_thread(wait_for, port, "/healthz", process)
            yield RunningGateway(process, port)
        finally:
            process.terminate()
            await asyncio.to_thread(process.wait, 15)


@pytest.fixture
async def client(gateway: RunningGateway) -> AsyncGenerator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{gateway.port}", timeout=60, trust_env=False) as http:
        # The first request allocates memory once, which is no growth by size.
        assert (await http.post("/files/small", content=b"abc")).content == b"3"
        yield http


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc, which only Linux has")
async def test_an_upload(gateway: RunningGateway, client: httpx2.AsyncClient) -> None:
    async def content() -> AsyncGenerator[bytes]:
        for start in range(0, SIZE, len(CHUNK)):
            yield CHUNK[: SIZE - start]

    before = gateway.memory()
    response = await client.post("/files/a", content=content(), headers={"content-length": str(SIZE)})
    assert int(response.content) == SIZE
    assert gateway.memory("VmHWM") - before < MAX_GROWTH


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc, which only Linux has")
async def test_a_download(gateway: RunningGateway, client: httpx2.AsyncClient) -> None:
    before = gateway.memory()
    received = 0
    async with client.stream("GET", "/files/a") as response:
        async for piece in response.aiter_raw():
            received += len(piece)
    assert received == SIZE
    assert gateway.memory("VmHWM") - before < MAX_GROWTH


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc, which only Linux has")
async def test_a_client_that_does_not_read_makes_the_service_wait(
    gateway: RunningGateway, client: httpx2.AsyncClient
) -> None:
    before = gateway.memory()
    async with client.stream("GET", "/files/a") as response:
        pieces = response.aiter_raw()
        received = len(await anext(pieces))
        # During these requests, a gateway without backpressure would buffer the whole response.
        for _ in range(200):
            assert (await client.post("/files/small", content=b"abc")).content == b"3"
        assert gateway.memory("VmHWM") - before < MAX_GROWTH
        async for piece in pieces:
            received += len(piece)
    assert received == SIZE
