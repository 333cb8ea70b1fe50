"""The event of a deleted account: stored with the deletion or not at all, on every kind of store."""

import json
from pathlib import Path
from unittest.mock import patch

import pytest

from limen_accounts.accounts import USER_DELETED, NewAccount
from limen_accounts.stores import Stores, open_stores
from limen_accounts.testing import FakeClock
from limen_accounts.tortoise_stores.models import EventRow
from limen_kit.outbox import Outbox


async def create_accounts(stores: Stores, count: int) -> None:
    for number in range(count):
        await stores.accounts.create_account(
            NewAccount(username=f"user-{number}", hashed_password="h", user_type="default", created_by=1)
        )


@pytest.fixture
def outbox(stores: Stores) -> Outbox:
    assert stores.events is not None
    return stores.events


async def test_deletions_are_events_in_their_order_until_they_are_delivered(
    stores: Stores, outbox: Outbox, clock: FakeClock
) -> None:
    await create_accounts(stores, 3)
    for number in (2, 3, 1):
        await stores.accounts.delete_account(number)
    events = await outbox.pending_events(10)
    assert [(event.type, event.data, event.created_at) for event in events] == [
        (USER_DELETED, {"id": number}, clock.now) for number in (2, 3, 1)
    ]
    assert len({event.id for event in events}) == 3
    assert await outbox.pending_events(2) == events[:2]
    await outbox.event_delivered(events[0].id)
    await outbox.event_delivered(events[0].id)
    await outbox.event_delivered("unknown")
    assert await outbox.pending_events(10) == events[1:]


async def test_what_deletes_nothing_is_no_event(stores: Stores, outbox: Outbox) -> None:
    await create_accounts(stores, 1)
    assert await stores.accounts.delete_account(2) is None
    await stores.accounts.update_account(1, {"full_name": "Ada"})
    assert await outbox.pending_events(10) == []


async def test_without_events_none_are_stored(stores: Stores, outbox: Outbox, store_url: str) -> None:
    await create_accounts(stores, 1)
    silent = open_stores(store_url)
    assert silent.events is None
    assert await silent.accounts.delete_account(1) == []
    assert await outbox.pending_events(10) == []


async def test_an_account_whose_event_cannot_be_stored_stays(stores: Stores, outbox: Outbox, store_url: str) -> None:
    await create_accounts(stores, 1)
    # The last thing that a deletion does, in either kind of store.
    broken = "limen_accounts.json_store.file._save" if store_url.startswith("json:") else None
    full = OSError("disk full")
    with (
        patch(broken, side_effect=full) if broken else patch.object(EventRow, "create", side_effect=full),
        pytest.raises(OSError, match="disk full"),
    ):
        await stores.accounts.delete_account(1)
    assert await stores.accounts.get_account(1) is not None
    assert await outbox.pending_events(10) == []


async def test_a_file_from_before_there_were_events_and_versions_is_read(tmp_path: Path) -> None:
    path = tmp_path / "users.json"
    stores = open_stores(f"json:{path}", events=True)
    await create_accounts(stores, 1)
    document = json.loads(path.read_text())
    del document["events"], document["users"][0]["version"]
    path.write_text(json.dumps(document))
    assert await stores.accounts.delete_account(1) == []
    assert stores.events is not None
    assert len(await stores.events.pending_events(10)) == 1
