"""The targets of one upstream as its names say they are: each name is looked up again and again, whoever connects.

1. every name is looked up at once, and then every ``interval`` seconds, with some jitter
2. when a name has other addresses than before, ``changed`` gets the new list of all targets, once
3. a name with addresses of both families makes pairs: a target is one address, and one of the other family to fall back to.
   So ``localhost`` is one target, and a headless service of three pods with two addresses each is three
4. when a look-up fails, the last addresses stay, "there is no such name" included: a name server that has lost its zone must
   not take a service away that is there. The name is looked up again after ``RETRY`` seconds, then after twice as many

IP addresses and Unix sockets pass unchanged. A name of which no address is known yet passes unchanged as well, so that
connecting looks it up. Nothing but timers of the loop moves a watch.
"""

import asyncio
import logging
from collections.abc import Callable
from random import Random
from typing import Final

from limen.upstream.happy_eyeballs import pairs
from limen.upstream.names import literal
from limen.upstream.network import Network
from limen.upstream.target import Target

_log = logging.getLogger("limen.upstream")

INTERVAL: Final = 30.0
"""Seconds between two look-ups of a name."""

JITTER: Final = 0.1
"""The share by which a wait is shorter or longer at random, so that workers do not all ask at once."""

RETRY: Final = 1.0
"""Seconds after which a look-up that failed is repeated, at first; and the least between two look-ups of a name."""

LONGEST_LOOK_UP: Final = 60.0
"""Seconds after which a look-up counts as failed. The one under way goes on, and the next try waits for it.

Longer than the system's resolver takes with three silent servers, 30 s: one that answers when the first server has not, after
5 s, answers in time.
"""

MOST_ADDRESSES: Final = 1_000
"""Addresses of a name that are used, the preferred family first."""

Changed = Callable[[tuple[Target, ...]], None]


def named(target: Target) -> bool:
    """Tell whether ``target`` is a name, whose addresses may change."""
    return not target.path and not target.addresses and not literal(target.host)


class _Name:
    """What is known of one name."""

    __slots__ = ("addresses", "ended_at", "host", "prefers_ipv6", "retry", "task", "timer", "trouble")

    def __init__(self, host: str, retry: float) -> None:
        self.host = host
        self.addresses: tuple[str, ...] = ()  # the preferred family first, sorted
        self.prefers_ipv6 = False
        self.retry = retry  # seconds until the next try, if the look-up fails
        self.trouble = ""  # why the last look-up failed
        self.ended_at = 0.0  # the last look-up, in the loop's time
        self.timer: asyncio.TimerHandle | None = None  # of the next look-up
        self.task: asyncio.Task[None] | None = None  # the look-up that runs

    def take(self, found: tuple[str, ...]) -> int:
        """Take over what a look-up has found. Return how many addresses are left out.

        The preferred family stays as long as there are addresses of it: were it the resolver's each time, a route that comes
        and goes would make other targets of the same addresses.
        """
        stays = bool(self.addresses) and any((":" in address) == self.prefers_ipv6 for address in found)
        if found and not stays:
            self.prefers_ipv6 = ":" in found[0]
        ordered = sorted(set(found), key=lambda address: ((":" in address) != self.prefers_ipv6, address))
        self.addresses = tuple(ordered[:MOST_ADDRESSES])
        return len(ordered) - len(self.addresses)


