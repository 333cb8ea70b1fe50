"""Sessions of accounts that change or are deleted, on every kind of store; and the form of refresh tokens."""

import asyncio

import pytest

from limen_accounts.accounts import AccountMissing
from limen_accounts.sessions import RefreshToken, SessionStore
from limen_accounts.stores import open_stores
from limen_accounts.testing import UNKNOWN_TOKEN, begin, ids, refresh, refreshed


async def test_another_password_ends_the_sessions_and_a_better_hash_does_not(
    session_store: SessionStore, store_url: str
) -> None:
    accounts = open_stores(store_url).accounts
    own_session, theirs = await begin(session_store), await begin(session_store, 2)
    assert await accounts.replace_hash(1, "h", "better")
    own_session = await refreshed(session_store, own_session.refresh_token)
    assert await accounts.change_password(1, "h", "late") is None
    assert await accounts.change_password(99, "h", "late") is None
    assert await accounts.change_password(1, "better", "another") == [own_session.session_id]
    assert await refresh(session_store, own_session.refresh_token) is None
    assert await ids(session_store) == []
    account = await accounts.get_account(1)
    assert account is not None
    assert account.hashed_password == "another"
    assert await accounts.change_password(1, "another", "h") == []
    await refreshed(session_store, theirs.refresh_token)


async def test_deleting_an_account_ends_its_sessions(session_store: SessionStore, store_url: str) -> None:
    own_session, theirs = await begin(session_store), await begin(session_store, 2)
    assert await open_stores(store_url).accounts.delete_account(1) == [own_session.session_id]
    assert await refresh(session_store, own_session.refresh_token) is None
    assert await ids(session_store) == []
    await refreshed(session_store, theirs.refresh_token)


async def test_a_refresh_returns_the_current_account(session_store: SessionStore, store_url: str) -> None:
    session = await begin(session_store)
    await open_stores(store_url).accounts.update_account(1, {"user_type": "admin", "username": "root"})
    refreshed_session = await refreshed(session_store, session.refresh_token)
    assert (refreshed_session.account.user_type, refreshed_session.account.username) == ("admin", "root")


async def test_no_session_begins_for_a_missing_account_or_an_old_password(session_store: SessionStore) -> None:
    with pytest.raises(AccountMissing):
        await begin(session_store, 99)
    with pytest.raises(AccountMissing):
        await session_store.begin_session(1, user_agent="", address="", hashed_password="former")
    await session_store.begin_session(1, user_agent="", address="", hashed_password="h")
    assert len(await ids(session_store)) == 1


async def test_logins_and_a_change_of_password_at_once_leave_no_session_of_the_old_one(
    session_store: SessionStore, store_url: str
) -> None:
    accounts = open_stores(store_url).accounts

    async def log_in() -> list[str]:
        try:
            session = await session_store.begin_session(1, user_agent="", address="", hashed_password="h")
        except AccountMissing:
            return []
        return [session.session_id]

    async def change() -> list[str]:
        return await accounts.change_password(1, "h", "another") or []

    *session, ended = await asyncio.gather(*(log_in() for _ in range(9)), change())
    assert sorted(ended) == sorted(session_id for refreshed_session in session for session_id in refreshed_session)
    assert await ids(session_store) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "refresh_",
        "a" * 73,
        UNKNOWN_TOKEN[:-1],
        UNKNOWN_TOKEN + "a",
        UNKNOWN_TOKEN + "\n",
        UNKNOWN_TOKEN.upper(),
        "refresh_" + "é" * 65,
    ],
)
def test_malformed_tokens_are_not_parsed(text: str) -> None:
    assert RefreshToken.parse(text) is None


def test_tokens_are_well_formed_and_share_the_session() -> None:
    first = RefreshToken.of_new_session()
    second = first.successor()
    assert RefreshToken.parse(first.text) == first
    assert RefreshToken.parse(second.text) == second
    assert first.session_id == second.session_id
    assert first.session_id not in first.text
    assert first.digest != second.digest
    assert first.text[:30] == second.text[:30]
    assert RefreshToken.of_new_session().session_id != first.session_id
