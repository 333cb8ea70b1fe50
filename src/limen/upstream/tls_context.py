"""The TLS context for new connections to one upstream, loaded again when its files have changed.

Open connections keep their context. The files are checked when a connection is opened, so that nothing has to watch them.
"""

import logging
import ssl
from collections.abc import Callable
from pathlib import Path
from time import monotonic, time

from limen.upstream.declared import Upstream
from limen.upstream.tls import client_context

_log = logging.getLogger("limen.upstream")

# Seconds between two checks of the files, and seconds without a change after which they are loaded: a certificate and its key
# are written one after the other, and do not fit in between. ``limen serve`` compares two checks of its own files to see that
# they are at rest. Here their modification times tell, since there may be an hour between two connections to a service.
LOOK = 1.0
REST = 1.0

FileStamp = tuple[int, int, int] | None


class UpstreamTlsContext:
    """The context for ``upstream``; ``clock`` gives seconds that never go back, ``now`` seconds since the epoch."""

    __slots__ = ("_checked", "_clock", "_context", "_now", "_paths", "_stamps", "_upstream")

    def __init__(
        self, upstream: Upstream, *, clock: Callable[[], float] = monotonic, now: Callable[[], float] = time
    ) -> None:
        """Load the files; raises ValueError for one that cannot be used."""
        tls = upstream.tls
        named = () if tls is None else (tls.ca, tls.certificate, tls.key)
        self._paths = tuple(Path(path) for path in named if path is not None)
        self._upstream = upstream
        self._clock = clock
        self._now = now
        self._checked = clock()
        # Before the files are loaded: a change in between is found by the next check.
        self._stamps = self._current_stamps()
        self._context = client_context(upstream)

    def context(self) -> ssl.SSLContext | None:
        """Return the context for a connection that is opened now; None where no target speaks TLS.

        Changed files that cannot be used are logged as an error, once per change, and the context before stays in use.
        """
        if self._paths and self._clock() - self._checked >= LOOK:
            self._check()
        return self._context

    def _check(self) -> None:
        self._checked = self._clock()
        stamps = self._current_stamps()
        if stamps == self._stamps or not self._at_rest(stamps):
            return
        self._stamps = stamps
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

    def _at_rest(self, stamps: tuple[FileStamp, ...]) -> bool:
        """Tell whether no file was written within REST seconds. A time in the future means a clock that was set back."""
        now = self._now()
        return not any(stamp is not None and 0 <= now - stamp[0] / 1e9 < REST for stamp in stamps)

    def _current_stamps(self) -> tuple[FileStamp, ...]:
        return tuple(file_stamp(path) for path in self._paths)


def file_stamp(path: Path) -> FileStamp:
    """Return what differs once a file is written or replaced: time in ns, size, inode; None where there is no file."""
    try:
        status = path.stat()  # follows links: mounted secrets are renewed by replacing one
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