class NameWatch:
    """Watches the names among the targets of one upstream. Without names it does nothing, and costs nothing."""

    def __init__(
        self,
        upstream: str,
        declared: tuple[Target, ...],
        network: Network,
        changed: Changed,
        random: Random,
        interval: float = INTERVAL,
    ) -> None:
        """``declared`` are the targets of the upstream called ``upstream``; ``interval`` is in seconds.

        ``changed`` is called in the loop, never before ``start`` nor after ``close``.
        """
        self._upstream = upstream
        self._declared = declared
        self._network = network
        self._changed = changed
        self._random = random
        self._interval = interval
        hosts = dict.fromkeys(target.host for target in declared if named(target))
        self._names = {host: _Name(host, min(RETRY, interval)) for host in hosts}
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def targets(self) -> tuple[Target, ...]:
        """The targets as they are known now, in declared order."""
        return tuple(at for target in self._declared for at in self._places(target))

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look every name up, and go on doing so until ``close``."""
        self._loop = loop
        for name in self._names.values():
            self._begin(name)

    def close(self) -> None:
        """End all that runs, at once and for good."""
        self._loop = None
        for name in self._names.values():
            timer, name.timer = name.timer, None
            task, name.task = name.task, None
            if timer is not None:
                timer.cancel()
            if task is not None:
                task.cancel()

    def refresh(self) -> None:
        """Look every name up soon, as its addresses no longer answer: at once, or ``RETRY`` seconds after the last time."""
        for name in self._names.values():
            if self._loop is not None and name.timer is not None:
                at = max(self._loop.time(), name.ended_at + RETRY)
                if at < name.timer.when():
                    name.timer.cancel()
                    name.timer = self._loop.call_at(at, self._begin, name)

    def _places(self, target: Target) -> list[Target]:
        name = self._names.get(target.host) if named(target) else None
        return [target] if name is None or not name.addresses else [target.at(pair) for pair in pairs(name.addresses)]

    def _begin(self, name: _Name) -> None:
        name.timer = None
        if self._loop is not None:
            name.task = self._loop.create_task(self._look_up(name, self._loop))

    async def _look_up(self, name: _Name, loop: asyncio.AbstractEventLoop) -> None:
        before = name.addresses
        wait, name.retry = name.retry, min(self._interval, 2 * name.retry)
        try:
            found = await self._network.addresses(name.host, loop.time() + LONGEST_LOOK_UP)
        except OSError as error:
            self._keep(name, str(error))
        else:
            wait, name.retry = self._interval, min(RETRY, self._interval)
            self._take(name, found)
        finally:
            self._schedule(name, wait)
        if name.addresses != before and self._loop is not None:
            self._changed(self.targets)

    def _schedule(self, name: _Name, wait: float) -> None:
        """Set the timer of the next look-up, whatever became of this one: a bug in a network must not end the watch."""
        name.task = None
        if self._loop is not None:
            name.ended_at = self._loop.time()
            wait *= self._random.uniform(1 - JITTER, 1 + JITTER)
            name.timer = self._loop.call_later(wait, self._begin, name)

    def _take(self, name: _Name, found: tuple[str, ...]) -> None:
        before = set(name.addresses)
        left_out = name.take(found)
        now = set(name.addresses)
        if name.trouble:
            _log.warning("upstream %s: the name %r can be looked up again", self._upstream, name.host)
            name.trouble = ""
        if now == before:
            return
        new, gone = len(now - before), len(before - now)
        counts = (self._upstream, name.host, len(now), new, gone)
        _log.info("upstream %s: the name %r has %d addresses now, %d of them new; %d are gone", *counts)
        if left_out:
            _log.warning(
                "upstream %s: the name %r has %d addresses more than the %d that are used; the others get no requests: split "
                "them between several names",
                self._upstream,
                name.host,
                left_out,
                MOST_ADDRESSES,
            )

    def _keep(self, name: _Name, cause: str) -> None:
        """Keep the last addresses, as a look-up has failed. The log says so once for each cause."""
        if cause == name.trouble:
            return
        name.trouble = cause
        if name.addresses:
            _log.warning(
                "upstream %s: %s; its last addresses (%d) serve on", self._upstream, cause, len(name.addresses)
            )
        else:
            _log.warning("upstream %s: %s; no address of it is known yet", self._upstream, cause)

    def __repr__(self) -> str:
        """Show how many names there are, and how many targets they make."""
        return f"<NameWatch {self._upstream} {len(self._names)} names {len(self.targets)} targets>"
