"""Targets that come between two attempts of one exchange: those of other exchanges hear nothing of it."""

from limen import Gateway, Upstream, anyone
from limen.exchange.hooks import NO_HOOKS
from limen.exchange.outcome import Outcome
from limen.pipeline.attempts import NO_TARGETS, Attempts
from limen.routing.table import Match
from limen.testing import make_request
from limen.upstream.target import Target


def test_an_upstream_that_has_one_target_at_first_has_several_for_the_next_attempt() -> None:
    app = Gateway()
    app.forward("/{path:path}", upstream=Upstream("svc", ["http://a"]), allow=anyone)
    found = app.active_config().table.match(b"GET", b"/x")
    assert isinstance(found, Match)
    attempts = Attempts(found.plan, make_request(), NO_HOOKS, Outcome(b"GET", b"/x", "id", b"peer"), b"")
    assert attempts.begin() is None
    attempts.upstream.retarget([Target.parse("http://a"), Target.parse("http://b")])
    second = attempts.begin()
    assert second is not None
    assert repr(attempts) == f"<Attempts 2 {second.target.name}>"
    assert NO_TARGETS == []
