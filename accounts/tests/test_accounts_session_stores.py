"""One suite for every store of sessions: Tortoise on SQLite and PostgreSQL, and the JSON file."""

import asyncio
from datetime import timedelta
from pathlib import Path

from limen_accounts.sessions import EndedSession, NewSession, RefreshedSession, SessionLimits, SessionStore
from limen_accounts.testing import UNKNOWN_TOKEN, FakeClock, OpenSessions, begin, ids, parse, refresh, refreshed

DAY = timedelta(days=1)


async def test_a_session_begins_and_is_refreshed(session_store: SessionStore, clock: FakeClock) -> None:
    session = await begin(session_store)
    assert session.expires_at == clock.now + 30 * DAY
    clock.now += DAY
    first = await refreshed(session_store, session.refresh_token)
    assert (first.session_id, first.expires_at) == (session.session_id, clock.now + 30 * DAY)
    assert (first.account.id, first.account.username, first.account.user_type) == (1, "ada", "default")
    second = await refreshed(session_store, first.refresh_token)
    assert len({session.refresh_token, first.refresh_token, second.refresh_token}) == 3
    (listed,) = await session_store.list_sessions(1)
    assert (listed.id, listed.account_id, listed.user_agent, listed.address) == (
        session.session_id,
        1,
        "curl/8",
        "192.0.2.1",
    )
    assert (listed.created_at, listed.last_used_at, listed.expires_at) == (
        clock.now - DAY,
        clock.now,
        clock.now + 30 * DAY,
    )


async def test_a_used_token_ends_the_session_however_old_it_is(session_store: SessionStore) -> None:
    for uses in (1, 2, 5):
        session = await begin(session_store)
        other = await begin(session_store)
        text = session.refresh_token
        for _ in range(uses):
            text = (await refreshed(session_store, text)).refresh_token
        assert await refresh(session_store, session.refresh_token) == EndedSession(session.session_id, 1)
        assert await refresh(session_store, text) is None
        assert await refresh(session_store, session.refresh_token) is None
        assert other.session_id in await ids(session_store)
        assert session.session_id not in await ids(session_store)
        await refreshed(session_store, other.refresh_token)


async def test_a_token_of_no_session_changes_nothing(session_store: SessionStore) -> None:
    session = await begin(session_store)
    assert await refresh(session_store, UNKNOWN_TOKEN) is None
    assert await session_store.end_session_of(parse(UNKNOWN_TOKEN)) is None
    # A session's id is no secret; knowing it does not help to make a token.
    guess = f"refresh_{session.session_id}{'a' * 43}"
    assert await refresh(session_store, guess) is None
    assert await session_store.end_session_of(parse(guess)) is None
    await refreshed(session_store, session.refresh_token)


async def test_an_unused_token_expires(session_store: SessionStore, clock: FakeClock) -> None:
    session = await begin(session_store)
    clock.now = session.expires_at
    assert await ids(session_store) == []
    assert not await session_store.end_session(1, session.session_id)
    assert await refresh(session_store, session.refresh_token) is None
    assert await session_store.end_session_of(parse(session.refresh_token)) is None


async def test_a_session_ends_at_its_maximum_lifetime(session_store: SessionStore, clock: FakeClock) -> None:
    session = await begin(session_store)
    text, end = session.refresh_token, clock.now + 90 * DAY
    for _ in range(8):
        clock.now += 11 * DAY
        refreshed_session = await refreshed(session_store, text)
        text = refreshed_session.refresh_token
        assert refreshed_session.expires_at == min(clock.now + 30 * DAY, end)
    clock.now = end - timedelta(microseconds=1)
    text = (await refreshed(session_store, text)).refresh_token
    clock.now = end
    assert await refresh(session_store, text) is None


async def test_of_many_who_refresh_with_one_token_one_does_and_the_session_ends(session_store: SessionStore) -> None:
    session = await begin(session_store)
    answers = await asyncio.gather(*(refresh(session_store, session.refresh_token) for _ in range(20)))
    winners = [answer for answer in answers if isinstance(answer, RefreshedSession)]
    assert len(winners) == 1
    assert answers.count(EndedSession(session.session_id, 1)) == 1
    assert answers.count(None) == 18
    assert await ids(session_store) == []
    assert await refresh(session_store, winners[0].refresh_token) is None


async def test_within_the_grace_period_a_used_token_works_once_more(
    open_sessions: OpenSessions, clock: FakeClock
) -> None:
    session_store = open_sessions(SessionLimits(refresh_grace=timedelta(seconds=10)))
    session = await begin(session_store)
    lost = await refreshed(session_store, session.refresh_token)
    clock.now += timedelta(seconds=9)
    repeated = await refreshed(session_store, session.refresh_token)
    # Not a third time: at most one response gets lost.
    assert await refresh(session_store, session.refresh_token) == EndedSession(session.session_id, 1)
    assert await refresh(session_store, repeated.refresh_token) is None
    assert await refresh(session_store, lost.refresh_token) is None


