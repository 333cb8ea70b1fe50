"""Logging of a service: one line each, with the id of the request that it belongs to."""

import copy
import logging
from contextvars import ContextVar

request_id: ContextVar[str] = ContextVar("request_id", default="-")
"""The id of the request at hand, set by the request-id middleware."""

_FORMAT = "%(asctime)s %(levelname)s %(name)s request_id=%(request_id)s %(message)s"


class _Handler(logging.StreamHandler):  # pyright: ignore[reportMissingTypeArgument] - generic in the stubs only
    """Writes to stderr; a class of its own, so that configuring twice replaces instead of doubling.

    uvicorn calls the logger of all that it says ``uvicorn.error``; shown is ``uvicorn``, as most of it is no error.
    """

    def format(self, record: logging.LogRecord) -> str:
        if record.name == "uvicorn.error":
            record = copy.copy(record)  # other handlers get it too
            record.name = "uvicorn"
        record.request_id = request_id.get()
        return super().format(record)


def configure(level: str) -> None:
    """Send everything from ``level`` up to stderr, in place of the handlers that a server may have set."""
    handler = _Handler()
    handler.setFormatter(logging.Formatter(_FORMAT))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    # The request log below says the same, with the request's id; Tortoise logs addresses, which may hold passwords.
    logging.getLogger("uvicorn.access").disabled = True
    logging.getLogger("tortoise").setLevel(logging.WARNING)
