"""One suite for every store of sessions: Tortoise on SQLite and PostgreSQL, and the JSON file."""

import asyncio
from datetime import timedelta
from pathlib import Path

from kept_sessions import STRANGER, Hand, Open, begin, ids, read, refresh, refreshed
from shop_users.sessions import Begun, Ended, Refreshed, Rules, Sessions

DAY = timedelta(days=1)


async def test_a_session_begins_and_goes_on(kept: Sessions, clock: Hand) -> None:
    begun = await begin(kept)
    assert begun.expires_at == clock.now + 30 * DAY
    clock.now += DAY
    first = await refreshed(kept, begun.refresh_token)
    assert (first.session_id, first.expires_at) == (begun.session_id, clock.now + 30 * DAY)
    assert (first.account.id, first.account.username, first.account.user_type) == (1, "ada", "default")
    second = await refreshed(kept, first.refresh_token)
    assert len({begun.refresh_token, first.refresh_token, second.refresh_token}) == 3
    (session,) = await kept.of(1)
    assert (session.id, session.account_id, session.user_agent, session.address) == (
        begun.session_id,
        1,
        "curl/8",
        "192.0.2.1",
    )
    assert (session.created_at, session.last_used_at, session.expires_at) == (
        clock.now - DAY,
        clock.now,
        clock.now + 30 * DAY,
    )


async def test_a_used_token_ends_the_session_however_old_it_is(kept: Sessions) -> None:
    for uses in (1, 2, 5):
        begun = await begin(kept)
        other = await begin(kept)
        text = begun.refresh_token
        for _ in range(uses):
            text = (await refreshed(kept, text)).refresh_token
        assert await refresh(kept, begun.refresh_token) == Ended(begun.session_id, 1)
        assert await refresh(kept, text) is None
        assert await refresh(kept, begun.refresh_token) is None
        assert other.session_id in await ids(kept)
        assert begun.session_id not in await ids(kept)
        await refreshed(kept, other.refresh_token)


async def test_a_token_of_no_session_touches_nothing(kept: Sessions) -> None:
    begun = await begin(kept)
    assert await refresh(kept, STRANGER) is None
    assert await kept.end_by(read(STRANGER)) is None
    # Knowing a session's id, which is no secret, is not having a token of it.
    guess = f"refresh_{begun.session_id}{'a' * 43}"
    assert await refresh(kept, guess) is None
    assert await kept.end_by(read(guess)) is None
    await refreshed(kept, begun.refresh_token)


async def test_a_token_ends_when_it_is_not_used(kept: Sessions, clock: Hand) -> None:
    begun = await begin(kept)
    clock.now = begun.expires_at
    assert await ids(kept) == []
    assert not await kept.end(1, begun.session_id)
    assert await refresh(kept, begun.refresh_token) is None
    assert await kept.end_by(read(begun.refresh_token)) is None


async def test_a_session_ends_however_much_it_is_used(kept: Sessions, clock: Hand) -> None:
    begun = await begin(kept)
    text, end = begun.refresh_token, clock.now + 90 * DAY
    for _ in range(8):
        clock.now += 11 * DAY
        found = await refreshed(kept, text)
        text = found.refresh_token
        assert found.expires_at == min(clock.now + 30 * DAY, end)
    clock.now = end - timedelta(microseconds=1)
    text = (await refreshed(kept, text)).refresh_token
    clock.now = end
    assert await refresh(kept, text) is None


async def test_of_many_who_refresh_with_one_token_one_does_and_the_session_ends(kept: Sessions) -> None:
    begun = await begin(kept)
    answers = await asyncio.gather(*(refresh(kept, begun.refresh_token) for _ in range(20)))
    winners = [answer for answer in answers if isinstance(answer, Refreshed)]
    assert len(winners) == 1
    assert answers.count(Ended(begun.session_id, 1)) == 1
    assert answers.count(None) == 18
    assert await ids(kept) == []
    assert await refresh(kept, winners[0].refresh_token) is None


async def test_a_lost_answer_is_forgiven_once_and_for_a_while(opening: Open, clock: Hand) -> None:
    kept = opening(Rules(grace=timedelta(seconds=10)))
    begun = await begin(kept)
    lost = await refreshed(kept, begun.refresh_token)
    clock.now += timedelta(seconds=9)
    again = await refreshed(kept, begun.refresh_token)
    # A third time is none: at most one answer gets lost.
    assert await refresh(kept, begun.refresh_token) == Ended(begun.session_id, 1)
    assert await refresh(kept, again.refresh_token) is None
    assert await refresh(kept, lost.refresh_token) is None