async def test_the_grace_period_never_leaves_two_valid_tokens(open_sessions: OpenSessions) -> None:
    session_store = open_sessions(SessionLimits(refresh_grace=timedelta(seconds=10)))
    session = await begin(session_store)
    owners = await refreshed(session_store, session.refresh_token)
    thiefs = await refreshed(session_store, session.refresh_token)
    assert await refresh(session_store, owners.refresh_token) == EndedSession(session.session_id, 1)
    assert await refresh(session_store, thiefs.refresh_token) is None


async def test_grace_ends(open_sessions: OpenSessions, clock: FakeClock) -> None:
    session_store = open_sessions(SessionLimits(refresh_grace=timedelta(seconds=10)))
    session = await begin(session_store)
    await refreshed(session_store, session.refresh_token)
    clock.now += timedelta(seconds=10)
    assert await refresh(session_store, session.refresh_token) == EndedSession(session.session_id, 1)


async def test_callers_end_only_their_own_sessions(session_store: SessionStore) -> None:
    own, other, theirs = await begin(session_store), await begin(session_store), await begin(session_store, 2)
    assert not await session_store.end_session(1, theirs.session_id)
    assert not await session_store.end_session(1, "a" * 22)
    assert await session_store.end_session(1, own.session_id)
    assert not await session_store.end_session(1, own.session_id)
    assert await refresh(session_store, own.refresh_token) is None
    more = await begin(session_store)
    assert sorted(await session_store.end_sessions(1)) == sorted([other.session_id, more.session_id])
    assert await session_store.end_sessions(1) == []
    assert await session_store.end_sessions(99) == []
    await refreshed(session_store, theirs.refresh_token)


async def test_a_token_ends_its_session_even_when_it_was_used(session_store: SessionStore) -> None:
    for uses in (0, 1):
        session = await begin(session_store)
        for _ in range(uses):
            await refreshed(session_store, session.refresh_token)
        assert await session_store.end_session_of(parse(session.refresh_token)) == EndedSession(session.session_id, 1)
        assert await session_store.end_session_of(parse(session.refresh_token)) is None
        assert await ids(session_store) == []


async def test_the_sessions_of_a_user_are_limited_and_those_in_use_stay(
    open_sessions: OpenSessions, clock: FakeClock
) -> None:
    session_store = open_sessions(SessionLimits(max_sessions=3))
    session: list[NewSession] = []
    for _ in range(3):
        clock.now += DAY
        session.append(await begin(session_store))
    theirs = await begin(session_store, 2)
    clock.now += DAY
    await refreshed(session_store, session[0].refresh_token)
    clock.now += DAY
    fresh = await begin(session_store)
    assert await ids(session_store) == [fresh.session_id, session[0].session_id, session[2].session_id]
    assert await ids(session_store, 2) == [theirs.session_id]


async def test_logins_delete_expired_sessions(
    session_store: SessionStore, clock: FakeClock, store_url: str, tmp_path: Path
) -> None:
    for account_id in (1, 2, 3):
        for _ in range(10):
            await begin(session_store, account_id)
    clock.now += 30 * DAY
    left: list[int] = []
    for _ in range(2):
        await begin(session_store, 1)
        clock.now -= 30 * DAY  # so that they are listed
        left.append(len(await ids(session_store, 2)) + len(await ids(session_store, 3)))
        clock.now += 30 * DAY
    # A database sweeps a few at a time; the file is written whole in any case.
    assert left[-1] == 0
    assert left[0] <= 20


async def test_user_agent_and_address_are_bounded(session_store: SessionStore) -> None:
    await session_store.begin_session(1, user_agent="a\nb\x00\ud800" + "x" * 999, address="1" * 99)
    (session,) = await session_store.list_sessions(1)
    assert session.user_agent == "a?b??" + "x" * 195
    assert session.address == "1" * 64


async def test_no_part_of_a_token_is_stored(session_store: SessionStore, store_url: str, tmp_path: Path) -> None:
    session = await begin(session_store)
    refreshed_session = await refreshed(session_store, session.refresh_token)
    for text in (session.refresh_token, refreshed_session.refresh_token):
        assert text not in repr((session, refreshed_session, parse(text)))
    if store_url.startswith("postgres"):
        return
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert session.session_id.encode() in stored
    for text in (session.refresh_token, refreshed_session.refresh_token):
        for part in (text[8:30], text[30:]):
            assert part.encode() not in stored
