"""``python -m bench.soak_service PORT``: the service behind the gateway of ``bench.soak``.

What it says follows from the path, ``/<what>/<mark>[/<bytes>]``, and each answer carries its request's mark: an answer that
reaches another request is seen at once. ``/fault-<kind>/...`` breaks off in one of the ways that services do.
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
"""What a service says before it drops the connection; none of it is a whole answer."""

_open: set[asyncio.StreamWriter] = set()


def content(mark: bytes, size: int) -> bytes:
    """Return ``size`` bytes that could belong to no other request."""
    pattern = mark + b"."
    return (pattern * (size // len(pattern) + 1))[:size]


async def _body(reader: asyncio.StreamReader, head: bytes) -> tuple[int, int]:
    """Read the body as its head frames it; return its length and checksum."""
    size, checksum = 0, 0
    low = head.lower()
    if b"\r\ntransfer-encoding: chunked" in low:
        while left := int(await reader.readline(), 16):
            data = await reader.readexactly(left)
            size, checksum = size + left, zlib.crc32(data, checksum)
            await reader.readexactly(2)
        await reader.readexactly(2)
    elif b"\r\ncontent-length: " in low:
        left = int(low.partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0])
        while left:
            data = await reader.readexactly(min(left, _PIECE))
            left -= len(data)
            size, checksum = size + len(data), zlib.crc32(data, checksum)
    return size, checksum


def _whole(mark: bytes, body: bytes, *more: bytes) -> bytes:
    lines = [b"HTTP/1.1 200 OK", b"x-mark: " + mark, b"content-length: %d" % len(body), *more, b"", b""]
    return b"\r\n".join(lines) + body


async def _answer(writer: asyncio.StreamWriter, path: bytes, size: int, checksum: int) -> bool:
    """Answer one request; return whether the connection goes on."""
    what, mark, *rest = path[1:].split(b"/")
    if what.startswith(b"fault-"):
        writer.write(FAULTS[what[6:]])
        return False
    if what == b"extra":  # a whole answer with another one behind it: the second must reach nobody
        writer.write(_whole(mark, mark) + _whole(b"nobody", b"nobody"))
    elif what == b"down":
        body = content(mark, int(rest[0]))
        writer.write(b"HTTP/1.1 200 OK\r\nx-mark: %b\r\ncontent-length: %d\r\n\r\n" % (mark, len(body)))
        for start in range(0, len(body), _PIECE):
            writer.write(body[start : start + _PIECE])
            await writer.drain()
    elif what == b"slow":
        writer.write(b"HTTP/1.1 200 OK\r\nx-mark: %b\r\ntransfer-encoding: chunked\r\n\r\n" % mark)
        for piece in (mark[:1], mark[1:]):
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
            await asyncio.sleep(0.02)
        writer.write(b"0\r\n\r\n")
    elif what == b"wait":
        await asyncio.sleep(0.2)
        writer.write(_whole(mark, mark))
    elif what == b"last":
        writer.write(_whole(mark, mark, b"connection: close"))
        return False
    else:
        writer.write(_whole(mark, b"%b %d %d" % (mark, size, checksum)))
    await writer.drain()
    return True


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    _open.add(writer)
    try:
        goes_on = True
        while goes_on:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ", 2)[1]
            if path == CLOSE_ALL:
                for other in _open - {writer}:
                    other.transport.abort()
                writer.write(_whole(b"-", b""))
                break
            path = path.removeprefix(b"/guarded")
            goes_on = await _answer(writer, path, *await _body(reader, head))
    except (OSError, asyncio.IncompleteReadError):
        pass  # the gateway left
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
