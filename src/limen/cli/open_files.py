"""How many files a serving process may have open, and what that leaves for its clients. Read once, when it starts.

Every connection is an open file. If clients could take them all, the gateway could neither reach a service nor open its
database, and a new client would be accepted and closed without a word. So the limit is shared out before anybody connects:

1. what is open already, and ``RESERVE`` for the log, databases, key sets, and what a request's handlers open
2. clients beyond their number that are being told so (``MOST_TURNED_AWAY``), and with TLS those that shake hands
3. services: ``Limits(connections=)`` for each target of each service that is declared; half of what is left at most, since
   clients without a gateway are no worse off than a gateway without clients
4. clients: ``ClientLimits(connections=)``, or as many as are left

The soft limit (RLIMIT_NOFILE) is raised for that, as far as the hard one allows. No more is asked for than is needed: some
systems have a hard limit of a billion, and programs that close every number up to the limit before they start another.
"""

import contextlib
import logging
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass

import click

from limen.app.gateway import Gateway
from limen.auth.api_keys import ApiKeys
from limen.cli.opening import MOST_HANDSHAKES
from limen.cli.scarcity import RAISE
from limen.client.limits import MOST_CONNECTIONS
from limen.engines.direct.protocol import MOST_TURNED_AWAY
from limen.upstream.declared import Upstream

logger = logging.getLogger("limen.serve")

# Files that are kept free for all else.
RESERVE = 64


@dataclass(frozen=True)
class Need:
    """What a process needs files for: ``besides`` is 1 and 2 of this module, ``clients`` None is as many as fit."""

    besides: int
    services: int
    clients: int | None

    @property
    def wanted(self) -> int:
        """Files that would be enough for everything."""
        return self.besides + self.services + (MOST_CONNECTIONS if self.clients is None else self.clients)

    def kept(self, limit: int) -> int:
        """Return how many of ``limit`` files are kept for services."""
        return max(0, min(self.services, (limit - self.besides) // 2))

    def fit(self, limit: int) -> int:
        """Return how many client connections ``limit`` files leave room for; less than 1 is none."""
        left = limit - self.besides - self.kept(limit)
        return min(left, MOST_CONNECTIONS if self.clients is None else self.clients)


def need(app: object, *, opened: int, tls: bool) -> Need:
    """Return what ``app`` needs; ``opened`` files are open already."""
    besides = opened + RESERVE + MOST_TURNED_AWAY + (MOST_HANDSHAKES if tls else 0)
    if not isinstance(app, Gateway):
        return Need(besides, 0, None)
    return Need(besides, sum(map(_most, _services(app))), app.limits.connections)


def share_out(app: object, *, tls: bool) -> int | None:
    """Raise the limit and return how many client connections fit; None where the system knows no such limit.

    Raises ClickException where a number was declared that does not fit, or none fits at all.
    """
    found = _raised(needs := need(app, opened=_opened(), tls=tls))
    if found is None:
        return None
    before, limit = found
    if before < limit:
        logger.info("open files: the limit of this process is raised from %d to %d", before, limit)
    fits = needs.fit(limit)
    kept = (
        f"{needs.besides} are open or kept for the gateway itself, and {needs.kept(limit)} for its services, "
        f"which may take {needs.services}"
    )
    if fits < 1 or (needs.clients is not None and fits < needs.clients):
        asked = "no client could connect" if needs.clients is None else f"ClientLimits(connections={needs.clients})"
        most = f", or say {_round(fits)} at most" if fits > 0 and needs.clients is not None else ""
        raise click.ClickException(
            f"{asked}: this process may have {limit} open files, of which {kept}. It needs {needs.wanted}: {RAISE}{most}"
        )
    if fits < MOST_CONNECTIONS and needs.clients is None:
        logger.warning(
            "open files: this process may have %d, of which %s: so clients get %d connections, not %d. "
            "For these it needs %d: %s, or say ClientLimits(connections=%d)",
            *(limit, kept, fits, MOST_CONNECTIONS, needs.wanted, RAISE, _round(fits)),
        )
    return fits


def _round(fits: int) -> int:
    """Return what fits the next time as well, when a file more or less is open at the start."""
    return max(1, fits - fits % 10)


def _services(app: Gateway) -> Iterable[Upstream]:
    """Every service that has a pool, by name as pools are."""
    found = {route.upstream.name: route.upstream for route in app.declared()}
    methods = {id(one): one for route in app.declared() for one in (app.auth if route.auth is None else route.auth)}
    found |= {one.upstream.name: one.upstream for one in methods.values() if isinstance(one, ApiKeys)}
    return found.values()


def _most(service: Upstream) -> int:
    return service.limits.connections * len(service.addresses)


def _raised(needs: Need) -> tuple[int, int] | None:
    """Return the soft limit before and after."""
    try:
        import resource  # Unix alone has it
    except ImportError:
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    endless = resource.RLIM_INFINITY
    if soft == endless or soft >= needs.wanted:
        before = sys.maxsize if soft == endless else soft
        return before, before
    asked = needs.wanted if hard == endless else min(hard, needs.wanted)
    # macOS says that there is no hard limit, and has one.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (asked, hard))
    return soft, resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _opened() -> int:
    """Return how many files are open. A system that does not say so is taken to have as many as the lowest free number."""
    for folder in ("/proc/self/fd", "/dev/fd"):
        with contextlib.suppress(OSError):
            return len(os.listdir(folder))
    lowest = os.open(os.devnull, os.O_RDONLY)
    os.close(lowest)
    return lowest
