"""Logging of a service: one line per record, with the id of its request."""

import copy
import logging
from contextvars import ContextVar

request_id: ContextVar[str] = ContextVar("request_id", default="-")
"""The id of the current request, set by the request-id middleware."""

_FORMAT = "%(asctime)s %(levelname)s %(name)s request_id=%(request_id)s %(message)s"


class _Handler(logging.StreamHandler):  # pyright: ignore[reportMissingTypeArgument] - generic in the stubs only
    """Writes to stderr, with the request's id.

    uvicorn logs everything as ``uvicorn.error``; this is shown as ``uvicorn``, since most of it is no error.
    """

    def format(self, record: logging.LogRecord) -> str:
        if record.name == "uvicorn.error":
            record = copy.copy(record)  # other handlers get the same record
            record.name = "uvicorn"
        record.request_id = request_id.get()
        return super().format(record)


def configure(level: str) -> None:
    """Log everything from ``level`` up to stderr, and replace the handlers that a server may have set."""
    handler = _Handler()
    handler.setFormatter(logging.Formatter(_FORMAT))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    # ``limen_kit.access`` logs the same with the request's id. Tortoise logs addresses, which may hold passwords.
    logging.getLogger("uvicorn.access").disabled = True
    logging.getLogger("tortoise").setLevel(logging.WARNING)
