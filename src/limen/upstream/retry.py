"""Whether a failed attempt may be repeated."""

from typing import Final

from limen.errors import Fault

# RFC 9110 section 9.2.2.
IDEMPOTENT: Final = frozenset((b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"TRACE"))
ATTEMPTS: Final = 2


def may_retry(fault: Fault, *, sent: bool, reused: bool, method: bytes, replayable: bool, attempts: int) -> bool:
    """Tell whether another attempt is safe.

    What was never sent may be tried again; what died on a reused connection before any answer may be tried once more if
    it is idempotent and its whole body is still at hand. Nothing else. ``reused`` says just that: reused, no answer yet.
    """
    if attempts >= ATTEMPTS or not replayable:
        return False
    if fault.kind.retry == "unsent" or (fault.kind.retry == "reused" and not sent):
        return True
    return fault.kind.retry == "reused" and reused and method in IDEMPOTENT
