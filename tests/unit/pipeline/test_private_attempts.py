"""Which requests authenticate their connection, and that no other target is asked in their place."""

import pytest

from limen import Gateway, Hedge, Retry, Upstream, anyone
from limen.auth import Jwt
from limen.errors import Fault, Kind
from limen.exchange.hooks import NO_HOOKS
from limen.exchange.outcome import Outcome
from limen.pipeline.attempts import NEVER, Attempts
from limen.pipeline.exchange import Exchange
from limen.pipeline.states import SENDING
from limen.routing.table import Match
from limen.runtime.plan import Plan
from limen.testing import make_request
from tokens import SECRET

SERVICE = Upstream(
    "svc", ["http://a", "http://b", "http://c"], retry=Retry(timeout=1.0, backoff=0.0), hedge=Hedge(initial=0.5)
)


def match_of(app: Gateway) -> Match[Plan]:
    app.forward("/{path:path}", upstream=SERVICE, allow=anyone)
    found = app.active_config().table.match(b"GET", b"/x")
    assert isinstance(found, Match)
    return found


def attempts_for(*, private: bool) -> Attempts:
    plan = match_of(Gateway()).plan
    attempts = Attempts(plan, make_request(), NO_HOOKS, Outcome(b"GET", b"/x", "id", b"peer"), b"")
    attempts.private = private
    return attempts


@pytest.mark.parametrize(
    ("headers", "private"),
    [
        ([("Authorization", "NTLM TYPE1")], True),
        ([("Authorization", "negotiate YII=")], True),
        ([("Authorization", "Basic eA==")], False),
        ([("Authorization", "NTLM TYPE1"), ("Connection", "authorization")], False),  # it does not reach the service
        ([("Proxy-Authorization", "NTLM TYPE1")], False),
        ([("X-Authorization", "NTLM TYPE1")], False),
        ([], False),
    ],
)
def test_who_authenticates_a_connection(headers: list[tuple[str, str]], private: bool) -> None:
    app = Gateway()
    found = match_of(app)
    request = make_request("GET", "/x", headers)
    exchange = Exchange(app.active_config(), found, request, Outcome(b"GET", b"/x", "id", b"peer"))
    assert exchange.begin() == SENDING
    assert exchange.to_send().started_attempts().private is private


@pytest.mark.parametrize(("auth", "passes"), [(None, True), (Jwt(SECRET), False)])
def test_whether_credentials_reach_the_service_is_known_when_a_route_is_compiled(
    auth: Jwt | None, passes: bool
) -> None:
    app = Gateway(auth=auth)
    found = match_of(app)
    assert found.plan.passes_authorization is passes
    request = make_request("GET", "/x", [("Authorization", "NTLM TYPE1")])
    exchange = Exchange(app.active_config(), found, request, Outcome(b"GET", b"/x", "id", b"peer"))
    assert exchange.begin() == SENDING
    assert exchange.to_send().started_attempts().private is passes


@pytest.mark.parametrize("private", [False, True])
def test_a_private_request_is_not_sent_to_a_second_target(private: bool) -> None:
    attempts = attempts_for(private=private)
    trial = attempts.begin()
    assert trial is not None
    assert attempts.hedge_after(trial) == (0.0 if private else 0.5)
    assert attempts.may_hedge(replayable=True) is not private
    assert attempts.after_status(503, replayable=True) == (NEVER if private else 0.0)
    reset = Fault(Kind.UPSTREAM_CLOSED)
    assert attempts.after_fault(reset, sent=True, reused=False, replayable=True) == (NEVER if private else 0.0)
    # It has all the time that there is: nobody else would answer.
    assert attempts.time_to_answer(30.0, replayable=True) == (30.0 if private else 1.0)


@pytest.mark.parametrize("sent", [False, True])
def test_a_connection_that_the_service_had_closed_is_replaced_at_the_same_target(sent: bool) -> None:
    attempts = attempts_for(private=True)
    trial = attempts.begin()
    assert trial is not None
    closed = Fault(Kind.UPSTREAM_CLOSED)
    assert attempts.after_fault(closed, sent=sent, reused=True, replayable=True) == 0.0
    again = attempts.begin()
    assert again is not None
    assert again.target is trial.target
    assert attempts.after_fault(closed, sent=True, reused=True, replayable=True) == (NEVER if sent else 0.0)


def test_a_connection_that_was_not_had_is_tried_at_another_target() -> None:
    attempts = attempts_for(private=True)
    tried = [attempts.begin()]
    for _ in range(2):
        assert attempts.after_fault(Fault(Kind.UPSTREAM_REFUSED), sent=False, reused=False, replayable=True) == 0.0
        tried.append(attempts.begin())
    assert len({one.target for one in tried if one is not None}) == 3


def test_an_attempt_goes_to_the_target_that_knows_the_client() -> None:
    for number in range(3):
        attempts = attempts_for(private=False)
        target = attempts.upstream.targets[number]
        attempts.bind(target)
        trial = attempts.begin()
        assert trial is not None
        assert (trial.target, attempts.private) == (target, True)
