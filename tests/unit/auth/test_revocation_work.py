"""The work of ending sessions: clients and services may name as many as they like."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counting import calls
from limen.auth import Revocations
from limen.auth.jwt import Jwt
from limen.auth.jwt_live import Verifier, issue
from limen.auth.method import Methods
from limen.auth.session_ends import MOST_ENDED, session_ender
from limen.exchange.principal import Principal
from tokens import NOW, SECRET

CONFIG = Jwt(SECRET, cache=500)


def test_ending_a_session_costs_the_same_however_many_tokens_are_remembered() -> None:
    def cost(remembered: int) -> int:
        ends = Revocations()
        verifier = Verifier(CONFIG, ends)
        for number in range(remembered):
            verifier.verify(issue(CONFIG, 7, "admin", NOW, session=f"s{number}").encode(), NOW)

        def end() -> None:
            for number in range(100):
                ends.end_session(f"other{number}", NOW + 900)
            ends.end_session("s1", NOW + 900)

        found = calls(end)
        assert repr(verifier) == f"<Verifier HS256 {remembered - 1}/500 cached>"
        return found

    assert cost(300) <= cost(3)


@given(
    st.lists(st.tuples(st.sampled_from(["bring", "bring", "end", "late", "subject"]), st.integers(0, 5)), max_size=30)
)
def test_what_is_known_of_sessions_is_what_is_remembered(steps: list[tuple[str, int]]) -> None:
    ends = Revocations()
    config = Jwt(SECRET, cache=3)
    verifier = Verifier(config, ends)
    made = [
        issue(config, n % 3, "admin", NOW, session=f"s{n // 2}" if n else None, jti=str(n)).encode() for n in range(6)
    ]
    ended: set[str] = set()
    for step, number in steps:
        if step == "bring":
            known = verifier.verify(made[number], NOW)
            assert not isinstance(known, Principal) or known.claims.get("sid") not in ended
        elif step == "end":
            ended.add(f"s{number}")
            ends.end_session(f"s{number}", NOW + 900)
        elif step == "late":
            verifier.verify(made[number], NOW + 10_000)
        else:
            ends.end_subject(str(number), NOW - 1, NOW + 900)
        cache, sessions = verifier._cache, verifier._sessions  # pyright: ignore[reportPrivateUsage] - nothing public shows them
        found = {(token, sid) for token, known in cache.items() if isinstance(sid := known[1].claims.get("sid"), str)}
        assert found == {(token, sid) for sid, tokens in sessions.items() for token in tokens}
        assert all(sessions.values())
        assert not ended.intersection(sessions)


def test_an_answer_ends_so_many_sessions_and_not_a_head_full(caplog: pytest.LogCaptureFixture) -> None:
    """Those that it names again cost nothing; what is beyond the bound, or no name, is told once."""
    ends = Revocations()
    heed = session_ender("session-ended", ends, Methods.of(CONFIG), lambda: NOW)
    with caplog.at_level(logging.WARNING, "limen.revocation"):
        assert heed([(b"session-ended", b"again, " * 5000 + b"again")]) == []
        assert len(ends) == 1
        assert not caplog.records
        names = b",".join(b"s%d" % number for number in range(MOST_ENDED + 500))
        assert heed([(b"session-ended", names), (b"a", b"b")]) == [(b"a", b"b")]
        assert len(ends) == 1 + MOST_ENDED
        heed([(b"session-ended", b",".join(b"no name %d" % number for number in range(900)))])
    assert [record.getMessage() for record in caplog.records] == [
        "session-ended: an answer ends 1500 sessions; those after the first 1000 are not ended, and their tokens good until"
        " they expire: name fewer in each answer",
        "session-ended: what a service says has ended is no session's name, 900 times",
    ]
