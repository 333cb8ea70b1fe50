"""A network on which there are only the services that a test names."""

import asyncio
import ssl
from collections.abc import Callable, Collection, Mapping

from limen.testing.server import Server
from limen.upstream.connection import Connection
from limen.upstream.declared import Upstream
from limen.upstream.network import MakeConnection
from limen.upstream.target import Target


def service_key(name: str) -> str:
    """Return the name of an upstream as it is, and one spelling of an address for all that mean the same.

    Nothing is looked up: in memory, a host is a name and no more. Raises ValueError for an address that is none.
    """
    if "://" not in name and not name.startswith("unix:"):
        return name
    target = Target.parse(name)
    if target.path:
        return name
    return f"{'https' if target.tls else 'http'}://{target.authority.decode().lower()}"


class ServiceMissing(LookupError):
    """The gateway called a service that the test has not given."""


class MemoryNetwork:
    """Leads each upstream to the service of its address, or else of its name."""

    def __init__(self, services: Mapping[str, Server], given: Collection[str] = ()) -> None:
        """``services`` are those that run, by name or address; the ones ``given`` start with a lifespan."""
        self._services = services
        self._given = given
        self._missing: ServiceMissing | None = None

    async def connect(
        self,
        upstream: Upstream,
        target: Target,
        make: MakeConnection,
        tls: Callable[[], ssl.SSLContext | None],
        deadline: float | None,
    ) -> Connection:
        """Connect to the service. Raises ServiceMissing if there is none, and ConnectionRefusedError."""
        # The address first: the upstreams of all outside issuers have one name.
        server = self._services.get(service_key(target.url)) or self._services.get(upstream.name)
        if server is None:
            self._missing = ServiceMissing(
                f"the gateway called upstream {upstream.name!r} at {target}, and {self._why(upstream, target)}"
            )
            raise self._missing
        connection = make(Connection)
        try:
            await server.accept(connection, peer="127.0.0.1", tls=target.tls)
        except BaseException:
            connection.forget()
            raise
        await asyncio.sleep(0)  # as a socket does, it takes a turn of the loop
        return connection

    def _why(self, upstream: Upstream, target: Target) -> str:
        """Return why ``target`` is not there, and what to write."""
        if self._given and not self._services:
            return (
                "no service runs: services= start with the lifespan; write "
                "`with TestClient(WithServices(...)) as client:`, or `async with serving(...) as client:`"
            )
        names = ", ".join(map(repr, sorted(self._services))) or "nothing"
        return f"services= has {names}; add {upstream.name!r} or {target.url!r}"

    async def addresses(self, host: str, deadline: float | None) -> tuple[str, ...]:
        """Return none: services in memory are found by their names."""
        return ()

    def close(self) -> None:
        """Do nothing: nobody waits for names."""

    def raise_missing(self) -> None:
        """Raise ServiceMissing if one was called since the last time."""
        missing, self._missing = self._missing, None
        if missing is not None:
            raise missing

    def __repr__(self) -> str:
        """Show which services there are."""
        return f"<MemoryNetwork {' '.join(sorted(self._services)) or 'without services'}>"
