"""``limen serve`` as a real process, and clients that load it and tell what was lost. For tests of signals."""

import asyncio
import contextlib
import itertools
import os
import re
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Command:
    """A running ``limen``; ``text`` is what it has said so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        """Made by ``running``."""
        self.process = process
        self.text = ""
        self._said = asyncio.Event()
        self._reading = asyncio.get_running_loop().create_task(self._read())

    async def says(self, pattern: str, times: int = 1) -> list[str]:
        """Wait until ``pattern`` has been said so often; return what its group was, each time."""
        while len(found := re.findall(pattern, self.text)) < times:
            assert not self._reading.done(), f"ended without saying {pattern!r} {times} times:\n{self.text}"
            self._said.clear()
            await self._said.wait()
        return found

    async def ends(self) -> int:
        """Return the exit status, with all output read."""
        await self._reading
        return await self.process.wait()

    def send(self, number: int) -> None:
        """Signal it."""
        self.process.send_signal(number)

    async def _read(self) -> None:
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            self.text += line.decode()
            self._said.set()
        self._said.set()


@contextlib.asynccontextmanager
async def running(folder: Path, *argv: str, files: str = "", **env: str) -> AsyncGenerator[Command]:
    """Run ``limen argv`` in ``folder``, with ``env`` besides; at the end it is killed, and its workers follow it.

    ``files`` are arguments for the shell's ``ulimit``: how many open files it may have.
    """
    limited = () if not files else ("sh", "-c", f'ulimit {files} && exec "$@"', "sh")
    process = await asyncio.create_subprocess_exec(
        *(*limited, sys.executable, "-m", "limen", *argv),
        cwd=folder,
        env=os.environ | {"PYTHONUNBUFFERED": "1"} | env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    command = Command(process)
    try:
        yield command
    finally:
        if process.returncode is None:
            process.terminate()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(10):
                    await command.ends()
        if process.returncode is None:
            process.kill()
            await command.ends()


async def request(streams: Streams, target: str, *, close: bool = False, body: bytes = b"") -> tuple[bytes, bytes]:
    """Send one request and return its answer's head and content; anything but a whole answer raises OSError."""
    reader, writer = streams
    lines = [f"{'POST' if body else 'GET'} {target} HTTP/1.1", "host: g"]
    lines += [f"content-length: {len(body)}"] * bool(body) + ["connection: close"] * close
    writer.write("\r\n".join((*lines, "", "")).encode() + body)
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = re.search(rb"\r\ncontent-length: (\d+)", head)
        assert length is not None, head
        return head, await reader.readexactly(int(length[1]))
    except asyncio.IncompleteReadError as error:
        raise ConnectionError(f"closed after {len(error.partial)} bytes") from error


async def get(port: int, target: str) -> tuple[bytes, bytes]:
    """Return head and content of one answer, on a connection of its own."""
    async with connected(port) as streams:
        return await request(streams, target, close=True)


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncGenerator[Streams]:
    """Open a connection to a loopback port."""
    streams = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield streams
    finally:
        streams[1].close()


class Load:
    """Clients that send one request after the other: some on connections that they keep, some on a new one for each."""

    def __init__(self, port: int, target: str) -> None:
        """``target`` gets the number of the request appended."""
        self.port = port
        self.answered: set[int] = set()
        self.servers: set[bytes] = set()
        self.lost: dict[int, str] = {}
        self._target = target
        self._numbers = itertools.count()
        self._over = False

    @contextlib.asynccontextmanager
    async def running(self, *, keeping: int, renewing: int) -> AsyncGenerator["Load"]:
        """Load until the block ends; every request that has begun is waited for."""
        clients = [self._client(keep=True) for _ in range(keeping)] + [
            self._client(keep=False) for _ in range(renewing)
        ]
        tasks = [asyncio.create_task(client) for client in clients]
        try:
            yield self
        finally:
            self._over = True
            await asyncio.gather(*tasks)

    async def more(self, count: int) -> None:
        """Wait until ``count`` more requests were answered."""
        enough = len(self.answered) + count
        while len(self.answered) < enough:  # noqa: ASYNC110  # every client would have to tell, and there are many
            await asyncio.sleep(0.01)

    async def _client(self, *, keep: bool) -> None:
        streams: Streams | None = None
        while not self._over:
            number = next(self._numbers)
            try:
                if streams is None:
                    streams = await asyncio.open_connection("127.0.0.1", self.port)
                body = b"x" * 1000 if number % 3 == 0 else b""
                head, content = await request(streams, f"{self._target}{number}", close=not keep, body=body)
            except OSError as error:
                self.lost[number] = repr(error)
                head, content = b"\r\nconnection: close\r\n", b""
                if isinstance(error, ConnectionRefusedError):
                    self._over = True  # it is gone: no need to go on
            else:
                if head.startswith(b"http/1.1 200"):
                    self.answered.add(number)
                    self.servers.add(content)
                else:
                    self.lost[number] = head.decode()
            if streams is not None and b"\r\nconnection: close\r\n" in head:
                streams[1].close()
                streams = None
        if streams is not None:
            streams[1].close()
