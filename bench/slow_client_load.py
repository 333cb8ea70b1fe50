"""The slow clients of ``bench.slow_clients``, as a program: connections that only occupy the gateway.

Each client is slow, reconnects when it was closed, and continues until SIGTERM.
"""

import asyncio
import random
import sys
from contextlib import suppress

KINDS = {
    "idle": "connections that say nothing",
    "head": "heads that come byte by byte",
    "body": "bodies that come byte by byte",
    "stream": "bodies that come byte by byte and are passed on as they come",
    "read": "answers of 1 MiB that nobody reads",
}
_PAUSE = 1.0  # seconds between two bytes
_FIRST_BYTES = {
    "idle": b"",
    "head": b"GET /api/items HTTP/1.1\r\nhost: bench\r\nx-slow: ",
    "body": b"POST /api/items HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: 9000\r\n\r\n{",
    "stream": b"POST /api/upload HTTP/1.1\r\nhost: bench\r\ncontent-length: 9000\r\n\r\n{",
    "read": b"GET /api/large HTTP/1.1\r\nhost: bench\r\n\r\n",
}
_BUFFER_LIMIT = 4096  # bytes that a client takes before it stops reading


async def _client(kind: str, port: int, connected: asyncio.Semaphore) -> None:
    first_time = True
    while True:
        # Not all at once: the benchmark measures open connections, not their arrival.
        await asyncio.sleep(random.uniform(0, _PAUSE))
        with suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=_BUFFER_LIMIT)
            try:
                writer.write(_FIRST_BYTES[kind])
                if first_time:
                    first_time = False
                    connected.release()
                if kind == "idle":
                    await reader.read()
                elif kind == "read":
                    await asyncio.sleep(60)
                else:
                    while not reader.at_eof():
                        await asyncio.sleep(_PAUSE)
                        writer.write(b" ")
                        await writer.drain()
            finally:
                writer.transport.abort()


async def main(kind: str, port: int, count: int) -> None:
    """Run ``count`` clients; print a line once all have connected."""
    connected = asyncio.Semaphore(0)
    tasks = [asyncio.create_task(_client(kind, port, connected)) for _ in range(count)]
    for _ in range(count):
        await connected.acquire()
    print("all are there", flush=True)
    await asyncio.gather(*tasks)


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in KINDS:
        sys.exit(f"python -m bench.slow_client_load {'|'.join(KINDS)} PORT COUNT")
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
