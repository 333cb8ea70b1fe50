"""One suite for every store of sessions: Tortoise on SQLite and PostgreSQL, and the JSON file."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shop_users.accounts import NewAccount
from shop_users.database import sessions, store
from shop_users.sessions import Begun, Ended, Gone, Refreshed, Rules, Sessions, Token

DAY = timedelta(days=1)
RULES = Rules()
STRANGER = "refresh_" + "a" * 65


class Hand:
    """A clock that stands still until somebody moves it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Hand:
    return Hand()


Open = Callable[[Rules], Sessions]


@pytest.fixture
async def opening(kept_at: str, clock: Hand) -> Open:
    """Sessions by any rules, on a store with the accounts 1, 2 and 3."""
    for name in ("ada", "bob", "cyd"):
        await store(kept_at).create(NewAccount(username=name, hashed_password="h", user_type="default", created_by=1))
    return lambda rules: sessions(kept_at, rules, clock)


@pytest.fixture
def kept(opening: Open) -> Sessions:
    return opening(RULES)


async def begin(kept: Sessions, account_id: int = 1) -> Begun:
    return await kept.begin(account_id, user_agent="curl/8", address="192.0.2.1")


def read(text: str) -> Token:
    token = Token.read(text)
    assert token is not None
    return token


async def refresh(kept: Sessions, text: str) -> Refreshed | Ended | None:
    return await kept.refresh(read(text))


async def refreshed(kept: Sessions, text: str) -> Refreshed:
    found = await refresh(kept, text)
    assert isinstance(found, Refreshed)
    return found


async def ids(kept: Sessions, account_id: int = 1) -> list[str]:
    return [session.id for session in await kept.of(account_id)]


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


async def test_another_password_ends_the_sessions_and_a_better_hash_does_not(kept: Sessions, kept_at: str) -> None:
    accounts = store(kept_at)
    mine, theirs = await begin(kept), await begin(kept, 2)
    assert await accounts.rehash(1, "h", "better")
    mine = await refreshed(kept, mine.refresh_token)
    assert await accounts.change_password(1, "h", "late") is None
    assert await accounts.change_password(99, "h", "late") is None
    assert await accounts.change_password(1, "better", "another") == [mine.session_id]
    assert await refresh(kept, mine.refresh_token) is None
    assert await ids(kept) == []
    account = await accounts.get(1)
    assert account is not None
    assert account.hashed_password == "another"
    assert await accounts.change_password(1, "another", "h") == []
    await refreshed(kept, theirs.refresh_token)


async def test_sessions_go_with_their_account(kept: Sessions, kept_at: str) -> None:
    mine, theirs = await begin(kept), await begin(kept, 2)
    assert await store(kept_at).delete(1) == [mine.session_id]
    assert await refresh(kept, mine.refresh_token) is None
    assert await ids(kept) == []
    await refreshed(kept, theirs.refresh_token)


async def test_a_refresh_tells_what_the_account_is_now(kept: Sessions, kept_at: str) -> None:
    begun = await begin(kept)
    await store(kept_at).update(1, {"user_type": "admin", "username": "root"})
    found = await refreshed(kept, begun.refresh_token)
    assert (found.account.user_type, found.account.username) == ("admin", "root")


async def test_nothing_begins_on_an_account_or_a_password_that_is_gone(kept: Sessions) -> None:
    with pytest.raises(Gone):
        await begin(kept, 99)
    with pytest.raises(Gone):
        await kept.begin(1, user_agent="", address="", hashed_password="former")
    await kept.begin(1, user_agent="", address="", hashed_password="h")
    assert len(await ids(kept)) == 1


async def test_logins_and_a_change_of_password_at_once_leave_no_session_of_the_old_one(
    kept: Sessions, kept_at: str
) -> None:
    accounts = store(kept_at)

    async def log_in() -> list[str]:
        try:
            begun = await kept.begin(1, user_agent="", address="", hashed_password="h")
        except Gone:
            return []
        return [begun.session_id]

    async def change() -> list[str]:
        return await accounts.change_password(1, "h", "another") or []

    *begun, ended = await asyncio.gather(*(log_in() for _ in range(9)), change())
    assert sorted(ended) == sorted(session_id for found in begun for session_id in found)
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


@pytest.mark.parametrize(
    "text",
    ["", "refresh_", "a" * 73, STRANGER[:-1], STRANGER + "a", STRANGER + "\n", STRANGER.upper(), "refresh_" + "é" * 65],
)
def test_what_has_not_the_form_of_a_token_is_none(text: str) -> None:
    assert Token.read(text) is None


def test_tokens_have_their_form_and_share_the_session() -> None:
    first = Token.first()
    second = first.next()
    assert Token.read(first.text) == first
    assert Token.read(second.text) == second
    assert first.session_id == second.session_id
    assert first.session_id not in first.text
    assert first.digest != second.digest
    assert first.text[:30] == second.text[:30]
    assert Token.first().session_id != first.session_id
