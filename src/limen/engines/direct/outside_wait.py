"""What an exchange on the direct engine waits for outside: an identity provider, a policy, a hook, or a long check.

The exchange goes on in the callback of it. If it has ended by then, what was granted goes back at once.
"""

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, final

from limen.errors import Fault, Kind
from limen.observe.access import shown
from limen.observe.redaction import logger

if TYPE_CHECKING:
    from limen.engines.direct.exchange import DirectExchange

_log = logger("limen.direct")


@final
class OutsideWait:
    """One such wait. It belongs to ``exchange`` as long as that waits for it, and for nothing else."""

    __slots__ = ("_exchange", "_future", "_owned")

    def __init__(self, exchange: "DirectExchange", awaited: Awaitable[Any]) -> None:
        """Wait for ``awaited``; a future of a policy's is not cancelled with the exchange, since others may wait for it."""
        self._exchange = exchange
        self._future: asyncio.Future[Any] = asyncio.ensure_future(awaited, loop=exchange.downstream.loop)
        self._owned = self._future is not awaited or not exchange.core.waits_for_policy
        self._future.add_done_callback(self._done)

    def _done(self, future: "asyncio.Future[Any]") -> None:
        exchange = self._exchange
        late = exchange.awaited is not self
        if not late:
            exchange.awaited = None
        if future.cancelled():
            if not late:
                _log.error("%s %s failed: what it waited for was cancelled", *shown(exchange.core.outcome))
                exchange.end_with(Fault(Kind.INTERNAL_ERROR))
            return
        try:
            value = future.result()
            if late:
                exchange.core.abandon(value)
            else:
                exchange.go_on(value)
        except Exception:
            if not late:
                exchange.bug()

    def cancel(self) -> None:
        """Wait no more."""
        if self._owned:
            # Not at once: it may not have begun, and what it would have awaited would never be awaited.
            self._exchange.downstream.loop.call_soon(self._future.cancel)

    def __repr__(self) -> str:
        """Show what is waited for."""
        return f"<OutsideWait {self._future!r}>"
