"""The policy with every hook keeps its own promises, and its record tells of those that an engine breaks."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from random import Random
from typing import Any

import pytest

from limen.errors import Fault, Kind
from limen.exchange.attempt import AttemptResult
from limen.exchange.hooks import PHASES, Hooks
from limen.exchange.outcome import Outcome
from limen.exchange.policy import Environment
from limen.exchange.request import Request
from limen.testing import EveryHook, Record
from limen.testing.policy import RecordedLease
from policy_requests import answer, request

ENVIRONMENT = Environment(lambda: 0.0, lambda: 0.0, Random(0))
RESULT = AttemptResult("http://a", None, sent=True, reused=False, answered=True, status=200, seconds=0.1)
REFUSAL = Fault(Kind.OVERLOADED)


def hooks(record: Record, **options: Any) -> Hooks:
    return Hooks.of([EveryHook(record, **options).live(ENVIRONMENT)])


def outcome() -> Outcome:
    return Outcome(b"GET", b"/", "r1", b"192.0.2.1")


def exchange(of: Hooks) -> Iterator[tuple[str, Any]]:
    """Do what an engine does, by hand, and yield what comes of it."""
    asked = request()
    yield "enter", of.enter[0](asked)
    yield "arrive", of.arrive[0](asked)
    lease = of.limit[0](asked)
    assert isinstance(lease, RecordedLease)
    yield "lookup", of.lookup[0](asked)
    yield "request_head", of.request_head[0](asked, [(b"a", b"1")])
    body = of.request_body[0](asked)
    assert body is not None
    yield "request_body", (body.feed(b"1"), body.feed(b"2"), body.flush(), body.feed(b"3"), body.end())
    yield "attempt_head", of.attempt_head[0](asked, "http://a")
    of.attempt_ended[0](asked, RESULT)
    tap = of.store[0](asked, answer())
    assert tap is not None
    tap.feed(b"1")
    tap.end()
    head = answer()
    of.answer_head[0](asked, head)
    yield "answer_head", head.lines
    content = of.encode[0](asked, answer())
    assert content is not None
    yield "encode", (content.feed(b"1"), content.end())
    lease.release()
    of.settle[0](outcome())


def test_it_has_every_hook_and_keeps_every_promise() -> None:
    record = Record()
    assert dict(exchange(hooks(record))) == {
        "enter": None,
        "arrive": None,
        "lookup": None,
        "request_head": [(b"a", b"1"), (b"x-every-request", b"every")],
        "request_body": (b"", b"1", b"2", b"", b"3"),
        "attempt_head": [(b"x-every-attempt", b"http://a")],
        "answer_head": [(b"x-every-answer", b"every")],
        "encode": (b"", b"1"),
    }
    assert record.of("r1") == list(PHASES)
    assert record.broken() == []
    assert record.attempts == [("r1", RESULT)]
    assert record.taps[0].content == b"1"
    assert repr(record) == "<Record 1 settled, 0 leases out>"


async def test_waits_are_the_tests() -> None:
    record = Record()
    free: dict[str, asyncio.Future[None]] = {}

    def wait(name: str) -> Callable[[Request], Awaitable[None]]:
        def waiting(request: Request) -> Awaitable[None]:
            free[name] = asyncio.get_running_loop().create_future()
            return free[name]

        return waiting

    of = hooks(record, waits={name: wait(name) for name in ("enter", "limit", "lookup")})
    for name, hook in (("enter", of.enter[0]), ("limit", of.limit[0]), ("lookup", of.lookup[0])):
        asked: Any = hook(request())
        task = asyncio.ensure_future(asked)
        await asyncio.sleep(0)
        assert not task.done()
        free[name].set_result(None)
        found = await task
        assert (found is None) == (name != "limit")
    assert len(record.granted) == 1
    # Who leaves while it waits was granted nothing.
    asked = of.limit[0](request())
    task = asyncio.ensure_future(asked)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert len(record.granted) == 1


def test_what_it_answers_is_the_tests_too() -> None:
    record = Record()
    names = ("enter", "arrive", "limit", "lookup")

    def refuse(request: Request) -> Fault:
        return REFUSAL

    of = hooks(record, answers=dict.fromkeys(names, refuse))
    assert [getattr(of, name)[0](request()) for name in names] == [REFUSAL] * 4
    assert record.granted == []


def test_hooks_may_be_left_out() -> None:
    of = hooks(Record(), phases=frozenset({"arrive", "settle"}))
    assert [name for name in PHASES if getattr(of, name)] == ["arrive", "settle"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"phases": frozenset({"settle", "leave"})}, "phases= has 'leave'; known are enter, arrive"),
        ({"phases": frozenset({"enter"})}, "phases= needs 'settle'"),
        ({"waits": {"arrive": None}}, "waits= has 'arrive'; known are enter, limit, lookup"),
        ({"answers": {"settle": None}}, "answers= has 'settle'; known are enter, arrive, limit, lookup"),
    ],
)
def test_what_it_does_not_have(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        EveryHook(Record(), **options)


def _unsettled(of: Hooks) -> None:
    of.enter[0](request())


def _settled_twice(of: Hooks) -> None:
    of.settle[0](outcome())
    of.settle[0](outcome())


def _late(of: Hooks) -> None:
    of.settle[0](outcome())
    of.answer_head[0](request(), answer())


def _attempt(of: Hooks) -> None:
    of.attempt_head[0](request(), "http://a")
    of.settle[0](outcome())


def _leases(*order: int) -> Callable[[Hooks], None]:
    def take(of: Hooks) -> None:
        leases: list[Any] = [of.limit[0](request()), of.limit[0](request())]
        for which in order:
            leases[which].release()
        of.settle[0](outcome())

    return take


def _tap(*ends: str) -> Callable[[Hooks], None]:
    def end(of: Hooks) -> None:
        tap: Any = of.store[0](request(), answer())
        for one in ends:
            getattr(tap, one)(*([b"x"] if one == "feed" else []))
        of.settle[0](outcome())

    return end


def _transform(*ends: str) -> Callable[[Hooks], None]:
    def end(of: Hooks) -> None:
        made: Any = of.encode[0](request(), answer())
        for one in ends:
            getattr(made, one)(*([b"x"] if one == "feed" else []))
        of.settle[0](outcome())

    return end


@pytest.mark.parametrize(
    ("does", "words"),
    [
        (_unsettled, "r1: settled 0 times: ['enter']"),
        (_settled_twice, "r1: settled 2 times: ['settle', 'settle']"),
        (_late, "r1: called after it was settled: ['settle', 'answer_head']"),
        (_attempt, "r1: an attempt began and did not end: ['attempt_head', 'settle']"),
        (_leases(), "r1: not given back once each, the last first: [<Lease of r1, released 0 times>, "),
        (_leases(1, 0, 0), "r1: not given back once each, the last first: [<Lease of r1, released 2 times>, "),
        (_leases(0, 1), "r1: not given back once each, the last first: "),
        (_leases(1, 0), None),
        (_tap(), "<Tap of r1, ended 0, aborted 0, fed late 0 times>"),
        (_tap("end", "abort"), "<Tap of r1, ended 1, aborted 1, fed late 0 times>"),
        (_tap("abort", "feed"), "<Tap of r1, ended 0, aborted 1, fed late 1 times>"),
        (_tap("feed", "abort"), None),
        (_transform("end", "end"), "<Transform of r1, ended 2, asked late 0 times>"),
        (_transform("end", "feed"), "<Transform of r1, ended 1, asked late 1 times>"),
        (_transform("end", "flush"), "<Transform of r1, ended 1, asked late 1 times>"),
        (_transform("feed"), None),
    ],
)
def test_the_record_tells_of_promises_that_are_broken(does: Callable[[Hooks], None], words: str | None) -> None:
    record = Record()
    does(hooks(record))
    found = record.broken()
    assert len(found) == (words is not None)
    assert words is None or found[0].startswith(words)
