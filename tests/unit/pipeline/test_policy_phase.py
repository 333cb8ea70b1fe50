"""The policies of one phase are asked in order, each once, until one of them answers."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from limen.errors import Fault, Kind
from limen.exchange.outcome import Outcome
from limen.exchange.request import Request
from limen.exchange.settlement import Settlement
from limen.http.replies import Reply
from limen.pipeline.policy_phase import PolicyPhase
from limen.testing import make_request

REFUSAL = Fault(Kind.FORBIDDEN)


class Lease:
    """What a policy grants, and whether it was given back."""

    released = 0

    def release(self) -> None:
        self.released += 1


class Policies:
    """One policy for each of the things that they are to give, and the order in which they were asked."""

    def __init__(self, *given: object) -> None:
        self.asked: list[int] = []
        self.settlement = Settlement(())
        hooks = [self._giving(number, one) for number, one in enumerate(given)]
        self.phase = PolicyPhase(hooks, make_request(), self.settlement)

    def _giving(self, number: int, given: object) -> Callable[[Request], object]:
        def hook(request: Request) -> object:
            self.asked.append(number)
            return given

        return hook


@pytest.mark.parametrize("answer", [REFUSAL, Reply(200, [], b"stored")], ids=["a fault", "a reply"])
def test_nobody_is_asked_behind_an_answer(answer: Fault | Reply) -> None:
    policies = Policies(None, answer, None)
    assert policies.phase.ask() is answer
    assert policies.asked == [0, 1]


def test_a_lease_lets_the_request_pass_and_is_kept_until_it_settles() -> None:
    lease = Lease()
    policies = Policies(lease, None)
    assert policies.phase.ask() is None
    assert (policies.asked, lease.released) == ([0, 1], 0)
    policies.settlement.settle(Outcome(b"GET", b"/", "id", b"peer"))
    assert lease.released == 1


async def test_those_behind_one_that_waits_are_asked_once_it_has_let_the_request_pass() -> None:
    waiting = asyncio.get_running_loop().create_future()
    policies = Policies(None, waiting, REFUSAL, None)
    asked = policies.phase.ask()
    assert isinstance(asked, Awaitable)
    assert policies.asked == [0, 1]
    assert policies.phase.go_on(None) is REFUSAL
    assert policies.asked == [0, 1, 2]


async def test_what_was_waited_for_may_be_an_answer_or_a_lease() -> None:
    lease = Lease()
    for value, outcome in ((REFUSAL, REFUSAL), (lease, None)):
        policies = Policies(asyncio.get_running_loop().create_future(), None)
        policies.phase.ask()
        assert policies.phase.go_on(value) is outcome
    assert lease.released == 0
