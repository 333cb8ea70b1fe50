"""Events that a service has stored in the transaction of the change itself, and their delivery to another service over HTTP.

A change and a request to somebody else cannot be one transaction: between them the process may die. So the change stores
the event (the *outbox*), and ``Delivery`` posts what is stored until the receiver has confirmed it. An event may arrive
twice, when its confirmation is lost; the receiver must be idempotent.
"""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from random import random
from time import time
from typing import Any, Protocol

from fastapi import APIRouter, FastAPI
from starlette.middleware import Middleware

from limen_kit.fetch import call, checked_address

_log = logging.getLogger("limen_kit.outbox")

MEDIA_TYPE = "application/cloudevents+json"

# How many events are read at once.
_BATCH = 100

# RFC 9110 section 15.5.9, RFC 8470 section 5.2, RFC 6585 section 4: the same request may succeed later.
_TEMPORARY = frozenset((408, 425, 429))


@dataclass(frozen=True, slots=True)
class Event:
    """Something that has happened. ``id`` is unique at its sender; ``data`` is JSON and part of the contract of ``type``."""

    id: str
    type: str
    data: dict[str, Any]
    created_at: datetime


class Outbox(Protocol):
    """Events that are stored and not delivered yet."""

    async def pending_events(self, limit: int) -> list[Event]:
        """Return at most ``limit`` of them, the oldest first."""
        ...

    async def event_delivered(self, event_id: str) -> None:
        """Forget this event; nothing happens if it is forgotten already."""
        ...


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: for one request, between two looks at an empty outbox, and before an event is posted again.

    After a failure the pause is ``shortest``, then twice as long each time, up to ``longest``; a random part of up to a
    half is taken off, so that several senders do not come back at one moment. After a refusal it is ``longest``.
    """

    timeout: float = 5.0
    look: float = 5.0
    shortest: float = 1.0
    longest: float = 300.0

    def pause(self, failures: int, chance: float) -> float:
        """Return the seconds to wait after so many failures in a row; ``chance`` is at least 0 and less than 1."""
        # The exponent is bounded, so that the power stays a number that a float can hold.
        return min(self.longest, self.shortest * 2 ** min(failures - 1, 32)) * (1 - chance / 2)


class Delivery:
    """Posts the events of ``outbox`` to ``url``, a part of a service: one by one, the oldest first, as CloudEvents 1.0.

    ``sender`` is this service's name, which is the ``source`` of its events. It identifies itself with a token made with
    the secret ``key`` (see ``limen_kit.service_token``). ``url`` and ``key`` are the service's settings ``EVENTS_URL`` and
    ``EVENTS_KEY``, by which messages name them.

    - A status of 2xx confirms an event.
    - 5xx, 408, 425, 429 and no answer at all are failures: the event is posted again after a pause.
    - Any other status is a refusal, which somebody has to mend: it is logged as an error, and the event is kept and posted
      again at the slowest pace.

    No event overtakes another one, so the first that is not confirmed holds back those behind it. Several processes may
    deliver one outbox; then an event may arrive more often, and after a later one.
    """

    routers: Sequence[APIRouter] = ()
    middleware: Sequence[Middleware] = ()

    def __init__(
        self,
        outbox: Outbox,
        url: str,
        *,
        sender: str,
        key: str,
        pace: Pace | None = None,
        now: Callable[[], float] = time,
        chance: Callable[[], float] = random,
    ) -> None:
        """Check the settings; raises ValueError, which repeats neither address nor secret."""
        # Not at the top: who only stores events needs no cryptographic library.
        from limen_kit.service_token import ServiceToken

        try:
            self._token = ServiceToken(sender, key, audience="events")
        except ValueError as error:
            raise ValueError(f"EVENTS_KEY: {error}") from None
        self._outbox = outbox
        self._url = checked_address("EVENTS_URL", url)
        self._sender = sender
        self._pace = pace or Pace()
        self._now, self._chance = now, chance
        self._failures = 0
        self._woken: asyncio.Event | None = None

    def wake(self) -> None:
        """Look for events at once, in the event loop that runs the service. A pause after a failure goes on."""
        if self._woken is not None:
            self._woken.set()

    async def ready(self) -> None:
        """Return: a service works while its events wait."""

    @asynccontextmanager
    async def running(self, app: FastAPI) -> AsyncGenerator[None]:
        """Deliver in the background. What is under way at the end is cancelled, and posted again after the next start."""
        self._woken = asyncio.Event()
        task = asyncio.create_task(self._run(self._woken))
        try:
            yield
        finally:
            self._woken = None
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self, woken: asyncio.Event) -> None:
        while True:
            # Cleared before looking: an event that is stored from here on wakes the next wait.
            woken.clear()
            pause = await self._deliver_pending()
            if pause is not None:
                await asyncio.sleep(pause)
                continue
            with suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), self._pace.look)

    async def _deliver_pending(self) -> float | None:
        """Deliver all events. Return the seconds to pause when one is not delivered, None when none is left."""
        try:
            while events := await self._outbox.pending_events(_BATCH):
                for event in events:
                    pause = await self._deliver(event)
                    if pause is not None:
                        return pause
                    await self._outbox.event_delivered(event.id)
                    # Not before: while the outbox takes no write, the same event would be posted at the fastest pace.
                    self._failures = 0
        except Exception:
            # Such as a database that is away. The delivery must outlive it: nobody would start it again.
            _log.exception("the outbox of %s cannot be read or written; its events wait", self._sender)
            return self._failed()
        self._failures = 0
        return None

    async def _deliver(self, event: Event) -> float | None:
        """Post ``event``. Return None when it is confirmed, else the seconds to pause."""
        headers = {"content-type": MEDIA_TYPE, "authorization": f"Bearer {self._token.at(self._now())}"}
        try:
            answer = await call(
                "POST", self._url, self._pace.timeout, headers=headers, content=to_cloudevent(event, self._sender)
            )
        except (OSError, ValueError) as error:
            reason = str(error) or type(error).__name__
        else:
            if 200 <= answer.status < 300:
                return None
            if answer.status < 500 and answer.status not in _TEMPORARY:
                # Its data and the answer are not logged: they may be about a person.
                _log.error(
                    "event %s (%s) is refused with %d by EVENTS_URL; it is kept and posted again every %g s, and the events "
                    "after it wait. 401 or 403: EVENTS_KEY is not that of the gateway. 404: there is no such route, "
                    "and the gateway has one only where it has an EVENTS_KEY too. Otherwise see the log of the receiver",
                    event.id,
                    event.type,
                    answer.status,
                    self._pace.longest,
                )
                return self._pace.longest
            reason = f"the answer is {answer.status}"
        pause = self._failed()
        _log.warning(
            "event %s (%s) is not delivered: %s; it is posted again in %.1f s", event.id, event.type, reason, pause
        )
        return pause

    def _failed(self) -> float:
        self._failures += 1
        return self._pace.pause(self._failures, self._chance())


def to_cloudevent(event: Event, source: str) -> bytes:
    """Return ``event`` in the JSON format of CloudEvents 1.0."""
    created_at = event.created_at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    members = {
        "specversion": "1.0",
        "id": event.id,
        "source": source,
        "type": event.type,
        "time": created_at,
        "datacontenttype": "application/json",
        "data": event.data,
    }
    return json.dumps(members, separators=(",", ":")).encode()
