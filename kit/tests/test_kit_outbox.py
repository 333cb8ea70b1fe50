"""The delivery of events, to a receiver on a socket: in order, until they are confirmed, and never lost."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OctKey

from limen_kit.outbox import Delivery, Event, Pace, to_cloudevent

KEY = "a secret of the users service, long enough"
QUICK = Pace(timeout=2, look=0.01, shortest=0.001, longest=0.01)
IDLE = Pace(timeout=2, look=3600, shortest=0.001, longest=3600)


def user_deleted(number: int) -> Event:
    return Event(f"event-{number}", "user.deleted", {"id": number}, datetime(2026, 12, 1, 12, tzinfo=UTC))


class Stored:
    """An outbox in memory that tells when it is empty, and can fail."""

    def __init__(self, *events: Event) -> None:
        self.events = list(events)
        self.failing = 0
        self.emptied = asyncio.Event()

    async def pending_events(self, limit: int) -> list[Event]:
        if self.failing:
            self.failing -= 1
            raise ConnectionError("the database is away")
        if not self.events:
            self.emptied.set()
        return self.events[:limit]

    async def event_delivered(self, event_id: str) -> None:
        self.events = [event for event in self.events if event.id != event_id]

    def append(self, event: Event) -> None:
        self.emptied.clear()
        self.events.append(event)


class Receiver:
    """Answers each request with the next of ``statuses``, then 204. 0 hangs up, -1 never answers."""

    def __init__(self, statuses: Sequence[int]) -> None:
        self.statuses = list(statuses)
        self.heads: list[bytes] = []
        self.received: list[dict[str, Any]] = []
        self.arrived = asyncio.Event()
        self.connections: set[asyncio.Task[None] | None] = set()
        self.url = ""

    @property
    def ids(self) -> list[str]:
        return [event["id"] for event in self.received]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.add(asyncio.current_task())
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(next(line for line in head.lower().split(b"\r\n") if b"content-length" in line).split(b":")[1])
            self.heads.append(head)
            self.received.append(json.loads(await reader.readexactly(length)))
            self.arrived.set()
            status = self.statuses.pop(0) if self.statuses else 204
            if status < 0:
                await reader.read()  # until the sender gives up
            elif status:
                writer.write(b"HTTP/1.1 %d X\r\ncontent-length: 0\r\n\r\n" % status)
                await writer.drain()
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


@asynccontextmanager
async def receiver(*statuses: int, port: int = 0) -> AsyncGenerator[Receiver]:
    found = Receiver(statuses)
    async with await asyncio.start_server(found.serve, "127.0.0.1", port) as listener:
        found.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/events"
        yield found
        await asyncio.gather(*filter(None, found.connections), return_exceptions=True)


def delivery(outbox: Stored, receiver: Receiver, pace: Pace = QUICK) -> Delivery:
    return Delivery(outbox, receiver.url, sender="users", key=KEY, pace=pace, now=lambda: 1_800_000_000)


async def test_events_arrive_in_order_and_identified() -> None:
    outbox = Stored(user_deleted(4), user_deleted(5))
    async with receiver() as there, delivery(outbox, there).running(FastAPI()):
        await outbox.emptied.wait()
    assert there.received[0] == {
        "specversion": "1.0",
        "id": "event-4",
        "source": "users",
        "type": "user.deleted",
        "time": "2026-12-01T12:00:00.000000Z",
        "datacontenttype": "application/json",
        "data": {"id": 4},
    }
    assert there.ids == ["event-4", "event-5"]
    lines = dict(line.split(": ", 1) for line in there.heads[0].decode().lower().split("\r\n")[1:] if line)
    assert lines["content-type"] == "application/cloudevents+json"
    token = there.heads[0].decode().partition("Bearer ")[2].partition("\r\n")[0]
    claims = jwt.decode(token, OctKey.import_key(KEY), algorithms=["HS256"]).claims
    assert claims == {
        "iss": "users",
        "aud": "events",
        "id": "users",
        "user_type": "service",
        "iat": 1_800_000_000,
        "exp": 1_800_000_060,
    }


@pytest.mark.parametrize("failures", [[503], [500, 502, 504], [0, 0], [408, 425, 429], [301], [401, 403], [404, 422]])
async def test_an_event_is_posted_until_it_is_confirmed_and_none_overtakes_it(failures: list[int]) -> None:
    outbox = Stored(user_deleted(1), user_deleted(2))
    async with receiver(*failures) as there, delivery(outbox, there).running(FastAPI()):
        await outbox.emptied.wait()
    assert there.ids == ["event-1"] * (len(failures) + 1) + ["event-2"]


async def test_a_receiver_that_does_not_answer_costs_the_timeout() -> None:
    outbox = Stored(user_deleted(1))
    pace = Pace(timeout=0.2, look=0.01, shortest=0.001, longest=0.01)
    async with receiver(-1) as there, delivery(outbox, there, pace).running(FastAPI()):
        await outbox.emptied.wait()
    assert there.ids == ["event-1", "event-1"]


async def test_a_refused_event_is_kept_and_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    outbox = Stored(user_deleted(1))
    async with receiver(403, 503) as there, delivery(outbox, there).running(FastAPI()):
        await outbox.emptied.wait()
    refused, failed = [record for record in caplog.records if record.name == "limen_kit.outbox"]
    assert (refused.levelname, failed.levelname) == ("ERROR", "WARNING")
    assert "event-1 (user.deleted) is refused with 403" in refused.getMessage()
    assert KEY not in caplog.text
    assert "Bearer" not in caplog.text


async def test_a_store_that_is_away_ends_no_delivery() -> None:
    outbox = Stored(user_deleted(1))
    outbox.failing = 2
    async with receiver() as there, delivery(outbox, there).running(FastAPI()):
        await outbox.emptied.wait()
    assert there.ids == ["event-1"]


async def test_an_outbox_that_takes_no_write_slows_the_delivery_down(caplog: pytest.LogCaptureFixture) -> None:
    class ReadOnly(Stored):
        async def event_delivered(self, event_id: str) -> None:
            if len(there.received) < 4:
                raise ConnectionError("the disk is full")
            await super().event_delivered(event_id)

    outbox = ReadOnly(user_deleted(1))
    counts: list[int] = []

    class Counting(Pace):
        def pause(self, failures: int, chance: float) -> float:
            counts.append(failures)
            return super().pause(failures, chance)

    pace = Counting(timeout=2, look=0.01, shortest=0.001, longest=0.01)
    async with receiver() as there, delivery(outbox, there, pace).running(FastAPI()):
        await outbox.emptied.wait()
    assert there.ids == ["event-1"] * 4
    assert counts == [1, 2, 3]
    assert "its events wait" in caplog.text


async def test_two_processes_may_deliver_one_outbox() -> None:
    outbox = Stored(*map(user_deleted, range(20)))
    async with (
        receiver(503, 0, 500) as there,
        delivery(outbox, there).running(FastAPI()),
        delivery(outbox, there).running(FastAPI()),
    ):
        await outbox.emptied.wait()
    assert outbox.events == []
    assert set(there.ids) == {f"event-{number}" for number in range(20)}


async def test_it_wakes_at_once() -> None:
    outbox = Stored()
    async with receiver() as there:
        sender = delivery(outbox, there, IDLE)
        sender.wake()  # before it runs: nothing to wake
        async with sender.running(FastAPI()):
            await outbox.emptied.wait()
            outbox.append(user_deleted(1))
            sender.wake()
            await outbox.emptied.wait()
        sender.wake()
    assert there.ids == ["event-1"]


async def test_a_stop_in_the_middle_of_a_request_keeps_the_event() -> None:
    outbox = Stored(user_deleted(1))
    async with receiver(-1) as there:
        async with delivery(outbox, there, IDLE).running(FastAPI()):
            await there.arrived.wait()
        assert outbox.events == [user_deleted(1)]
        async with delivery(outbox, there, IDLE).running(FastAPI()):
            await outbox.emptied.wait()
    assert there.ids == ["event-1", "event-1"]


async def test_a_receiver_that_comes_later_gets_everything() -> None:
    outbox = Stored(*map(user_deleted, range(250)))
    async with receiver() as gone:
        pass
    async with delivery(outbox, gone).running(FastAPI()):
        port = int(gone.url.rpartition(":")[2].partition("/")[0])
        async with receiver(port=port) as there:
            await outbox.emptied.wait()
    assert there.ids == [f"event-{number}" for number in range(250)]


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_pauses_are_bounded(failures: int, chance: float) -> None:
    pause = Pace().pause(failures, chance)
    assert 0.5 <= pause <= 300
    assert Pace().pause(1, 0) == 1
    assert Pace().pause(failures, chance) <= Pace().pause(failures + 1, chance)


@pytest.mark.parametrize(
    ("url", "key", "message"),
    [
        ("http://gateway/events", "short secret", "EVENTS_KEY: the secret has 12 bytes"),
        ("gateway/events", KEY, "EVENTS_URL must be like"),
        ("http://hunter2@gateway", KEY, "EVENTS_URL: the address needs no user"),
        ("http://gateway:hunter2", KEY, "EVENTS_URL is no address"),
    ],
)
def test_settings_that_can_never_work_are_refused_without_being_repeated(url: str, key: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as refused:
        Delivery(Stored(), url, sender="users", key=key)
    assert "hunter2" not in str(refused.value)
    assert "short secret" not in str(refused.value)


def test_the_time_of_an_event_is_told_in_utc() -> None:
    event = Event("1", "t", {}, datetime(2026, 12, 1, 1, tzinfo=timezone(timedelta(hours=2))))
    assert json.loads(to_cloudevent(event, "users"))["time"] == "2026-11-30T23:00:00.000000Z"
