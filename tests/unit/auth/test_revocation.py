"""Tokens that end before their time: at once, cached or not, and in bounded memory."""

import logging
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen.auth import Revocations, RevocationStore
from limen.auth.jwt import Jwt
from limen.auth.jwt_live import Verifier, issue
from limen.errors import Fault, Kind
from limen.exchange.principal import Principal
from tokens import NOW, SECRET, token

CONFIG = Jwt(SECRET, leeway=5)
UNTIL = CONFIG.outlived(NOW)


def made(session: str | None = "s", subject: int = 7, now: float = NOW) -> bytes:
    return issue(CONFIG, subject, "admin", now, session=session).encode()


def verdict(verifier: Verifier, given: bytes, now: float = NOW) -> Kind | Principal:
    found = verifier.verify(given, now)
    return found.kind if isinstance(found, Fault) else found


def caller(session: object = None, who: str = "7", exp: float = NOW + 900, iat: object = NOW) -> Principal:
    return Principal(who, claims={"sid": session, "exp": exp, "iat": iat})


def test_it_is_a_store() -> None:
    store: RevocationStore = Revocations()
    assert not store.ended(caller(), NOW)
    assert UNTIL == NOW + 15 * 60 + 5
    with pytest.raises(ValueError, match="would remember nothing; use at least 1"):
        Revocations(0)


def test_a_session_ends_at_once_whether_remembered_or_not() -> None:
    ends = Revocations()
    verifier = Verifier(CONFIG, ends)
    one, same, other, none = made("s"), made("s"), made("t"), made(None)
    before = [verdict(verifier, each) for each in (one, other, none)]
    assert all(isinstance(each, Principal) for each in before)
    ends.end_session("s", UNTIL)
    assert repr(verifier) == "<Verifier HS256 2/4096 cached>"
    for each in (one, same):
        found = verifier.verify(each, NOW)
        assert isinstance(found, Fault)
        assert (found.kind, found.text) == (Kind.TOKEN_REVOKED, "Auth token is revoked.")
        assert found.kind.status == 401
        assert found.headers == ((b"www-authenticate", b'Bearer error="invalid_token"'),)
    assert [verdict(verifier, each) for each in (other, none)] == before[1:]


def test_what_has_expired_is_expired() -> None:
    ends = Revocations()
    verifier = Verifier(CONFIG, ends)
    ends.end_session("s", UNTIL)
    assert verdict(verifier, made(), UNTIL) is Kind.TOKEN_EXPIRED


def test_a_callers_older_tokens_end() -> None:
    ends = Revocations()
    verifier = Verifier(CONFIG, ends)
    old, other = made(), made(subject=8)
    assert isinstance(verdict(verifier, old), Principal)
    assert isinstance(verdict(verifier, other), Principal)
    ends.end_subject("7", NOW + 1, UNTIL)
    assert verdict(verifier, old) is Kind.TOKEN_REVOKED
    assert verdict(verifier, made(now=NOW + 0.5)) is Kind.TOKEN_REVOKED
    assert isinstance(verdict(verifier, made(now=NOW + 1), NOW + 1), Principal)
    assert isinstance(verdict(verifier, other), Principal)
    # A token that does not say when it was issued counts as old.
    assert verdict(verifier, token()) is Kind.TOKEN_REVOKED
    # A later end is not undone by one that reaches less far.
    ends.end_subject("7", NOW - 5, NOW)
    assert verdict(verifier, old) is Kind.TOKEN_REVOKED


def test_ends_are_forgotten_once_they_mean_nothing() -> None:
    ends = Revocations()
    for number in range(50):
        ends.end_session(f"s{number}", NOW + number)
        ends.end_subject(str(number), NOW, NOW + number)
    ends.end_session("s0", NOW + 90)
    assert len(ends) == 100
    assert not ends.ended(caller(), NOW + 49.5)
    assert repr(ends) == "<Revocations 1 sessions, 0 callers, of 100000>"
    assert ends.ended(caller("s0"), NOW + 60)
    assert not ends.ended(caller("s0"), NOW + 90)
    assert len(ends) == 0


@pytest.mark.parametrize("sid", [None, 7, ["s"], {}, True])
def test_sessions_are_text(sid: object) -> None:
    ends = Revocations()
    ends.end_session("s", UNTIL)
    assert not ends.ended(caller(sid), NOW)


def test_what_is_full_refuses_too_much_and_never_too_little(caplog: pytest.LogCaptureFixture) -> None:
    ends = Revocations(3)
    verifier = Verifier(CONFIG, ends)
    early, late = made(None), made(None, now=NOW + 100)
    assert isinstance(verdict(verifier, early), Principal)
    assert isinstance(verdict(verifier, late), Principal)
    with caplog.at_level(logging.WARNING, "limen.revocation"):
        for number in range(3):
            ends.end_session(f"s{number}", UNTIL + number)
        assert not caplog.records
        ends.end_session("s3", UNTIL + 3)
    assert "more than 3 sessions and callers ended at once: every token that ends before" in caplog.text
    assert len(ends) == 3
    # Those of the end that was given up, and, with them, all that end as early.
    assert ends.ended(caller("s0", exp=NOW + 900), NOW)
    assert verdict(verifier, early) is Kind.TOKEN_REVOKED
    assert isinstance(verdict(verifier, late), Principal)
    assert not ends.ended(caller("x", exp=UNTIL + 1), NOW)


def test_the_same_ends_again_and_again_take_no_more_room() -> None:
    ends = Revocations(10)
    for number in range(5000):
        ends.end_session("s", NOW + number)
        ends.end_subject("7", NOW, NOW + number)
    assert len(ends) == 2
    assert len(ends._heap) < 100  # pyright: ignore[reportPrivateUsage] - this is what would grow
    assert ends.ended(caller("s"), NOW + 4998)
    assert not ends.ended(caller("s"), NOW + 4999)


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 4), st.integers(0, 30)), max_size=40),
    st.integers(0, 30),
    st.integers(1, 4),
)
def test_whatever_ended_is_ended(calls: list[tuple[bool, int, int]], now: int, most: int) -> None:
    ends = Revocations(most)
    heard: list[Callable[[Principal], bool]] = []
    ends.listen(heard.append)
    for is_session, name, until in calls:
        if is_session:
            ends.end_session(str(name), until)
        else:
            ends.end_subject(str(name), 10, until)
    assert len(ends) <= most
    assert len(heard) >= len(calls)
    for is_session, name, until in calls:
        # Any token that the end concerns and that is still alive: it ends no later than the end is remembered.
        for exp in range(now + 1, until + 1):
            who = caller(str(name), "x", exp, 20) if is_session else caller(None, str(name), exp, 9)
            assert ends.ended(who, now)
            assert any(test(who) for test in heard)
