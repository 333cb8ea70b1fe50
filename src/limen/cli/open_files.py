"""The limit of open files (RLIMIT_NOFILE) and its shares for clients and services. Computed once, when a process starts.

Every connection is an open file. If clients could take all of them, the gateway could neither reach a service nor open its
database, and would close new clients without an answer. So the limit is divided before the first client connects:

1. files that are open already, and ``RESERVE`` for the log, databases, key sets, and files that request handlers open
2. connections that are being refused (``MOST_TURNED_AWAY``), and with TLS those in their handshake
3. services: ``Limits(connections=)`` for each target of each declared service, but at most half of the rest: clients and
   services are of no use without one another
4. clients: ``ClientLimits(connections=)``, or the rest

The soft limit is raised for that, as far as the hard limit allows, and no further than needed: some systems have a hard limit
of a billion, and some programs close every descriptor up to the limit before they start another program.
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
from limen.cli.descriptor_shortage import RAISE_ADVICE
from limen.cli.handshakes import MOST_HANDSHAKES
from limen.client.limits import MOST_CONNECTIONS
from limen.engines.direct.protocol import MOST_TURNED_AWAY
from limen.upstream.declared import Upstream

logger = logging.getLogger("limen.serve")

# Files that are reserved for everything else.
RESERVE = 64


@dataclass(frozen=True)
class FileNeeds:
    """The files that a process needs: ``overhead`` is 1 and 2 of this module; ``clients`` None is as many as fit."""

    overhead: int
    services: int
    clients: int | None

    @property
    def total(self) -> int:
        """Files that would be enough for everything."""
        return self.overhead + self.services + (MOST_CONNECTIONS if self.clients is None else self.clients)

    def for_services(self, limit: int) -> int:
        """Return how many of ``limit`` files are reserved for services."""
        return max(0, min(self.services, (limit - self.overhead) // 2))

    def for_clients(self, limit: int) -> int:
        """Return how many client connections fit into ``limit`` files; less than 1 is none."""
        rest = limit - self.overhead - self.for_services(limit)
        return min(rest, MOST_CONNECTIONS if self.clients is None else self.clients)


def file_needs(app: object, *, open_files: int, tls: bool) -> FileNeeds:
    """Return the needs of ``app``; ``open_files`` are open already."""
    overhead = open_files + RESERVE + MOST_TURNED_AWAY + (MOST_HANDSHAKES if tls else 0)
    if not isinstance(app, Gateway):
        return FileNeeds(overhead, 0, None)
    return FileNeeds(overhead, sum(map(_most_connections, _services(app))), app.limits.connections)


def share_out(app: object, *, tls: bool) -> int | None:
    """Raise the limit and return how many client connections fit; None where the system has no such limit.

    Raises ClickException if the declared number does not fit, or none fits at all.
    """
    limits = _raise_limit(needs := file_needs(app, open_files=_count_open_files(), tls=tls))
    if limits is None:
        return None
    before, limit = limits
    if before < limit:
        logger.info("open files: the limit of this process is raised from %d to %d", before, limit)
    clients = needs.for_clients(limit)
    reserved = (
        f"{needs.overhead} are open or kept for the gateway itself, and {needs.for_services(limit)} for its services, "
        f"which may take {needs.services}"
    )
    if clients < 1 or (needs.clients is not None and clients < needs.clients):
        problem = "no client could connect" if needs.clients is None else f"ClientLimits(connections={needs.clients})"
        most = f", or say {_round_down(clients)} at most" if clients > 0 and needs.clients is not None else ""
        raise click.ClickException(
            f"{problem}: this process may have {limit} open files, of which {reserved}. "
            f"It needs {needs.total}: {RAISE_ADVICE}{most}"
        )
    if clients < MOST_CONNECTIONS and needs.clients is None:
        logger.warning(
            "open files: this process may have %d, of which %s: so clients get %d connections, not %d. "
            "For these it needs %d: %s, or say ClientLimits(connections=%d)",
            *(limit, reserved, clients, MOST_CONNECTIONS, needs.total, RAISE_ADVICE, _round_down(clients)),
        )
    return clients


def _round_down(clients: int) -> int:
    """Return a number that fits the next time as well, when a few more files may be open at the start."""
    return max(1, clients - clients % 10)


def _services(app: Gateway) -> Iterable[Upstream]:
    """Return every service that has a pool; pools are kept by name."""
    services = {one.name: one for route in app.declared() for one in route.upstreams}
    methods = {id(one): one for route in app.declared() for one in (app.auth if route.auth is None else route.auth)}
    services |= {one.upstream.name: one.upstream for one in methods.values() if isinstance(one, ApiKeys)}
    return services.values()


def _most_connections(service: Upstream) -> int:
    return service.limits.connections * len(service.addresses)


def _raise_limit(needs: FileNeeds) -> tuple[int, int] | None:
    """Raise the soft limit as far as needed; return it as it was before, and as it is now."""
    try:
        import resource  # Unix alone has it
    except ImportError:
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    infinity = resource.RLIM_INFINITY
    if soft == infinity or soft >= needs.total:
        before = sys.maxsize if soft == infinity else soft
        return before, before
    wanted = needs.total if hard == infinity else min(hard, needs.total)
    # macOS reports an infinite hard limit, but has one.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return soft, resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _count_open_files() -> int:
    """Return how many files are open; if the system does not say, the lowest free descriptor."""
    for folder in ("/proc/self/fd", "/dev/fd"):
        with contextlib.suppress(OSError):
            return len(os.listdir(folder))
    lowest = os.open(os.devnull, os.O_RDONLY)
    os.close(lowest)
    return lowest
