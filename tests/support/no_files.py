"""A listening socket of a process that has no file left."""

import errno
import socket
from typing import Any


class NoFiles:
    """Stands for a listening socket: somebody waits, and there is no file for the connection."""

    def __init__(self) -> None:
        self.readable, self._other = socket.socketpair()
        self._other.send(b"x")
        self.accepts = 0

    def fileno(self) -> int:
        """Return one that is always readable."""
        return self.readable.fileno()

    def setblocking(self, flag: bool) -> None:
        """Take note of nothing."""

    def accept(self) -> Any:
        """Fail."""
        self.accepts += 1
        raise OSError(errno.EMFILE, "Too many open files")

    def close(self) -> None:
        """Close both ends."""
        self.readable.close()
        self._other.close()
