"""How connections to targets are opened. A pool asks a ``Network``; ``Sockets`` is the one that is not a fake.

Everything above a transport is the same on any network: the pool, the parser, timeouts and back pressure.
"""

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from limen.upstream.connection import Connection
from limen.upstream.declared import Upstream
from limen.upstream.happy_eyeballs import connect_to_first
from limen.upstream.names import Names, literal
from limen.upstream.target import Target
from limen.upstream.tls import TlsConnection, server_name

MakeConnection = Callable[[type[Connection]], Connection]
"""Makes the protocol of one connection, of the class that it gets. One that could not connect must be told to ``forget``."""


class Network(Protocol):
    """What pools open connections on. The pools of one runtime share it."""

    async def connect(
        self,
        upstream: Upstream,
        target: Target,
        make: MakeConnection,
        tls: Callable[[], ssl.SSLContext | None],
        deadline: float | None,
    ) -> Connection:
        """Return a connection to ``target`` of ``upstream``, whose ``connection_made`` was called.

        ``tls`` returns the context for targets that speak TLS. ``deadline`` is in the loop's time, the caller enforces it;
        None is no bound. Raises OSError, of which ``ssl.SSLError`` is one.
        """
        ...

    async def addresses(self, host: str, deadline: float | None) -> tuple[str, ...]:
        """Return the IP addresses that the name ``host`` has now, the preferred family first; none if names lead elsewhere.

        ``deadline`` is in the loop's time; None is no bound. Raises OSError, of which TimeoutError is one.
        """
        ...

    def close(self) -> None:
        """End what waits in ``connect`` for something else than a connection."""
        ...


class Sockets:
    """The network of the operating system: TCP, TLS and Unix sockets."""

    __slots__ = ("_names",)

    def __init__(self, names: Names | None = None) -> None:
        """``names`` is the cache of looked-up names; None makes one."""
        self._names = Names() if names is None else names

    async def connect(
        self,
        upstream: Upstream,
        target: Target,
        make: MakeConnection,
        tls: Callable[[], ssl.SSLContext | None],
        deadline: float | None,
    ) -> Connection:
        """Connect to the first address of ``target`` that answers; none may use up the time of the others."""
        if target.path or (not target.addresses and literal(target.host)):
            return await self._connect_to(upstream, target, target.host, make, tls)
        addresses = target.addresses or await self._names.addresses(target.host, deadline)
        if len(addresses) == 1:
            return await self._connect_to(upstream, target, addresses[0], make, tls)

        def attempt(address: str) -> Coroutine[Any, Any, Connection]:
            return self._connect_to(upstream, target, address, make, tls)

        return await connect_to_first(addresses, attempt, deadline)

    async def addresses(self, host: str, deadline: float | None) -> tuple[str, ...]:
        """Look ``host`` up, whatever the cache knows."""
        try:
            async with asyncio.timeout_at(deadline):
                return await self._names.look_up(host)
        except TimeoutError:
            raise TimeoutError(f"the name {host!r} cannot be looked up: the name server takes too long") from None

    def close(self) -> None:
        """Look no name up any more."""
        self._names.close()

    async def _connect_to(
        self,
        upstream: Upstream,
        target: Target,
        address: str,
        make: MakeConnection,
        tls: Callable[[], ssl.SSLContext | None],
    ) -> Connection:
        loop = asyncio.get_running_loop()
        connection = make(TlsConnection if target.tls else Connection)
        try:
            if target.path:
                await loop.create_unix_connection(lambda: connection, target.path)
            elif target.tls:
                name = server_name(upstream, target)
                await loop.create_connection(lambda: connection, address, target.port, ssl=tls(), server_hostname=name)
            else:
                await loop.create_connection(lambda: connection, address, target.port)
        except BaseException:
            connection.forget()
            raise
        return connection

    def __repr__(self) -> str:
        """Show how many names are known."""
        return f"<Sockets {self._names!r}>"
