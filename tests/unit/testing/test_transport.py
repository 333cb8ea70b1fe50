"""Connections in memory keep the promises that asyncio's transports make."""

import asyncio
from contextvars import copy_context

from hypothesis import given, settings
from hypothesis import strategies as st

from examples import part
from limen.testing.transport import MemoryTransport, connect


class End(asyncio.Protocol):
    """Notes what it is told."""

    def __init__(self, *, half_open: bool = False) -> None:
        self.got = b""
        self.said: list[str] = []
        self.half_open = half_open
        self.transport: MemoryTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, MemoryTransport)
        self.transport = transport
        self.said.append("made")

    def data_received(self, data: bytes) -> None:
        assert data
        self.got += data

    def eof_received(self) -> bool:
        self.said.append("eof")
        return self.half_open

    def connection_lost(self, exc: Exception | None) -> None:
        self.said.append(f"lost {type(exc).__name__}" if exc else "lost")

    def pause_writing(self) -> None:
        self.said.append("pause")

    def resume_writing(self) -> None:
        self.said.append("resume")


def pair(*, half_open: bool = False) -> tuple[End, End]:
    one, other = End(half_open=half_open), End(half_open=half_open)
    connect(one, other, peer=("192.0.2.1", 5), context=copy_context())
    return one, other


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_addresses_and_first_words() -> None:
    one, other = pair()
    assert one.said == other.said == ["made"]
    assert other.transport.get_extra_info("peername") == ("192.0.2.1", 5)
    assert one.transport.get_extra_info("sockname") == ("192.0.2.1", 5)
    one.transport.write(b"hello")
    assert other.got == b""  # in another turn
    await turns()
    assert other.got == b"hello"


async def test_who_closes_is_heard_out() -> None:
    one, other = pair()
    one.transport.write(b"last words")
    one.transport.close()
    one.transport.write(b"no more")
    await turns()
    assert (other.got, other.said) == (b"last words", ["made", "eof", "lost"])
    assert one.said == ["made", "lost"]
    assert repr(one.transport) == "<MemoryTransport lost, 0 bytes unread by the other end>"


async def test_half_a_connection() -> None:
    one, other = pair(half_open=True)
    one.transport.write_eof()
    await turns()
    assert other.said == ["made", "eof"]
    other.transport.write(b"answer")
    other.transport.close()
    await turns()
    assert (one.got, one.said, other.said) == (b"answer", ["made", "eof"], ["made", "eof", "lost"])
    one.transport.close()
    await turns()
    assert one.said == ["made", "eof", "lost"]


async def test_a_reset_and_words_to_nobody() -> None:
    one, other = pair()
    other.transport.write(b"unread")
    one.transport.abort()
    await turns()
    assert (one.got, one.said, other.said) == (b"", ["made", "lost"], ["made", "lost ConnectionResetError"])
    one, other = pair(half_open=True)
    one.transport.close()
    await turns()
    other.transport.write(b"x")
    await turns()
    assert other.said == ["made", "eof", "lost BrokenPipeError"]


async def test_who_does_not_read_holds_the_writer_back() -> None:
    one, other = pair()
    other.transport.pause_reading()
    one.transport.write(b"x" * 65536)
    assert one.said == ["made"]
    one.transport.write(b"x")
    one.transport.close()
    await turns()
    assert one.said == ["made", "pause"]
    assert (other.got, one.transport.get_write_buffer_size()) == (b"", 65537)
    other.transport.resume_reading()
    await turns()
    assert (len(other.got), one.said[-1], other.said) == (65537, "lost", ["made", "eof", "lost"])


@settings(max_examples=part(30))
@given(st.lists(st.one_of(st.binary(max_size=200_000), st.sampled_from(["pause", "resume", "turn"])), max_size=12))
def test_every_byte_arrives_once_and_in_order(steps: list[bytes | str]) -> None:
    async def test() -> None:
        one, other = pair()
        sent = b""
        for step in steps:
            match step:
                case bytes():
                    sent += step
                    one.transport.write(step)
                case "pause":
                    other.transport.pause_reading()
                case "resume":
                    other.transport.resume_reading()
                case _:
                    await asyncio.sleep(0)
        one.transport.close()
        other.transport.resume_reading()
        await turns()
        assert other.got == sent
        assert other.said == ["made", "eof", "lost"]

        assert one.said[-1] == "lost"

    asyncio.run(test())