async def test_grace_never_lets_two_tokens_go_on(opening: Open) -> None:
    kept = opening(Rules(grace=timedelta(seconds=10)))
    begun = await begin(kept)
    owners = await refreshed(kept, begun.refresh_token)
    thiefs = await refreshed(kept, begun.refresh_token)
    assert await refresh(kept, owners.refresh_token) == Ended(begun.session_id, 1)
    assert await refresh(kept, thiefs.refresh_token) is None


async def test_grace_ends(opening: Open, clock: Hand) -> None:
    kept = opening(Rules(grace=timedelta(seconds=10)))
    begun = await begin(kept)
    await refreshed(kept, begun.refresh_token)
    clock.now += timedelta(seconds=10)
    assert await refresh(kept, begun.refresh_token) == Ended(begun.session_id, 1)


async def test_one_ends_only_what_is_ones_own(kept: Sessions) -> None:
    mine, other, theirs = await begin(kept), await begin(kept), await begin(kept, 2)
    assert not await kept.end(1, theirs.session_id)
    assert not await kept.end(1, "a" * 22)
    assert await kept.end(1, mine.session_id)
    assert not await kept.end(1, mine.session_id)
    assert await refresh(kept, mine.refresh_token) is None
    more = await begin(kept)
    assert sorted(await kept.end_all(1)) == sorted([other.session_id, more.session_id])
    assert await kept.end_all(1) == []
    assert await kept.end_all(99) == []
    await refreshed(kept, theirs.refresh_token)


async def test_a_token_ends_its_session_even_when_it_was_used(kept: Sessions) -> None:
    for uses in (0, 1):
        begun = await begin(kept)
        for _ in range(uses):
            await refreshed(kept, begun.refresh_token)
        assert await kept.end_by(read(begun.refresh_token)) == Ended(begun.session_id, 1)
        assert await kept.end_by(read(begun.refresh_token)) is None
        assert await ids(kept) == []


async def test_a_user_has_so_many_sessions_and_keeps_those_in_use(opening: Open, clock: Hand) -> None:
    kept = opening(Rules(most=3))
    begun: list[Begun] = []
    for _ in range(3):
        clock.now += DAY
        begun.append(await begin(kept))
    theirs = await begin(kept, 2)
    clock.now += DAY
    await refreshed(kept, begun[0].refresh_token)
    clock.now += DAY
    fresh = await begin(kept)
    assert await ids(kept) == [fresh.session_id, begun[0].session_id, begun[2].session_id]
    assert await ids(kept, 2) == [theirs.session_id]


async def test_sessions_that_are_over_are_swept_by_logins(
    kept: Sessions, clock: Hand, kept_at: str, tmp_path: Path
) -> None:
    for account_id in (1, 2, 3):
        for _ in range(10):
            await begin(kept, account_id)
    clock.now += 30 * DAY
    left: list[int] = []
    for _ in range(2):
        await begin(kept, 1)
        clock.now -= 30 * DAY  # so that they show
        left.append(len(await ids(kept, 2)) + len(await ids(kept, 3)))
        clock.now += 30 * DAY
    # A database sweeps a few at a time; the file is written whole in any case.
    assert left[-1] == 0
    assert left[0] <= 20


async def test_what_a_client_says_of_itself_is_bounded(kept: Sessions) -> None:
    await kept.begin(1, user_agent="a\nb\x00\ud800" + "x" * 999, address="1" * 99)
    (session,) = await kept.of(1)
    assert session.user_agent == "a?b??" + "x" * 195
    assert session.address == "1" * 64


async def test_no_part_of_a_token_is_kept(kept: Sessions, kept_at: str, tmp_path: Path) -> None:
    begun = await begin(kept)
    found = await refreshed(kept, begun.refresh_token)
    for text in (begun.refresh_token, found.refresh_token):
        assert text not in repr((begun, found, read(text)))
    if kept_at.startswith("postgres"):
        return
    held = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert begun.session_id.encode() in held
    for text in (begun.refresh_token, found.refresh_token):
        for part in (text[8:30], text[30:]):
            assert part.encode() not in held
