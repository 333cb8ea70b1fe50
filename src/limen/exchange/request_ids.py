"""Request ids: random, so that no two are equal, wherever they are made."""

import os
from typing import Final

_LENGTH: Final = 32  # hexadecimal digits: 128 bits
_BLOCK: Final = 4096  # bytes asked of the operating system at once: 256 ids


class RequestIds:
    """Makes ids from a block of random digits: a system call for each would be a good part of the cost of a request.

    The first block is made with the first id, so that processes forked before do not share it.
    """

    __slots__ = ("_at", "_digits")

    def __init__(self) -> None:
        """Begin without a block."""
        self._digits = ""
        self._at = 0

    def fresh(self) -> str:
        """Return a new id."""
        at = self._at
        if at == len(self._digits):
            self._digits = os.urandom(_BLOCK).hex()
            at = 0
        self._at = at + _LENGTH
        return self._digits[at : at + _LENGTH]

    def __repr__(self) -> str:
        """Show how many ids are left of the block, and none of them."""
        return f"<RequestIds {(len(self._digits) - self._at) // _LENGTH} ready>"
