"""The writer of the log never blocks its caller, and counts the lines that it drops."""

import os
import threading
from collections.abc import Callable, Generator

import pytest

from limen.observe.writer import MOST_BYTES, LineWriter, write_to

LINE = b"x" * 99 + b"\n"


class File:
    """A file that can be paused, and broken; it knows which threads wrote to it."""

    def __init__(self) -> None:
        self.data = b""
        self.threads: set[int] = set()
        self.sizes: list[int] = []
        self.broken = False
        self.writing = threading.Event()
        self.read = threading.Event()
        self.read.set()

    def write(self, data: bytes) -> int:
        self.threads.add(threading.get_ident())
        self.writing.set()
        assert self.read.wait(30)
        if self.broken:
            raise BrokenPipeError
        self.data += data
        self.sizes.append(len(data))
        return len(data)


def notice(count: int) -> bytes:
    return b"missing: %d\n" % count


@pytest.fixture
def file() -> File:
    return File()


@pytest.fixture
def make(file: File) -> Generator[Callable[..., LineWriter]]:
    made: list[LineWriter] = []

    def make(**given: int) -> LineWriter:
        made.append(LineWriter(file.write, notice, **given))
        return made[-1]

    yield make
    file.read.set()
    for writer in made:
        writer.close()


def test_everything_is_written_in_order_by_another_thread(file: File, make: Callable[..., LineWriter]) -> None:
    writer = make()
    lines = [b"%d\n" % number for number in range(5000)]
    for line in lines:
        writer.put(line)
    assert writer.drain(30)
    assert file.data == b"".join(lines)
    assert file.threads
    assert threading.get_ident() not in file.threads


def test_what_nobody_reads_is_bounded_dropped_and_counted_exactly(file: File, make: Callable[..., LineWriter]) -> None:
    file.read.clear()
    writer = make()
    writer.put(LINE)
    assert file.writing.wait(30)
    given = 20_000
    for _ in range(given - 1):
        writer.put(LINE)
    kept = MOST_BYTES // len(LINE)
    assert repr(writer) == f"<LineWriter {kept * len(LINE)} bytes waiting, {given - kept} lines dropped>"
    assert not writer.drain(0)
    file.read.set()
    assert writer.drain(30)
    assert file.data == LINE * kept + notice(given - kept)
    writer.put(LINE)
    assert writer.drain(30)
    assert file.data == LINE * kept + notice(given - kept) + LINE


def test_lines_given_together_are_dropped_together_and_each_counts(file: File, make: Callable[..., LineWriter]) -> None:
    file.read.clear()
    writer = make(most=1000)
    writer.put(LINE * 10, 10)
    assert file.writing.wait(30)
    writer.put(LINE * 7, 7)
    writer.put(b"small\n")  # it would not fit in between: what is missing is missing in one place
    file.read.set()
    assert writer.drain(30)
    assert file.data == LINE * 10 + notice(8)


def test_no_reader_at_all_is_survived_and_counted_once_there_is_one(
    file: File, make: Callable[..., LineWriter]
) -> None:
    writer = make()
    file.broken = True
    for _ in range(3):
        writer.put(LINE)
        assert writer.drain(30)
    file.broken = False
    writer.put(b"back\n")
    assert writer.drain(30)
    assert file.data == b"back\n" + notice(3)


def test_a_notice_that_cannot_be_written_is_not_lost(file: File, make: Callable[..., LineWriter]) -> None:
    writer = make(most=200)
    file.read.clear()
    writer.put(LINE)
    assert file.writing.wait(30)
    for _ in range(5):
        writer.put(LINE)  # one fits
    file.broken = True
    file.read.set()
    assert writer.drain(30)
    file.broken = False
    writer.put(LINE)
    assert writer.drain(30)
    assert file.data == LINE + notice(6)


def test_pieces_are_whole_lines(file: File, make: Callable[..., LineWriter]) -> None:
    writer = make(piece=250)
    writer.put(LINE * 7, 7)
    writer.put(b"y" * 500 + b"\n")
    writer.put(LINE)
    assert writer.drain(30)
    assert file.data == LINE * 7 + b"y" * 500 + b"\n" + LINE
    assert set(file.sizes) <= {100, 200, 501}


def test_it_takes_what_is_said_before_it_ends_and_nothing_after(file: File, make: Callable[..., LineWriter]) -> None:
    writer = make()
    writer.put(LINE)
    writer.close()
    assert writer.drain(30)
    writer.put(LINE)
    assert file.data == LINE


@pytest.mark.parametrize("blocking", [True, False])
def test_a_pipe_that_is_read_late(blocking: bool) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, blocking)
    writer = LineWriter(write_to(writing), notice)
    for _ in range(5000):
        writer.put(LINE)
    found = b""
    while len(found) < 5000 * len(LINE):
        found += os.read(reading, 65536)
    assert found == LINE * 5000
    assert writer.drain(30)
    writer.close()
    os.close(reading)
    os.close(writing)


def test_a_child_begins_anew() -> None:
    reading, writing = os.pipe()
    writer = LineWriter(write_to(writing), notice)
    writer.put(b"parent\n")
    assert writer.drain(30)
    child = os.fork()
    if not child:
        writer.put(b"child\n")
        os._exit(0 if writer.drain(30) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert os.read(reading, 100) == b"parent\nchild\n"
    writer.close()
    os.close(reading)
    os.close(writing)
