"""The access log under plain uvicorn, which configures only its own loggers."""

import asyncio
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from shop_processes import free_ports

APP = """
from limen import Gateway, Upstream, anyone

app = Gateway()
app.forward("/svc/{path:path}", upstream=Upstream("svc", ["http://127.0.0.1:9"]), allow=anyone)

@app.get("/local")
def local() -> str:
    return "local"
"""


@pytest.mark.parametrize("protocol", ["GatewayProtocol", "GuardedProtocol"])
async def test_every_request_is_one_line_without_its_query(tmp_path: Path, protocol: str) -> None:
    (tmp_path / "app.py").write_text(APP)
    (port,) = free_ports(1)
    argv = [
        "-m",
        "uvicorn",
        "app:app",
        "--port",
        str(port),
        "--http",
        f"limen.engines.direct:{protocol}",
        "--no-use-colors",
    ]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *argv, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    try:
        while b"running on" not in (line := await process.stdout.readline()):
            assert line, "it has ended"
        for target in (b"/svc/x?secret", b"/local?secret", b"/nothing?secret", b"/svc//x?secret"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET " + target + b" HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n")
            assert b"\r\nx-request-id: " in await reader.read()
            writer.close()
        process.send_signal(signal.SIGTERM)
        text = (await process.stdout.read()).decode()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    found = re.findall(r"(?m)^(\w+): +GET (\S+) (\d+) .* request_id=", text)
    assert found == [
        ("WARNING", "/svc/x", "503"),
        ("INFO", "/local", "200"),
        ("INFO", "/nothing", "404"),
        ("INFO", "/svc//x", "400"),
    ]
    assert "secret" not in text
