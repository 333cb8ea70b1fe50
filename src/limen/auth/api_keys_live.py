"""API keys made live: the service that knows them is asked once (after RFC 7662), and its answer is cached.

The work that an attacker can cause is bounded, and made-up keys keep no good ones out:

1. a key of the wrong form is refused without a question; requests with the same key wait for one answer
2. active keys have a cache of their own, and are asked about again before their answer is over
3. half of the questions at once are for keys that were active lately. The other half takes turns among the clients that bring
   new keys, and uses at most a quarter of the service's connections
4. the line of keys that wait for a question is bounded; beyond that the answer is 503 and not 401: the key may be good
"""

import asyncio
import json
import logging
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from limen.auth.api_keys import ApiKeys
from limen.auth.identify import UNAVAILABLE, IdentifyResult
from limen.errors import Fault, Kind
from limen.exchange.principal import Principal
from limen.fairness.fair_queue import FairQueue, Place
from limen.http.networks import network_of_host
from limen.upstream.error import UpstreamError
from limen.upstream.live import LiveUpstream
from limen.upstream.request_sender import send

_log = logging.getLogger("limen.identity")

_KEY = re.compile(rb"[\x21-\x7e]{1,512}")
_MOST_BYTES = 65536  # of an introspection response

# An active key in use is asked about again after this part of the time for which its answer is believed.
_RENEW_AFTER = 0.75

REFUSED = Fault(Kind.API_KEY_INVALID, headers=((b"www-authenticate", b'Bearer error="invalid_token"'),))

_Name = Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,256}$")]


class _Introspection(BaseModel):
    """The service's answer about a key."""

    model_config = ConfigDict(defer_build=True)  # it takes 20 ms, which a gateway without API keys can spare

    active: bool
    id: int | _Name | None = None
    owner: int | _Name | None = None
    roles: frozenset[_Name] = frozenset()
    scopes: frozenset[_Name] = frozenset()
    expires_at: AwareDatetime | None = None


class _ActiveKey:
    """A key that the service called active: believed before ``until``, asked about again from ``renew`` on."""

    __slots__ = ("principal", "renew", "until")

    def __init__(self, principal: Principal, renew: float, until: float) -> None:
        self.principal = principal
        self.renew = renew
        self.until = until


class ApiKeyVerifier:
    """Verifies API keys as ``config`` says; ``upstream`` is the service that knows them."""

    def __init__(self, config: ApiKeys, upstream: LiveUpstream, now: Callable[[], float]) -> None:
        """Begin without cached answers."""
        _Introspection.model_rebuild()  # now: with the first answer, others would wait for it
        self.header = config.header.encode()
        self._config = config
        self._upstream = upstream
        self._now = now
        self._prefix = config.prefix.encode()
        self._active: OrderedDict[bytes, _ActiveKey] = OrderedDict()  # including keys whose answer is over
        self._inactive: OrderedDict[bytes, float] = OrderedDict()
        self._pending: dict[bytes, asyncio.Task[IdentifyResult]] = {}
        self._problem = ""
        connections = config.upstream.limits.connections * len(config.upstream.addresses)
        for_new_keys = max(1, min(config.at_once // 2, connections // 4))
        self._new_keys = FairQueue(for_new_keys, config.waiting, max(1, for_new_keys // 2))
        # A key has at most one question, so that no more renewals wait than keys are cached.
        for_renewals = config.at_once - for_new_keys
        self._renewals = FairQueue(for_renewals, config.cache, for_renewals)

    def verify(self, key: bytes, now: float, client: bytes) -> IdentifyResult | Awaitable[IdentifyResult]:
        """Return whose ``key`` it is, at once if the answer is cached; ``client`` is the address that brings it."""
        active = self._active.get(key)
        if active is not None:
            self._active.move_to_end(key)
            if now < active.until:
                if now >= active.renew:
                    active.renew = active.until  # one renewal only; without an answer it ends at ``until``
                    if key not in self._pending:
                        self._start_question(key, b"", self._renewals)
                return active.principal
        else:
            if not key.startswith(self._prefix) or not _KEY.fullmatch(key):
                return REFUSED
            until = self._inactive.get(key)
            if until is not None:
                if now < until:
                    return REFUSED
                del self._inactive[key]
        question = self._pending.get(key)
        if question is None:
            if active is None:
                client = network_of_host(client.decode("latin-1"), ipv4_bytes=4)
                question = self._start_question(key, client, self._new_keys)
            else:
                question = self._start_question(key, b"", self._renewals)
        # A client that leaves must not cancel the question that others wait for.
        return UNAVAILABLE if question is None else asyncio.shield(question)

    async def drained(self) -> None:
        """Return once no question is open."""
        while self._pending:
            await asyncio.wait(list(self._pending.values()))

    async def aclose(self) -> None:
        """Give up every question."""
        tasks = list(self._pending.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start_question(self, key: bytes, client: bytes, queue: FairQueue) -> asyncio.Task[IdentifyResult] | None:
        """Ask the service, or wait in line for it; None if the line is full."""
        place = queue.ask(client)
        if place is None:
            return None
        question = self._pending[key] = asyncio.get_running_loop().create_task(self._ask(key, client, queue, place))
        question.add_done_callback(lambda done: self._pending.pop(key, None))
        return question

    async def _ask(self, key: bytes, client: bytes, queue: FairQueue, place: Place) -> IdentifyResult:
        # Who waits longer than an answer may take gets none.
        if not await queue.granted(client, place, self._config.timeouts.first_byte):
            return UNAVAILABLE
        try:
            answer = await self._introspect(key)
        except UpstreamError as error:
            self._log_problem(f"does not answer: {error.fault.kind.code}")
            return UNAVAILABLE
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(map(str, first["loc"])) or "the whole"
            self._log_problem(f"gives no usable answer: {where}: {first['msg']}")
            return UNAVAILABLE
        finally:
            queue.leave(client)
        self._log_problem("")
        return self._remember(key, answer, self._now())

    def _log_problem(self, cause: str) -> None:
        """Log the problem with the service, or "" when it is over, once per change: a line per question could fill a disk."""
        if cause != self._problem:
            _log.warning("API keys: %s %s", self._config.upstream.name, cause or "answers again")
            self._problem = cause

    async def _introspect(self, key: bytes) -> _Introspection:
        config = self._config
        pool, connection = await self._upstream.connect(config.timeouts.connect)
        answer = await send(
            pool,
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
        return _Introspection.model_validate_json(content)

    def _remember(self, key: bytes, answer: _Introspection, now: float) -> IdentifyResult:
        """Cache the answer, and return its result."""
        config = self._config
        until = now + config.remember
        if not answer.active or answer.owner is None or _is_past(answer.expires_at, now):
            self._active.pop(key, None)
            if config.cache and config.remember:
                self._inactive[key] = until
                if len(self._inactive) > config.cache:
                    self._inactive.popitem(last=False)
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
            self._active[key] = _ActiveKey(principal, now + config.remember * _RENEW_AFTER, until)
            self._active.move_to_end(key)
            if len(self._active) > config.cache:
                self._active.popitem(last=False)
        return principal

    def __repr__(self) -> str:
        """Show how many keys are cached; never a key."""
        config = self._config
        return f"<ApiKeys {config.upstream.name} {len(self._active)} good, {len(self._inactive)} others, of {config.cache}>"


def _is_past(end: datetime | None, now: float) -> bool:
    return end is not None and end.timestamp() <= now
