"""Small requests over HTTP: what is sent and what comes back, within bounds; and the token of a service."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress

import pytest

from limen_kit.fetch import MAX_BYTES, Answer, call, checked_address
from limen_kit.service_token import ServiceToken

Respond = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def served(respond: Respond) -> AsyncGenerator[str]:
    open_connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_connections.add(task)
        try:
            await respond(reader, writer)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listener:
        yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        await asyncio.gather(*open_connections, return_exceptions=True)


def answering(data: bytes) -> Respond:
    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(data)
        await writer.drain()

    return respond


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def test_a_request_goes_out_whole() -> None:
    received: list[bytes] = []

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.readuntil(b"\r\n\r\n"))
        received.append(await reader.readexactly(5))
        writer.write(b"HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\nok")
        await writer.drain()

    async with served(respond) as url:
        answer = await call("POST", f"{url}/a/b?c=d", 5, headers={"x-one": "1"}, content=b"hello")
    assert answer == Answer(201, b"ok")
    head = received[0].lower()
    assert head.startswith(b"post /a/b?c=d http/1.1\r\n")
    assert b"\r\nx-one: 1\r\n" in head
    assert b"\r\nconnection: close\r\n" in head
    assert received[1] == b"hello"


@pytest.mark.parametrize("status", [204, 301, 404, 503])
async def test_any_status_is_an_answer_and_none_is_followed(status: int) -> None:
    async with served(answering(b"HTTP/1.1 %d X\r\ncontent-length: 0\r\nlocation: /b\r\n\r\n" % status)) as url:
        assert await call("GET", url, 5) == Answer(status, b"")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (MAX_BYTES + 1, b"x" * (MAX_BYTES + 1)),
    ],
)
async def test_what_is_no_whole_small_answer_is_an_error(data: bytes) -> None:
    async with served(answering(data)) as url:
        with pytest.raises((OSError, ValueError)):
            await call("GET", url, 5)


async def test_the_wait_for_a_thread_counts() -> None:
    with ThreadPoolExecutor(1) as executor:
        async with served(silent) as url:
            calls = (call("GET", url, 0.3, executor=executor) for _ in range(3))
            found = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(error) for error in found] == [TimeoutError] * 3


async def test_nobody_there_is_an_error() -> None:
    async with served(silent) as url:
        pass
    with pytest.raises(OSError, match=r"\w"):
        await call("GET", url, 5)


def test_an_address_loses_the_slash_at_its_end() -> None:
    assert checked_address("GATEWAY_URL", "http://gateway:8000/") == "http://gateway:8000"
    assert checked_address("GATEWAY_URL", "https://shop.example/below") == "https://shop.example/below"


def test_a_secret_shows_nowhere() -> None:
    secret = "a secret of the users service, long enough"
    assert secret not in repr(ServiceToken("users", secret, audience="events"))
    with pytest.raises(ValueError, match="has 5 bytes") as refused:
        ServiceToken("users", "short", audience="events")
    assert "short" not in str(refused.value)
