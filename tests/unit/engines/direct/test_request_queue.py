"""The requests of one connection: which one begins when, and what becomes of them when the connection ends."""

import pytest

from limen.engines.direct.input_buffer import MOST_WAITING
from limen.engines.direct.pipelined import GONE, PipelinedRequest
from limen.engines.direct.request_queue import RequestQueue
from limen.engines.direct.worker_state import WorkerState
from limen.errors import Fault, Kind

CUT = Fault(Kind.SHUT_DOWN)


class Told(PipelinedRequest):
    """Writes down what it is told."""

    def __init__(self, name: str, story: list[str]) -> None:
        super().__init__(keep_alive=True)
        self._name = name
        self._story = story

    def begin(self) -> None:
        self._story.append(f"{self._name} begins")

    def client_gone(self, fault: Fault) -> None:
        self._story.append(f"{self._name} ends: {fault.kind.code}")

    def drop(self, fault: Fault) -> None:
        self._story.append(f"{self._name} is dropped: {fault.kind.code}")
        if self._name == "b":
            raise ValueError(self._name)

    def detach(self) -> None:
        super().detach()
        self._story.append(f"{self._name} is replaced")


class Line:
    """A queue, and its story."""

    def __init__(self) -> None:
        state: WorkerState = WorkerState.__new__(WorkerState)  # only what the direct engine serves is counted there
        self.queue = RequestQueue(state)
        self.story: list[str] = []

    def add(self, name: str, *, at_once: bool = True) -> Told:
        request = Told(name, self.story)
        self.queue.add(request, 100, at_once=at_once)
        return request


def test_a_request_begins_at_once_if_the_one_before_it_is_answered() -> None:
    line = Line()
    line.add("a").complete = True
    line.add("b")
    line.add("c")
    assert line.story == ["a begins", "b begins"]
    assert not line.queue.has_next()


def test_what_waits_begins_in_the_order_in_which_it_came() -> None:
    line = Line()
    first = line.add("a")
    second = line.add("b")
    line.add("c")
    for answered in (first, second):
        answered.complete = True
        assert line.queue.has_next()
        line.queue.begin_next()
    assert line.story == ["a begins", "b begins", "c begins"]


def test_nothing_begins_while_the_client_does_not_read() -> None:
    line = Line()
    line.add("a", at_once=False)
    assert line.story == []
    assert line.queue.has_next()


def test_it_is_full_when_as_many_wait_as_may() -> None:
    line = Line()
    for number in range(MOST_WAITING + 1):
        assert not line.queue.is_full()
        line.add(str(number))
    assert line.queue.is_full()


def test_it_is_quiet_only_when_every_request_is_answered() -> None:
    line = Line()
    assert line.queue.is_quiet()
    first = line.add("a")
    assert not line.queue.is_quiet()
    first.complete = True
    assert line.queue.is_quiet()


def test_the_newest_is_withdrawn_only_while_it_waits() -> None:
    line = Line()
    first = line.add("a")
    assert not line.queue.withdraw(first)
    second = line.add("b")
    assert line.queue.withdraw(second)
    assert line.queue.newest is first
    assert line.story == ["a begins", "b is replaced"]


def test_at_the_end_all_are_told_in_their_order_also_if_one_of_them_fails() -> None:
    line = Line()
    for name in "abc":
        line.add(name)
    with pytest.raises(ValueError, match="b"):
        line.queue.end(CUT, stopping=False)
    assert line.story[1:] == ["a ends: shut_down", "b is dropped: shut_down", "c is dropped: shut_down"]


@pytest.mark.parametrize(("keeps_alive", "code"), [(True, "client_closed"), (False, "shut_down")])
def test_what_waits_behind_a_last_answer_is_not_blamed_on_the_client(keeps_alive: bool, code: str) -> None:
    line = Line()
    first = line.add("a")
    line.add("c")
    first.complete, first.keep_alive = True, keeps_alive
    line.queue.end(GONE, stopping=False)
    assert line.story[1:] == [f"c is dropped: {code}"]
