"""One line a request, on the logger ``limen.access``. Query strings, tokens and bodies never get here."""

import logging
from typing import Final

from limen.observe.outcome import Outcome

_log: Final = logging.getLogger("limen.access")


def write(outcome: Outcome) -> None:
    """Log ``outcome``: information as a rule, a warning when the gateway or a service failed."""
    level = logging.WARNING if outcome.status >= 500 and outcome.code else logging.INFO
    if not _log.isEnabledFor(level):
        return
    _log.log(
        level,
        "%s %s %d %.1fms route=%s upstream=%s request_id=%s%s%s",
        outcome.method.decode(),
        outcome.path.decode("ascii", "backslashreplace"),
        outcome.status,
        outcome.seconds * 1000,
        outcome.route,
        outcome.upstream,
        outcome.request_id,
        f" code={outcome.code}" if outcome.code else "",
        f" cause={outcome.cause!r}" if outcome.cause else "",
    )
