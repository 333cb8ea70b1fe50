"""The content of an answer that is read whole before the client gets any of it, within the bound of its route."""

from typing import final


@final
class HeldContent:
    """The pieces that have come, ``most`` bytes at most."""

    __slots__ = ("_most", "_pieces", "_size")

    def __init__(self, most: int) -> None:
        """Nothing has come."""
        self._most = most
        self._pieces: list[bytes] = []
        self._size: int = 0

    def add(self, data: bytes) -> bool:
        """Take a piece; False if that is too much."""
        self._size += len(data)
        if self._size > self._most:
            return False
        self._pieces.append(data)
        return True

    def whole(self) -> bytes:
        """Return all of it."""
        return b"".join(self._pieces)

    def __repr__(self) -> str:
        """Show how much has come."""
        return f"<HeldContent {self._size} bytes>"
