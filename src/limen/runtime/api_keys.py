"""API keys made live: the service that knows them is asked once, and its word is remembered for a while.

What an attacker can make us do is bounded: a key of the wrong form is refused unasked, those who bring the same key wait
for one answer, and only so many questions are open at once.
"""

import asyncio
import json
import logging
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from limen.declare.api_keys import ApiKeys
from limen.declare.principal import Principal
from limen.errors import Fault, Kind
from limen.runtime.identify import UNAVAILABLE, Identified
from limen.upstream.client import send
from limen.upstream.error import UpstreamError
from limen.upstream.pool import Pool

_log = logging.getLogger("limen.identity")

_KEY = re.compile(rb"[\x21-\x7e]{1,512}")
_MOST_BYTES = 65536  # of an answer

REFUSED = Fault(Kind.API_KEY_INVALID, headers=((b"www-authenticate", b'Bearer error="invalid_token"'),))

_Name = Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,256}$")]


class _Answer(BaseModel):
    """What the service says of a key."""

    active: bool
    id: int | _Name | None = None
    owner: int | _Name | None = None
    roles: frozenset[_Name] = frozenset()
    scopes: frozenset[_Name] = frozenset()
    expires_at: AwareDatetime | None = None


class LiveApiKeys:
    """Verifies keys as ``config`` says; ``pool`` leads to the service that knows them."""

    def __init__(self, config: ApiKeys, pool: Pool, now: Callable[[], float]) -> None:
        """Ask nothing yet."""
        self.header = config.header.encode()
        self._config = config
        self._pool = pool
        self._now = now
        self._prefix = config.prefix.encode()
        self._known: OrderedDict[bytes, tuple[float, Identified]] = OrderedDict()
        self._open: dict[bytes, asyncio.Task[Identified]] = {}

    def verify(self, key: bytes, now: float) -> Identified | Awaitable[Identified]:
        """Return whose ``key`` it is, at once if it was asked about lately."""
        known = self._known.get(key)
        if known is not None:
            if now < known[0]:
                self._known.move_to_end(key)
                return known[1]
            del self._known[key]
        if not key.startswith(self._prefix) or not _KEY.fullmatch(key):
            return REFUSED
        asked = self._open.get(key)
        if asked is None:
            if len(self._open) >= self._config.at_once:
                return UNAVAILABLE
            asked = self._open[key] = asyncio.get_running_loop().create_task(self._ask(key))
            asked.add_done_callback(lambda done: self._open.pop(key, None))
        # A client that leaves must not end the question that others wait for.
        return asyncio.shield(asked)

    async def aclose(self) -> None:
        """Give up every question."""
        tasks = list(self._open.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, key: bytes) -> Identified:
        try:
            answer = await self._introspect(key)
        except UpstreamError as error:
            _log.warning("API keys: %s does not answer: %s", self._config.upstream.name, error.fault.kind.code)
            return UNAVAILABLE
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            place = ".".join(map(str, first["loc"])) or "the whole"
            _log.warning("API keys: %s gives no usable answer: %s: %s", self._config.upstream.name, place, first["msg"])
            return UNAVAILABLE
        now = self._now()
        until = now + self._config.remember
        found: Identified = REFUSED
        if answer.active and answer.owner is not None and not _over(answer.expires_at, now):
            found = Principal(
                str(answer.owner),
                answer.roles,
                answer.scopes,
                {"api_key": str(answer.id), "scope": sorted(answer.scopes)},
            )
            if answer.expires_at is not None:
                until = min(until, answer.expires_at.timestamp())
        self._remember(key, until, found)
        return found

    async def _introspect(self, key: bytes) -> _Answer:
        config = self._config
        connection = self._pool.idle() or await self._pool.acquire(config.timeouts.connect)
        answer = await send(
            self._pool,
            connection,
            method=b"POST",
            target=config.path.encode(),
            headers=[(b"content-type", b"application/json"), (b"accept", b"application/json")],
            body=json.dumps({"key": key.decode()}).encode(),
            length=None,
            timeouts=config.timeouts,
        )
        try:
            content = await answer.read(_MOST_BYTES)
        finally:
            await answer.aclose()
        if answer.status != 200:
            raise UpstreamError(Fault(Kind.UPSTREAM_CONTRACT, cause=f"status {answer.status}"), sent=True)
        return _Answer.model_validate_json(content)

    def _remember(self, key: bytes, until: float, found: Identified) -> None:
        if self._config.cache and self._config.remember:
            self._known[key] = (until, found)
            if len(self._known) > self._config.cache:
                self._known.popitem(last=False)

    def __repr__(self) -> str:
        """Show how many are remembered; never a key."""
        return f"<ApiKeys {self._config.upstream.name} {len(self._known)}/{self._config.cache} remembered>"


def _over(end: datetime | None, now: float) -> bool:
    return end is not None and end.timestamp() <= now
