"""Detection that no file descriptor is left. Supervisors need it too, without the imports of ``limen.cli.open_files``."""

import errno
import logging
import os
from collections.abc import Callable

logger = logging.getLogger("limen.serve")

# Seconds between two lines in the log about it.
REPORT_INTERVAL = 60.0

RAISE_ADVICE = "raise it with ulimit -n, LimitNOFILE= of systemd or ulimits: of Compose"


class DescriptorShortage:
    """Detects that no file can be opened, and logs that at most once a minute."""

    def __init__(self, now: Callable[[], float]) -> None:
        """``now`` gives seconds of a monotonic clock."""
        self._now = now
        self._reported = -REPORT_INTERVAL

    def check(self) -> bool:
        """Open a file; tell whether the process or the whole system has none left (EMFILE, ENFILE)."""
        try:
            os.close(os.open(os.devnull, os.O_RDONLY))
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                return False
            self.report(error)
            return True
        return False

    def report(self, error: OSError) -> None:
        """Log ``error``, an EMFILE or the like, unless that was done within ``REPORT_INTERVAL``."""
        now = self._now()
        if now - self._reported >= REPORT_INTERVAL:
            self._reported = now
            logger.error(
                "no file can be opened (%s): clients that are idle make room, new ones wait or are lost; %s",
                *(error.strerror, RAISE_ADVICE),
            )
