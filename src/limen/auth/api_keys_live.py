"""API keys made live: the service that knows them is asked once, and its word is remembered for a while.

What an attacker can make us do is bounded, and made-up keys keep no other ones out:

1. a key of the wrong form is refused unasked, and those who bring the same key wait for one answer
2. good keys are remembered apart from the others, which cannot push them out, and asked about again before their time is over
3. half of the questions at once are for keys that were good lately; the other half goes round among the clients that bring
   keys which nobody has seen, and a quarter of the service's connections is the most that it takes
4. who waits for a question is bounded; beyond that it is 503, and not 401: the key may be good
"""

import asyncio
import json
import logging
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import datetime
from ipaddress import IPv6Address, ip_address
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from limen.auth.api_keys import ApiKeys
from limen.auth.identify import UNAVAILABLE, Identified
from limen.errors import Fault, Kind
from limen.exchange.principal import Principal
from limen.fairness.fair_queue import FairQueue, Place
from limen.http.forwarded import client_of
from limen.upstream.error import UpstreamError
from limen.upstream.pool import Pool
from limen.upstream.request_sender import send

_log = logging.getLogger("limen.identity")

_KEY = re.compile(rb"[\x21-\x7e]{1,512}")
_MOST_BYTES = 65536  # of an answer

# The part of the time that an answer is believed after which a key that is in use is asked about again, meanwhile believed.
_RENEW = 0.75

REFUSED = Fault(Kind.API_KEY_INVALID, headers=((b"www-authenticate", b'Bearer error="invalid_token"'),))

_Name = Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,256}$")]


class _Answer(BaseModel):
    """What the service says of a key."""

    model_config = ConfigDict(defer_build=True)  # 20 ms, which is no matter of a gateway without API keys

    active: bool
    id: int | _Name | None = None
    owner: int | _Name | None = None
    roles: frozenset[_Name] = frozenset()
    scopes: frozenset[_Name] = frozenset()
    expires_at: AwareDatetime | None = None


class _Good:
    """A key that was good when it was asked about: believed before ``until``, asked about again from ``renew`` on."""

    __slots__ = ("principal", "renew", "until")

    def __init__(self, principal: Principal, renew: float, until: float) -> None:
        self.principal = principal
        self.renew = renew
        self.until = until


class LiveApiKeys:
    """Verifies keys as ``config`` says; ``pool`` leads to the service that knows them."""

    def __init__(self, config: ApiKeys, pool: Pool, now: Callable[[], float]) -> None:
        """Ask nothing yet."""
        _Answer.model_rebuild()  # now, and not with the first answer while others wait
        self.header = config.header.encode()
        self._config = config
        self._pool = pool
        self._now = now
        self._prefix = config.prefix.encode()
        self._good: OrderedDict[bytes, _Good] = OrderedDict()  # also those that have to be asked about again
        self._bad: OrderedDict[bytes, float] = OrderedDict()
        self._open: dict[bytes, asyncio.Task[Identified]] = {}
        self._trouble = ""
        connections = config.upstream.limits.connections * len(config.upstream.addresses)
        unseen = max(1, min(config.at_once // 2, connections // 4))
        self._unseen = FairQueue(unseen, config.waiting, max(1, unseen // 2))
        # Each of them has one question at most, so there are never more in line than are remembered.
        known = config.at_once - unseen
        self._renewed = FairQueue(known, config.cache, known)

    def verify(self, key: bytes, now: float, origin: bytes) -> Identified | Awaitable[Identified]:
        """Return whose ``key`` it is, at once if it was asked about lately; ``origin`` says which client brings it."""
        good = self._good.get(key)
        if good is not None:
            self._good.move_to_end(key)
            if now < good.until:
                if now >= good.renew:
                    good.renew = good.until  # once: then it is asked about when it is over
                    if key not in self._open:
                        self._question(key, b"", self._renewed)
                return good.principal
        else:
            if not key.startswith(self._prefix) or not _KEY.fullmatch(key):
                return REFUSED
            until = self._bad.get(key)
            if until is not None:
                if now < until:
                    return REFUSED
                del self._bad[key]
        asked = self._open.get(key)
        if asked is None:
            asked = (
                self._question(key, _neighbours(client_of(origin)), self._unseen)
                if good is None
                else self._question(key, b"", self._renewed)
            )
        # A client that leaves must not end the question that others wait for.
        return UNAVAILABLE if asked is None else asyncio.shield(asked)

    async def drained(self) -> None:
        """Return once no question is open."""
        while self._open:
            await asyncio.wait(list(self._open.values()))

    async def aclose(self) -> None:
        """Give up every question."""
        tasks = list(self._open.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _question(self, key: bytes, client: bytes, queue: FairQueue) -> asyncio.Task[Identified] | None:
        """Ask, or wait in line for that; None where the line is full."""
        place = queue.ask(client)
        if place is None:
            return None
        asked = self._open[key] = asyncio.get_running_loop().create_task(self._ask(key, client, queue, place))
        asked.add_done_callback(lambda done: self._open.pop(key, None))
        return asked

    async def _ask(self, key: bytes, client: bytes, queue: FairQueue, place: Place) -> Identified:
        # An answer takes no longer than that, so who waits longer waits for nothing.
        if not await queue.granted(client, place, self._config.timeouts.first_byte):
            return UNAVAILABLE
        try:
            answer = await self._introspect(key)
        except UpstreamError as error:
            self._troubled(f"does not answer: {error.fault.kind.code}")
            return UNAVAILABLE
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(map(str, first["loc"])) or "the whole"
            self._troubled(f"gives no usable answer: {where}: {first['msg']}")
            return UNAVAILABLE
        finally:
            queue.leave(client)
        self._troubled("")
        return self._learnt(key, answer, self._now())

    def _troubled(self, cause: str) -> None:
        """Log what is wrong with the service, or "", when it changes: a line for each question could fill a disk."""
        if cause != self._trouble:
            _log.warning("API keys: %s %s", self._config.upstream.name, cause or "answers again")
            self._trouble = cause

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

    def _learnt(self, key: bytes, answer: _Answer, now: float) -> Identified:
        """Remember what was answered, and return it."""
        config = self._config
        until = now + config.remember
        if not answer.active or answer.owner is None or _over(answer.expires_at, now):
            self._good.pop(key, None)
            if config.cache and config.remember:
                self._bad[key] = until
                if len(self._bad) > config.cache:
                    self._bad.popitem(last=False)
            return REFUSED
        principal = Principal(
            str(answer.owner),
            answer.roles,
            answer.scopes,
            {"api_key": str(answer.id), "scope": sorted(answer.scopes)},
        )
        if answer.expires_at is not None:
            until = min(until, answer.expires_at.timestamp())
        if config.cache:
            self._good[key] = _Good(principal, now + config.remember * _RENEW, until)
            self._good.move_to_end(key)
            if len(self._good) > config.cache:
                self._good.popitem(last=False)
        return principal

    def __repr__(self) -> str:
        """Show how many are remembered; never a key."""
        config = self._config
        return f"<ApiKeys {config.upstream.name} {len(self._good)} good, {len(self._bad)} others, of {config.cache}>"


def _over(end: datetime | None, now: float) -> bool:
    return end is not None and end.timestamp() <= now


def _neighbours(client: bytes) -> bytes:
    """Return what counts as one client: an address, or an IPv6 network of 64 bits, which one customer has as a whole."""
    try:
        address = ip_address(client.decode("ascii"))
    except ValueError:
        return b""
    return b"%x" % (int(address) >> 64) if isinstance(address, IPv6Address) else client
