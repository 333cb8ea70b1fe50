"""A WebSocket endpoint of the gateway's own under ``limen serve``, with nothing installed but limen."""

import asyncio
import base64
import hashlib
import signal
import tomllib
from pathlib import Path

import pytest

from commands import running

GATE = """
from fastapi import WebSocket
from limen import Gateway, Upstream, anyone

app = Gateway()
app.forward("/svc/{path:path}", upstream=Upstream("svc", ["http://127.0.0.1:9"]), allow=anyone)


@app.websocket("/ws")
async def shout(websocket: WebSocket) -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text.upper())
"""
KEY = base64.b64encode(b"sixteen bytes ok")
ACCEPT = base64.b64encode(hashlib.sha1(KEY + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())  # RFC 6455 section 1.3
MASK = b"mask"


def handshake(path: bytes) -> bytes:
    lines = (b"GET " + path + b" HTTP/1.1", b"Host: g", b"Connection: Upgrade", b"Upgrade: websocket")
    return b"\r\n".join((*lines, b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: " + KEY, b"", b""))


def frame(opcode: int, content: bytes) -> bytes:
    """Return a frame of a client, which is masked."""
    masked = bytes(byte ^ MASK[i % 4] for i, byte in enumerate(content))
    return bytes((0x80 | opcode, 0x80 | len(content))) + MASK + masked


@pytest.mark.parametrize("engine", ["direct", "asgi"])
async def test_a_handshake_an_echo_and_a_close(tmp_path: Path, port: int, engine: str) -> None:
    (tmp_path / "gate.py").write_text(GATE)
    async with running(tmp_path, "serve", "gate:app", "--port", str(port), "--engine", engine) as command:
        await command.says("Application startup complete")
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(handshake(b"/ws"))
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        assert head.startswith(b"http/1.1 101 ")
        assert b"sec-websocket-accept: " + ACCEPT.lower() in head
        writer.write(frame(1, b"hello") + frame(1, b"again"))
        assert await reader.readexactly(14) == b"\x81\x05HELLO\x81\x05AGAIN"
        writer.write(frame(8, b"\x03\xe8"))  # 1000: a normal end
        assert await reader.read() == b"\x88\x02\x03\xe8"
        writer.close()
        await command.says(r"GET /ws 101 .* route=/ws upstream=- ")
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(handshake(b"/nothing"))
        assert (await reader.readline()).startswith((b"HTTP/1.1 403 ", b"HTTP/1.1 404 "))
        writer.close()
        command.send(signal.SIGTERM)
        assert await command.ends() == 0
    assert "Unsupported upgrade request" not in command.text


def test_what_it_needs_is_installed_with_limen() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert [line for line in project["dependencies"] if line.startswith("websockets")]
