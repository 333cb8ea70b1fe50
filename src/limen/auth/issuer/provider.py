"""Where the keys of an outside issuer come from: its discovery document, then its JWK Set. I/O, and no memory of keys.

1. find the JWK Set: named by the configuration, or by the provider's discovery document, which is asked for each time
2. fetch it from where it lies, which may be another origin
"""

import asyncio
from dataclasses import replace
from typing import Protocol

from limen.auth.issuer.declared import Issuer
from limen.auth.issuer.location import Location
from limen.auth.jose.claims import read
from limen.upstream.declared import Limits, Upstream
from limen.upstream.fetch import NotFetchedError, fetch
from limen.upstream.names import Names
from limen.upstream.pool import Pool

# One fetch runs at a time, of at most two documents.
_LIMITS = Limits(connections=2, waiting=4, head=16384)


class Source(Protocol):
    """What gives the JWK Set of an issuer; tests bring their own."""

    async def key_set(self) -> bytes:
        """Return the JWK Set as it is now; raises NotFetchedError or TimeoutError."""
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...


class Provider:
    """The provider behind ``config``."""

    def __init__(self, config: Issuer, names: Names | None = None) -> None:
        """Connect to nothing, but read the files that TLS needs; raises ValueError for one that cannot be used.

        ``names`` are those that others look up too; None is a cache of its own.
        """
        self._config = config
        self._names = Names() if names is None else names
        self._found = config.keys
        first = (config.keys or config.location).origin
        self._pools = {first: self._pool(first)}

    async def key_set(self) -> bytes:
        """Return the JWK Set as it is now, within the total time of the configuration.

        Raises NotFetchedError that names the document and what is wrong, and TimeoutError.
        """
        timeouts = self._config.timeouts
        place = self._config.keys
        try:
            async with asyncio.timeout(None if timeouts.total is None else timeouts.connect + timeouts.total):
                place = place or await self._discovered()
                return await self._fetched(place)
        finally:
            # Also where it fails: a provider that names another dead place each time must not fill the memory.
            if place is not None:
                await self._tidy(place)

    async def aclose(self) -> None:
        """Close every connection."""
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            await pool.aclose()

    async def _discovered(self) -> Location:
        places = self._config.documents()
        for place in places:
            try:
                self._found = self._named(await self._fetched(place), place)
                break
            except NotFetchedError as error:
                # An answer that says "not here" leaves the other place to be tried.
                if error.status in (404, 405, 410) and place is not places[-1]:
                    continue
                # The set itself may still be reachable where it was; what was read and is wrong is another matter.
                if error.status == 200 or self._found is None:
                    raise
                break
        assert self._found is not None
        return self._found

    def _named(self, content: bytes, place: Location) -> Location:
        """Return where the discovery document says that the keys are."""
        document = read(content)
        if document is None:
            raise NotFetchedError(f"{place}: the discovery document is no JSON object", 200)
        if document.get("issuer") != self._config.url:
            # OpenID Connect Discovery 4.3: otherwise one provider could speak for another.
            raise NotFetchedError(
                f"{place}: the discovery document is of another issuer than {self._config.url!r}", 200
            )
        uri = document.get("jwks_uri")
        if not isinstance(uri, str):
            raise NotFetchedError(f"{place}: the discovery document has no jwks_uri", 200)
        try:
            return Location.parse(uri, allow_http=self._config.allow_http)
        except ValueError as error:
            raise NotFetchedError(f"{place}: jwks_uri: {error}", 200) from None

    async def _fetched(self, place: Location) -> bytes:
        pool = self._pools.get(place.origin)
        try:
            if pool is None:
                pool = self._pools[place.origin] = self._pool(place.origin)
            return await fetch(pool, place.target, timeouts=self._config.timeouts)
        except NotFetchedError as error:
            raise NotFetchedError(f"{place}: {error}", error.status) from None
        except ValueError as error:
            raise NotFetchedError(f"{place}: {error}") from None

    def _pool(self, origin: str) -> Pool:
        tls = self._config.tls if origin.startswith("https:") else None
        if tls is not None and origin != self._config.location.origin:
            # What identifies the gateway, or names the host, is for the issuer; authorities are for both.
            tls = replace(tls, certificate=None, key=None, server_name=None)
        try:
            return Pool(Upstream("issuer", [origin], limits=_LIMITS, tls=tls), self._names)
        except ValueError as error:
            reason = str(error).removeprefix("upstream 'issuer': ")
            raise ValueError(f"Issuer {self._config.url!r}: {reason}") from None

    async def _tidy(self, place: Location) -> None:
        """Close the connections to origins that are no longer used: a provider may move its keys often."""
        used = {self._config.location.origin, place.origin}
        for origin in [one for one in self._pools if one not in used]:
            await self._pools.pop(origin).aclose()
