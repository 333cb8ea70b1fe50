"""Sessions of accounts that change or go, on every kind of store; and the form of refresh tokens."""

import asyncio

import pytest

from kept_sessions import STRANGER, begin, ids, refresh, refreshed
from shop_users.database import store
from shop_users.sessions import Gone, Sessions, Token


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
