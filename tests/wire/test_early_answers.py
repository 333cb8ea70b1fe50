"""A service answers before it has read the request, and hangs up: its answer counts, although a write has failed."""

import asyncio
import socket

import pytest

from limen.errors import Kind
from limen.upstream.connection import Connection
from limen.upstream.flow_control import MOST_AFTER_RESET
from serving import until
from talk import TARGET, RecordedAnswer
from turning import timeless

HEAD = b"HTTP/1.1 413 Content Too Large\r\n"
SIZED = HEAD + b"content-length: 2\r\n\r\nno"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"
UNTIL_CLOSE = HEAD + b"connection: close\r\n\r\nno"


async def exchange_over_socket(
    answer: bytes, *, first: int = 0, reads: bool = False
) -> tuple[RecordedAnswer, Connection]:
    """Return what an exchange comes to whose service says ``answer`` and closes.

    The gateway reads ``first`` bytes of it in time; it does not get to the others before a write of its own fails. The
    service leaves a part of the request unread, unless it ``reads`` all: then its end is an end, and no reset.
    """
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connection = Connection(TARGET, 4096, lambda _: None, timeless())
        seen = RecordedAnswer()
        await loop.create_connection(lambda: connection, "127.0.0.1", listener.getsockname()[1])
        service, _ = listener.accept()
        with service:
            connection.start(seen, b"PUT", b"PUT / HTTP/1.1\r\n\r\n", whole=False)
            service.recv(65536 if reads else 1)
            if first:
                service.sendall(answer[:first])
                await until(lambda: connection.answering)
            connection.pause()
            service.sendall(answer[first:])
        while not connection.lost:
            connection.write(b"x" * 4096)
            await asyncio.sleep(0)
    return seen, connection


@pytest.mark.parametrize("first", [0, 1, len(HEAD), len(SIZED) - 1])
async def test_an_answer_that_waited_when_a_write_failed_is_read(first: int) -> None:
    seen, connection = await exchange_over_socket(SIZED, first=first)
    assert (seen.status, seen.content, seen.ended, seen.kind) == (413, b"no", True, None)
    assert not connection.reusable


async def test_interim_answers_before_it_are_passed_over() -> None:
    seen, _ = await exchange_over_socket(INTERIM * 3 + SIZED)
    assert (seen.status, seen.content, seen.ended) == (413, b"no", True)


@pytest.mark.parametrize("answer", [b"", INTERIM, HEAD, SIZED[:-1], UNTIL_CLOSE])
async def test_a_reset_within_an_answer_leaves_it_cut(answer: bytes) -> None:
    seen, _ = await exchange_over_socket(answer)
    assert (seen.ended, seen.kind) == (False, Kind.UPSTREAM_CLOSED)


async def test_an_answer_until_the_end_is_whole_if_the_service_has_said_so() -> None:
    seen, _ = await exchange_over_socket(UNTIL_CLOSE, reads=True)
    assert (seen.status, seen.content, seen.ended) == (413, b"no", True)


async def test_an_invalid_answer_is_a_fault_then_too() -> None:
    seen, _ = await exchange_over_socket(b"nonsense\r\n\r\n")
    assert (seen.ended, seen.kind) == (False, Kind.UPSTREAM_PROTOCOL)


async def test_input_after_a_failed_write_is_bounded() -> None:
    """A buffer of the system's may hold more than anybody may have to hold for a client."""
    seen, _ = await exchange_over_socket(HEAD + b"content-length: 100000000\r\n\r\n" + b"." * 200_000)
    assert (seen.ended, seen.kind) == (False, Kind.UPSTREAM_CLOSED)
    assert len(seen.content) <= MOST_AFTER_RESET
