"""The log of ``limen serve`` as a real process: nothing is lost at a stop, and the gateway works when nobody reads it."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

APP = """
from limen import Gateway

app = Gateway()

@app.get("/local/{name}")
def local(name: str) -> str:
    raise LookupError(name)
"""
# Refused in a moment, with a line of some 350 bytes.
ASK = b"GET //%d" + b"x" * 180 + b" HTTP/1.1\r\nhost: g\r\nx-request-id: n-%d\r\n\r\n"


class Serve:
    """The process, and the end of the pipe where its log comes out."""

    def __init__(self, folder: Path, *options: str) -> None:
        (folder / "app.py").write_text(APP)
        self.reading, writing = os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "limen", "serve", "app:app", "--port", "0", *options], cwd=folder, stderr=writing
        )
        os.close(writing)
        self.text = b""
        while not (found := re.search(rb"listening on http://127\.0\.0\.1:(\d+)\n", self.text)) or (
            b"Application startup complete" not in self.text
        ):
            self.more()
        self.port = int(found[1])

    def more(self) -> bool:
        """Read something; False at the end."""
        data = os.read(self.reading, 65536)
        self.text += data
        return bool(data)

    def rest(self) -> str:
        """Read everything until the process has ended."""
        while self.more():
            pass
        return self.text.decode()

    async def ask(self, count: int, first: int = 0) -> None:
        """Send so many requests and insist on an answer to each."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        for start in range(first, first + count, 10):
            writer.write(b"".join(ASK % (number, number) for number in range(start, start + 10)))
            for _ in range(10):
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 400 ")
                length = re.search(rb"content-length: (\d+)", head)
                assert length is not None
                await reader.readexactly(int(length[1]))
        writer.close()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        with contextlib.suppress(OSError):
            os.close(self.reading)


@pytest.fixture
def serve(tmp_path: Path) -> Generator[Serve]:
    made = Serve(tmp_path)
    yield made
    made.close()


async def test_nothing_is_lost_at_a_stop(serve: Serve) -> None:
    await serve.ask(300)
    serve.process.send_signal(signal.SIGTERM)
    text = await asyncio.to_thread(serve.rest)
    assert serve.process.wait() == 0
    assert re.findall(r"GET //\d+x+ 400 .* request_id=n-(\d+) ", text) == [str(number) for number in range(300)]
    lines = text.splitlines()
    assert all(re.match(r"[\d-]{10} [\d:]{8},\d{3} [A-Z]+ [a-z.]+ ", line) for line in lines), text
    stamps = [line[:23] for line in lines if " limen.access " in line]
    assert stamps == sorted(stamps)
    assert "Finished server process" in lines[-1]


async def test_requests_are_answered_while_nobody_reads_the_log_and_lost_lines_are_counted(serve: Serve) -> None:
    await serve.ask(5000)
    while not (found := re.search(rb" limen\.log (\d+) lines were dropped: nobody read the log\n", serve.text)):
        serve.more()
    before = re.findall(rb" request_id=n-(\d+) ", serve.text[: found.start()])
    assert before == [str(number).encode() for number in range(len(before))]
    assert len(before) > 1024 * 1024 // 400
    await serve.ask(10, 5000)  # and it goes on
    serve.process.send_signal(signal.SIGTERM)
    text = await asyncio.to_thread(serve.rest)
    after = re.findall(r" request_id=n-(\d+) ", text[found.end() :])
    first = len(before) + int(found[1])
    assert [int(number) for number in after] == list(range(first, 5010))
    assert serve.process.wait() == 0


async def test_requests_are_answered_after_the_reader_of_the_log_is_killed(serve: Serve) -> None:
    await serve.ask(100)
    os.close(serve.reading)
    await serve.ask(3000)
    assert serve.stop() == 0


async def test_a_log_that_nobody_reads_holds_up_no_stop(serve: Serve) -> None:
    await serve.ask(2000)
    assert serve.stop() == 0


@pytest.mark.parametrize("options", [(), ("--workers", "1")], ids=["alone", "a worker"])
async def test_control_characters_of_a_client_do_not_reach_the_terminal(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    serve = Serve(tmp_path, *options)
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", serve.port)
        writer.write(b"GET /local/%C2%9B31m%C2%85FORGED%E2%80%A8 HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 500 ")
        writer.close()
        serve.process.send_signal(signal.SIGTERM)
        text = await asyncio.to_thread(serve.rest)
    finally:
        serve.close()
    assert not set(text) & set("\x1b\x9b\x85\u2028")
    assert "GET /local/%C2%9B31m%C2%85FORGED%E2%80%A8 failed: LookupError" in text
    assert len(re.findall(r"WARNING .*limen\.access GET /local/%C2%9B.* 500 .*code=internal_error", text)) == 1
    assert "builtins.LookupError, most recent call last:" in text
    assert text.count("FORGED") == text.count("GET /local/%C2%9B31m%C2%85FORGED%E2%80%A8")  # nor is it in the trace
