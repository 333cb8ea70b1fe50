"""Fetches the keys of an outside issuer. It does I/O, and keeps no keys.

1. find the address of the JWK Set: in the configuration, or in the discovery document, which is fetched each time
2. fetch the JWK Set, which may be at another origin
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from limen.auth.issuer.declared import Issuer
from limen.auth.issuer.location import Location
from limen.auth.jose.json_object import read_json_object
from limen.upstream.declared import Limits, Upstream
from limen.upstream.fetch import NotFetchedError, fetch
from limen.upstream.live import LiveUpstream

# One fetch runs at a time, of at most two documents.
_LIMITS = Limits(connections=2, waiting=4, head=16384)


class KeySource(Protocol):
    """Gives the JWK Set of an issuer; tests bring their own."""

    async def key_set(self) -> bytes:
        """Return the present JWK Set; raises NotFetchedError or TimeoutError."""
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...


class Provider:
    """The provider behind ``config``."""

    def __init__(self, config: Issuer, make_upstream: Callable[[Upstream], LiveUpstream] = LiveUpstream) -> None:
        """Connect to nothing, but read the files that TLS needs; raises ValueError for one that cannot be used.

        ``make_upstream`` makes what lives of an origin.
        """
        self._config = config
        self._make_upstream = make_upstream
        self._discovered_location = config.keys
        first = config.keys or config.location
        assert first is not None  # an issuer that is no address has one of its keys
        # Where a client certificate may be shown: the issuer itself, or its keys where that is no address.
        self._home = (config.location or first).origin
        self._origins = {first.origin: self._origin(first.origin)}

    async def key_set(self) -> bytes:
        """Return the present JWK Set, within the total time of the configuration.

        Raises TimeoutError, and NotFetchedError that names the document and the problem.
        """
        timeouts = self._config.timeouts
        location = self._config.keys
        try:
            # ``Issuer`` takes neither without a bound.
            async with asyncio.timeout((timeouts.connect or 0) + (timeouts.total or 0)):
                location = location or await self._discover()
                return await self._fetch(location)
        finally:
            # Also after a failure: a provider that names another dead origin each time must not fill the memory.
            if location is not None:
                await self._close_unused(location)

    async def aclose(self) -> None:
        """Close every connection."""
        origins, self._origins = self._origins, {}
        for origin in origins.values():
            await origin.aclose()

    async def _discover(self) -> Location:
        locations = self._config.documents()
        for location in locations:
            try:
                self._discovered_location = self._jwks_uri(await self._fetch(location), location)
                break
            except NotFetchedError as error:
                # The document is not here: try the next location.
                if error.status in (404, 405, 410) and location is not locations[-1]:
                    continue
                # The JWK Set may still be where it was, unless the document was read and is wrong.
                if error.status == 200 or self._discovered_location is None:
                    raise
                break
        assert self._discovered_location is not None
        return self._discovered_location

    def _jwks_uri(self, content: bytes, location: Location) -> Location:
        """Return the location of the JWK Set, from a discovery document."""
        document = read_json_object(content)
        if document is None:
            raise NotFetchedError(f"{location}: the discovery document is no JSON object", 200)
        if document.get("issuer") != self._config.url:
            # OpenID Connect Discovery 4.3: otherwise one provider could speak for another.
            raise NotFetchedError(
                f"{location}: the discovery document is of another issuer than {self._config.url!r}", 200
            )
        uri = document.get("jwks_uri")
        if not isinstance(uri, str):
            raise NotFetchedError(f"{location}: the discovery document has no jwks_uri", 200)
        try:
            return Location.parse(uri, allow_http=self._config.allow_http)
        except ValueError as error:
            raise NotFetchedError(f"{location}: jwks_uri: {error}", 200) from None

    async def _fetch(self, location: Location) -> bytes:
        origin = self._origins.get(location.origin)
        try:
            if origin is None:
                origin = self._origins[location.origin] = self._origin(location.origin)
            return await fetch(origin, location.target, timeouts=self._config.timeouts, plain_text=True)
        except NotFetchedError as error:
            raise NotFetchedError(f"{location}: {error}", error.status) from None
        except ValueError as error:
            raise NotFetchedError(f"{location}: {error}") from None

    def _origin(self, origin: str) -> LiveUpstream:
        tls = self._config.tls if origin.startswith("https:") else None
        if tls is not None and origin != self._home:
            # The client certificate and the server name are for the issuer; authorities are for both.
            tls = replace(tls, certificate=None, key=None, server_name=None)
        try:
            return self._make_upstream(Upstream("issuer", [origin], limits=_LIMITS, tls=tls))
        except ValueError as error:
            reason = str(error).removeprefix("upstream 'issuer': ")
            raise ValueError(f"Issuer {self._config.url!r}: {reason}") from None

    async def _close_unused(self, location: Location) -> None:
        """Close the connections to origins that are no longer used: a provider may move its keys often."""
        used = {self._home, location.origin}
        for origin in [one for one in self._origins if one not in used]:
            await self._origins.pop(origin).aclose()
