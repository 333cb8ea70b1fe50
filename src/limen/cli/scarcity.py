"""Notices that no file is left to open. Supervisors need this too, but not what ``limen.cli.open_files`` has of gateways."""

import errno
import logging
import os
from collections.abc import Callable

logger = logging.getLogger("limen.serve")

# Seconds between two lines in the log that say that there is no file left.
SAID = 60.0

RAISE = "raise it with ulimit -n, LimitNOFILE= of systemd or ulimits: of Compose"


class Scarcity:
    """Notices that no file can be opened, whoever has them all, and says so once a minute."""

    def __init__(self, now: Callable[[], float]) -> None:
        """``now`` is in seconds, of a clock that goes on."""
        self._now = now
        self._said = -SAID

    def look(self) -> bool:
        """Try to open one; tell whether there is none left, of the process or of the whole system (EMFILE, ENFILE)."""
        try:
            os.close(os.open(os.devnull, os.O_RDONLY))
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                return False
            self.say(error)
            return True
        return False

    def say(self, error: OSError) -> None:
        """Log ``error``, which told that there is none left, unless that was said a moment ago."""
        now = self._now()
        if now - self._said >= SAID:
            self._said = now
            logger.error(
                "no file can be opened (%s): clients that are idle make room, new ones wait or are lost; %s",
                *(error.strerror, RAISE),
            )
