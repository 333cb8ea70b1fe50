"""``python -m bench.soak_service PORT``: the service behind the gateway of ``bench.soak``.

Its response depends on the path, ``/<action>/<mark>[/<bytes>]``, and carries the request's mark, so that a response to the
wrong request is detected at once. ``/fault-<kind>/...`` fails in one of the ways of ``FAULTS``.
"""

import asyncio
import sys
import zlib

_PIECE = 16384
CLOSE_ALL = b"/close-all"

FAULTS = {
    b"reset": b"",
    b"short": b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort",
    b"garbage": b"SSH-2.0-OpenSSH_9.2\r\n",
    b"two-lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxy",
    b"bad-chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n",
    b"no-last-chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
    b"half-head": b"HTTP/1.1 200 OK\r\ncontent-le",
}
"""What the service sends before it drops the connection; none is a valid response."""

_open: set[asyncio.StreamWriter] = set()


def content(mark: bytes, size: int) -> bytes:
    """Return ``size`` bytes that are unique to the request with this mark."""
    pattern = mark + b"."
    return (pattern * (size // len(pattern) + 1))[:size]


async def _body(reader: asyncio.StreamReader, head: bytes) -> tuple[int, int]:
    """Read the body as its head frames it; return its length and checksum."""
    size, checksum = 0, 0
    lower = head.lower()
    if b"\r\ntransfer-encoding: chunked" in lower:
        while size_left := int(await reader.readline(), 16):
            data = await reader.readexactly(size_left)
            size, checksum = size + size_left, zlib.crc32(data, checksum)
            await reader.readexactly(2)
        await reader.readexactly(2)
    elif b"\r\ncontent-length: " in lower:
        size_left = int(lower.partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0])
        while size_left:
            data = await reader.readexactly(min(size_left, _PIECE))
            size_left -= len(data)
            size, checksum = size + len(data), zlib.crc32(data, checksum)
    return size, checksum


def _response(mark: bytes, body: bytes, *fields: bytes) -> bytes:
    lines = [b"HTTP/1.1 200 OK", b"x-mark: " + mark, b"content-length: %d" % len(body), *fields, b"", b""]
    return b"\r\n".join(lines) + body


async def _respond(writer: asyncio.StreamWriter, path: bytes, size: int, checksum: int) -> bool:
    """Respond to one request; return whether the connection stays open."""
    action, mark, *rest = path[1:].split(b"/")
    if action.startswith(b"fault-"):
        writer.write(FAULTS[action[6:]])
        return False
    if action == b"extra":  # a whole answer with another one behind it: the second must reach nobody
        writer.write(_response(mark, mark) + _response(b"nobody", b"nobody"))
    elif action == b"down":
        body = content(mark, int(rest[0]))
        writer.write(b"HTTP/1.1 200 OK\r\nx-mark: %b\r\ncontent-length: %d\r\n\r\n" % (mark, len(body)))
        for start in range(0, len(body), _PIECE):
            writer.write(body[start : start + _PIECE])
            await writer.drain()
    elif action == b"slow":
        writer.write(b"HTTP/1.1 200 OK\r\nx-mark: %b\r\ntransfer-encoding: chunked\r\n\r\n" % mark)
        for piece in (mark[:1], mark[1:]):
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
            await asyncio.sleep(0.02)
        writer.write(b"0\r\n\r\n")
    elif action == b"wait":
        await asyncio.sleep(0.2)
        writer.write(_response(mark, mark))
    elif action == b"last":
        writer.write(_response(mark, mark, b"connection: close"))
        return False
    else:
        writer.write(_response(mark, b"%b %d %d" % (mark, size, checksum)))
    await writer.drain()
    return True


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    _open.add(writer)
    try:
        keep_alive = True
        while keep_alive:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ", 2)[1]
            if path == CLOSE_ALL:
                for other in _open - {writer}:
                    other.transport.abort()
                writer.write(_response(b"-", b""))
                break
            path = path.removeprefix(b"/guarded")
            keep_alive = await _respond(writer, path, *await _body(reader, head))
    except (OSError, asyncio.IncompleteReadError):
        pass  # the gateway has disconnected
    finally:
        _open.discard(writer)
        writer.close()


async def serve(port: int) -> None:
    """Serve until the process ends."""
    server = await asyncio.start_server(_serve, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(int(sys.argv[1])))
