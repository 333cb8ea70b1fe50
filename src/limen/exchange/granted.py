"""What a policy may hand to an exchange, and what the exchange calls from then on: a lease, a transform, a tap.

Policies may inherit from these. So this module is not compiled, as ``limen.exchange.hooks`` is: nothing that is not compiled
can inherit from what is.
"""

from typing import Protocol


class Lease(Protocol):
    """Something that was granted to one exchange, and is given back when it settles."""

    def release(self) -> None:
        """Give it back. Called exactly once. Never raises, never waits."""
        ...


class Transform(Protocol):
    """Changes the content of one message as it passes. Never waits."""

    def feed(self, data: bytes) -> bytes:
        """Take a piece of content; return what goes out now, which may be nothing."""
        ...

    def flush(self) -> bytes:
        """No more content has come for now: return what was kept back, if it can go out."""
        ...

    def end(self) -> bytes:
        """The content is complete: return the rest."""
        ...


class Tap(Protocol):
    """Keeps an answer: it gets the service's content as it comes, before it is changed for this client."""

    def feed(self, data: bytes) -> None:
        """Take a piece of content."""
        ...

    def end(self) -> None:
        """The content is complete."""
        ...

    def abort(self) -> None:
        """The content will not be complete. One of ``end`` and ``abort`` is called, exactly once."""
        ...
