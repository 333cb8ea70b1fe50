"""Where a service's own document comes from: a file, read once; or an address, asked by the gateway's own client.

Nothing is read or asked when it is declared.
"""

import asyncio
from collections.abc import Callable
from os import PathLike, fspath
from pathlib import Path
from time import monotonic
from typing import Final

from limen.app.document.service_document import MOST_BYTES, ServiceDocument, ServiceDocumentError
from limen.auth.issuer.location import Location
from limen.observe.redaction import logger
from limen.upstream.declared import Limits, Timeouts, Upstream
from limen.upstream.fetch import NotFetchedError, fetch
from limen.upstream.live import LiveUpstream

_log = logger("limen.app.document")

# Seconds after which a document is asked for again, once it is had and where it could not be had.
FRESH: Final = 300.0
FAILED: Final = 15.0

_TIMEOUTS: Final = Timeouts(connect=2, first_byte=5, idle=5, total=8)
_LIMITS: Final = Limits(connections=1, waiting=4)

# Seconds for all of it. Whoever asks for the gateway's document waits for so long at most.
LONGEST: Final = 10.0


class FileSource:
    """A file, which is read once."""

    def __init__(self, path: str) -> None:
        """Read nothing yet."""
        self._path = path
        self.document: ServiceDocument | None = None

    def read(self) -> ServiceDocument:
        """Return the document; raises ServiceDocumentError."""
        if self.document is None:
            try:
                with Path(self._path).open("rb") as file:
                    text = file.read(MOST_BYTES + 1)
            except (OSError, ValueError) as error:
                reason = error.strerror if isinstance(error, OSError) else error
                raise ServiceDocumentError(
                    f"it cannot be read: {reason}; a path is relative to where the gateway runs"
                ) from None
            self.document = ServiceDocument.parse(text)
        return self.document

    def __str__(self) -> str:
        """Show the path."""
        return self._path


class UrlSource:
    """An address. What was got last is published until there is something newer."""

    def __init__(self, location: Location, upstream: Upstream, clock: Callable[[], float] = monotonic) -> None:
        """Ask nothing yet. ``clock`` gives seconds."""
        self.document: ServiceDocument | None = None
        self._location = location
        same = any(str(target).rstrip("/") == location.origin for target in upstream.addresses)
        self._upstream = Upstream(
            "document",
            [location.origin],
            limits=_LIMITS,
            tls=upstream.tls if same else None,  # certificates for the service are not for anybody else
        )
        self._clock = clock
        self._due = clock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turn = asyncio.Lock()
        self._text = b""

    async def refresh(self) -> None:
        """Ask for the document if it is time to. A failure is a line in the log, and leaves what was there."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:  # a lock is of one loop, and tests have several
            self._loop, self._turn = loop, asyncio.Lock()
        async with self._turn:
            if self._clock() < self._due:
                return
            self._due = self._clock() + FAILED
            try:
                async with asyncio.timeout(LONGEST):
                    text = await self._fetch()
                if text != self._text:
                    self.document = ServiceDocument.parse(text)
                    self._text = text
            except (NotFetchedError, ServiceDocumentError, TimeoutError, ValueError) as error:
                said = "no answer in time" if isinstance(error, TimeoutError) else error
                last = "the one before is published" if self.document else "the forward is documented without"
                _log.warning("the document at %s cannot be had: %s; %s", self, said, last)
            else:
                self._due = self._clock() + FRESH

    async def _fetch(self) -> bytes:
        upstream = LiveUpstream(self._upstream)
        try:
            return await fetch(upstream, self._location.target, timeouts=_TIMEOUTS, limit=MOST_BYTES)
        finally:
            await upstream.aclose()

    def __str__(self) -> str:
        """Show the address without a query, which may hold a secret."""
        return str(self._location).partition("?")[0]


DocumentSource = FileSource | UrlSource


class Sources:
    """The sources of one gateway. Forwards that name the same document have the same source."""

    def __init__(self) -> None:
        """Have none."""
        self._all: dict[tuple[str, str], DocumentSource] = {}

    def of(self, document: str | PathLike[str], upstream: Upstream) -> DocumentSource:
        """Return the source that ``document=`` names, of the service ``upstream``.

        Raises ValueError for an address that is none, TypeError for another type.
        """
        if not isinstance(document, str | PathLike):  # pyright: ignore[reportUnnecessaryIsInstance] - users may get it wrong
            raise TypeError(f"document={type(document).__name__}(...) is neither a path nor an address")
        text = fspath(document)
        if not text:
            raise ValueError("document='' names no file")
        key = (text, upstream.name)
        if key not in self._all:
            url = isinstance(document, str) and "://" in document
            self._all[key] = _url_source(text, upstream) if url else FileSource(text)
        return self._all[key]

    def urls(self) -> list[UrlSource]:
        """Return those that are asked for."""
        return [one for one in self._all.values() if isinstance(one, UrlSource)]


def _url_source(url: str, upstream: Upstream) -> UrlSource:
    try:
        return UrlSource(Location.parse(url, allow_http=True), upstream)
    except ValueError as error:
        raise ValueError(f"document=: {error}") from None
