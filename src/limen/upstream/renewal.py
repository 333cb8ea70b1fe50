"""The TLS context for new connections to one upstream, made anew when its files have changed. Connections that are open keep
the one that they began with. Files are looked at when a connection is opened, so that nothing has to watch them.
"""

import logging
import ssl
from collections.abc import Callable
from pathlib import Path
from time import monotonic, time

from limen.upstream.declared import Upstream
from limen.upstream.tls import client_context

_log = logging.getLogger("limen.upstream")

# Seconds between two looks at the files, and how long they must have been at rest: a certificate and its key are written
# one after the other, and between the two they do not fit. Rest is told by the files' own times and not, as for what
# ``limen serve`` shows to clients, by two looks that saw the same: between two connections to a service may be an hour.
LOOK = 1.0
REST = 1.0

Stamp = tuple[int, int, int] | None


class Renewal:
    """The context for ``upstream``; ``clock`` gives seconds that never go back, ``now`` those since the epoch."""

    __slots__ = ("_clock", "_context", "_known", "_looked", "_now", "_paths", "_upstream")

    def __init__(
        self, upstream: Upstream, *, clock: Callable[[], float] = monotonic, now: Callable[[], float] = time
    ) -> None:
        """Read the files; raises ValueError for one that cannot be used."""
        tls = upstream.tls
        named = () if tls is None else (tls.ca, tls.certificate, tls.key)
        self._paths = tuple(Path(path) for path in named if path is not None)
        self._upstream = upstream
        self._clock = clock
        self._now = now
        self._looked = clock()
        # Looked at before they are read: what changes in between is seen as a change.
        self._known = self._stamps()
        self._context = client_context(upstream)

    def context(self) -> ssl.SSLContext | None:
        """Return the context for a connection that is opened now; None where no target speaks TLS.

        Files that cannot be used leave the one before in place, and an error in the log, once for each change.
        """
        if self._paths and self._clock() - self._looked >= LOOK:
            self._look()
        return self._context

    def _look(self) -> None:
        self._looked = self._clock()
        found = self._stamps()
        if found == self._known or not self._at_rest(found):
            return
        self._known = found
        try:
            self._context = client_context(self._upstream)
        except ValueError as error:
            _log.error(
                "upstream %s: TLS files have changed and cannot be used, those before stay in use: %s",
                self._upstream.name,
                error,
            )
        else:
            _log.info("upstream %s: TLS files have changed, new connections use them", self._upstream.name)

    def _at_rest(self, stamps: tuple[Stamp, ...]) -> bool:
        """Tell whether nothing was written a moment ago. A time to come is a clock that was set back: no reason to wait."""
        now = self._now()
        return not any(stamp is not None and 0 <= now - stamp[0] / 1e9 < REST for stamp in stamps)

    def _stamps(self) -> tuple[Stamp, ...]:
        return tuple(stamp(path) for path in self._paths)


def stamp(path: Path) -> Stamp:
    """Return what differs once a file was written or replaced: time in ns, size, number; None where there is none."""
    try:
        found = path.stat()  # follows links: mounted secrets are renewed by turning one
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
