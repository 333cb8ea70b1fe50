"""The fallback of one request: which other service has it in the end, or which fixed answer the client gets.

It is there once the request may be sent. ``limen.runtime.fallback`` says what is declared, and which faults it covers.
"""

from typing import final

from limen.errors import Fault
from limen.exchange.request import Request
from limen.http.replies import Reply
from limen.runtime.fallback import FALLS_BACK
from limen.runtime.plan import LiveFallback, Plan


@final
class Fallback:
    """What answers one request in place of the service that is called ``service``.

    ``note`` tells operators in whose place it has answered, and why; empty as long as it has not.
    """

    __slots__ = ("_asked", "_live", "_request", "_service", "note")

    def __init__(self, live: LiveFallback, service: str, request: Request) -> None:
        """Nothing has failed yet."""
        self._live = live
        self._service = service
        self._request = request
        self._asked = False  # the other service has the request: what that answers is final
        self.note = ""

    @property
    def plan(self) -> Plan | None:
        """The plan of the other service; None where the answer is a fixed one."""
        return self._live.plan

    def covers_fault(self, fault: Fault) -> bool:
        """Tell whether it answers in place of a service that has failed with ``fault``."""
        return not self._asked and fault.kind in FALLS_BACK

    def covers_status(self, status: int) -> bool:
        """Tell whether it answers in place of an answer with ``status``."""
        return not self._asked and status in self._live.statuses

    def note_other_service(self, ended: str) -> None:
        """Take note that the other service has the request, as the first one ``ended`` so."""
        self._asked = True
        self.note = f"in place of {self._service}: {ended}"

    def fixed_answer(self, ended: str = "") -> Reply | None:
        """Return the fixed answer, if there is one, to what ``ended`` so; a fault is told in the log anyhow."""
        if self._live.reply is None:
            return None
        self.note = f"a fixed answer in place of {self._service}" + (f": {ended}" if ended else "")
        return self._live.reply(self._request)

    def __repr__(self) -> str:
        """Show whose place it takes, and whether it has."""
        return f"<Fallback of {self._service}{', used' if self.note else ''}>"


def described(fault: Fault) -> str:
    """Return how a service has ended with ``fault``, for operators."""
    return f"{fault.kind.code}, {fault.cause}" if fault.cause else fault.kind.code
