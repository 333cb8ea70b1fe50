"""Who may try next at an account that is delayed. Counting only, as in ``login_throttle``.

Without an order, whoever asks most often is first when a delay ends: a guesser who asks five times a second keeps an owner
out for as long as they go on. So those who were refused stand in a line, by address. When the delay ends, the first of them
has a turn of some time, in which nobody else may try; whoever does not come loses it, and the next one has theirs.
"""

from collections import OrderedDict

MAX_LINES = 1000
"""Accounts with a line; a new line evicts the one that was least recently used."""

MAX_PLACES = 100
"""Addresses in one line; further ones get no place until one is free."""


class WaitingLine:
    """The addresses that wait for one account, the first to come first."""

    __slots__ = ("_addresses", "_turn_began", "_turn_length")

    def __init__(self, turn_length: float) -> None:
        """Begin with none; a turn lasts ``turn_length`` seconds."""
        self._addresses: OrderedDict[str, None] = OrderedDict()
        self._turn_began = 0.0
        self._turn_length = turn_length

    def __repr__(self) -> str:
        """Show who waits."""
        return f"<WaitingLine {', '.join(self._addresses) or 'empty'}>"

    def wait(self, address: str, opens_at: float, now: float) -> float:
        """Return the seconds until the turn of ``address``; 0 is now. Whoever has to wait gets a place.

        The account is delayed until ``opens_at``.
        """
        self._skip_missed_turns(opens_at, now)
        first = next(iter(self._addresses), None)
        if now >= opens_at and first in (None, address):
            return 0.0
        if len(self._addresses) < MAX_PLACES:
            self._addresses.setdefault(address)
        before = next((place for place, other in enumerate(self._addresses) if other == address), len(self._addresses))
        return self._turn_began + before * self._turn_length - now

    def leave(self, address: str, now: float) -> None:
        """Give up the place of ``address``, whose attempt has ended; the next turn begins."""
        if address in self._addresses:
            del self._addresses[address]
            self._turn_began = now

    def _skip_missed_turns(self, opens_at: float, now: float) -> None:
        self._turn_began = max(self._turn_began, opens_at)
        while self._addresses and now >= self._turn_began + self._turn_length:
            self._addresses.popitem(last=False)
            self._turn_began += self._turn_length


class WaitingLines:
    """The lines of one process, by account."""

    __slots__ = ("_lines", "_turn_length")

    def __init__(self, turn_length: float) -> None:
        """Begin with none; a turn lasts ``turn_length`` seconds."""
        self._lines: OrderedDict[str, WaitingLine] = OrderedDict()
        self._turn_length = turn_length

    def __len__(self) -> int:
        """Count them."""
        return len(self._lines)

    def wait(self, account: str, address: str | None, opens_at: float, now: float) -> float:
        """Return the seconds until the turn of ``address``; all whose address is not known share one place."""
        line = self._lines.get(account)
        if line is None:
            line = self._lines[account] = WaitingLine(self._turn_length)
            if len(self._lines) > MAX_LINES:
                self._lines.popitem(last=False)
        else:
            self._lines.move_to_end(account)
        return line.wait(address or "", opens_at, now)

    def leave(self, account: str, address: str | None, now: float) -> None:
        """Give up a place, if there is one."""
        if (line := self._lines.get(account)) is not None:
            line.leave(address or "", now)

    def drop(self, account: str) -> None:
        """Forget the line of an account that is not delayed any more."""
        self._lines.pop(account, None)
