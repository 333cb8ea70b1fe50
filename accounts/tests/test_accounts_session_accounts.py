"""Sessions of accounts that change or are deleted, on every kind of store; and the form of refresh tokens."""

import asyncio
from contextlib import suppress

import pytest

from limen_accounts.accounts import Account, AccountMissing
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
    await open_stores(store_url).accounts.update_account(1, {"full_name": "Ada L", "username": "root"})
    refreshed_session = await refreshed(session_store, session.refresh_token)
    assert (refreshed_session.account.full_name, refreshed_session.account.username) == ("Ada L", "root")


async def test_another_user_type_ends_the_sessions_of_that_account(session_store: SessionStore, store_url: str) -> None:
    accounts = open_stores(store_url).accounts
    own_session, theirs = await begin(session_store), await begin(session_store, 2)
    for user_type, ended in (("default", []), ("admin", [own_session.session_id]), ("admin", [])):
        found = await accounts.update_account(1, {"user_type": user_type})
        assert found is not None
        assert (found[0].user_type, found[1]) == (user_type, ended)
    assert await refresh(session_store, own_session.refresh_token) is None
    await refreshed(session_store, theirs.refresh_token)


async def test_no_session_begins_with_a_user_type_that_was_taken_away(
    session_store: SessionStore, store_url: str
) -> None:
    # A login reads the account, then hashes for 0.2 s: what it has read may be no longer true.
    await open_stores(store_url).accounts.update_account(1, {"user_type": "admin"})
    with pytest.raises(AccountMissing):
        await session_store.begin_session(1, user_agent="", address="", user_type="default")
    await session_store.begin_session(1, user_agent="", address="", user_type="admin")


async def test_a_locked_account_has_no_sessions_and_begins_none(session_store: SessionStore, store_url: str) -> None:
    accounts = open_stores(store_url).accounts
    session = await begin(session_store)
    assert await accounts.lock_account(1) == [session.session_id]
    assert await refresh(session_store, session.refresh_token) is None
    with pytest.raises(AccountMissing):
        await begin(session_store)
    assert await accounts.unlock_account(1)
    await begin(session_store)
    assert await accounts.lock_account(99) is None
    assert not await accounts.unlock_account(99)


async def test_a_second_lock_changes_nothing_and_each_change_counts(
    session_store: SessionStore, store_url: str
) -> None:
    accounts, found = open_stores(store_url).accounts, list[Account | None]()
    for change in (accounts.lock_account, accounts.lock_account, accounts.unlock_account, accounts.unlock_account):
        await change(1)
        found.append(await accounts.get_account(1))
    assert [account.version for account in found if account is not None] == [2, 2, 3, 3]
    assert [account.locked_at is not None for account in found if account is not None] == [True, True, False, False]
    assert found[0] == found[1]


async def test_of_logins_and_a_lock_at_once_no_session_is_left(session_store: SessionStore, store_url: str) -> None:
    async def login() -> None:
        with suppress(AccountMissing):
            await begin(session_store)

    await asyncio.gather(*(login() for _ in range(5)), open_stores(store_url).accounts.lock_account(1))
    assert await ids(session_store) == []


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
