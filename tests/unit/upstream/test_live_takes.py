"""Whether an upstream takes a request that could be answered elsewhere: always, unless no target is well."""

from random import Random

from limen import Ejection, Upstream
from limen.testing import make_request
from limen.upstream.live import LiveUpstream

DOWN = "connection refused"


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def live(count: int, time: Time) -> LiveUpstream:
    urls = [f"http://orders-{number}" for number in range(count)]
    ejection = Ejection(seconds=2, longest=10)
    return LiveUpstream(Upstream("orders", urls, ejection=ejection), clock=time, now=time, random=Random(1))


def all_fail(upstream: LiveUpstream) -> None:
    for _ in range(10):
        for target in upstream.targets:
            upstream.failed(target, DOWN, upstream.clock())


def test_one_target_takes_everything() -> None:
    upstream = live(1, Time())
    all_fail(upstream)
    assert upstream.takes(repeatable=False)


def test_several_take_everything_while_one_is_well() -> None:
    upstream = live(2, Time())
    assert upstream.takes(repeatable=False)
    for _ in range(10):
        upstream.failed(upstream.targets[0], DOWN, upstream.clock())
    assert upstream.takes(repeatable=False)


def test_while_none_is_well_one_request_at_a_time_is_taken_that_loses_nothing() -> None:
    time = Time()
    upstream = live(2, time)
    all_fail(upstream)
    assert upstream.takes(repeatable=True)
    assert not upstream.takes(repeatable=False)
    target = upstream.choose(make_request(), [], repeatable=True)
    probe = upstream.began(target, again=False)
    assert not upstream.takes(repeatable=True)
    # A body may come slowly, and an answer may be long in coming: after a while another one finds out.
    time.now += 2.1
    assert upstream.takes(repeatable=True)
    assert not upstream.takes(repeatable=True)
    # One that is answered keeps nobody from it, however long its answer streams.
    upstream.waiting -= 1
    assert upstream.takes(repeatable=True)
    upstream.ended(target, again=False, probe=probe)
    assert upstream.takes(repeatable=True)
    # Where nothing that may be repeated has come for long, anything finds out.
    time.now += 30
    assert upstream.takes(repeatable=False)


def test_once_a_target_answers_everything_is_taken_again() -> None:
    time = Time()
    upstream = live(2, time)
    all_fail(upstream)
    for _ in range(20):
        time.now += 11
        target = upstream.choose(make_request(), [], repeatable=True)
        probe = upstream.began(target, again=False)
        upstream.answered(target, 200, time.now)
        upstream.ended(target, again=False, probe=probe)
    assert upstream.takes(repeatable=False)
