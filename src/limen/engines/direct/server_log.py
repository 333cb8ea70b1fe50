"""The access log under plain uvicorn, whose settings know uvicorn's loggers alone.

uvicorn would log the requests that it serves itself, with their queries, and none of the direct engine's. Here every request
has its one line of ``limen.access``, and it goes where uvicorn's own lines go, unless somebody has set up that logger.
"""

import logging

from uvicorn.config import Config


def access_log(*, gateway: bool) -> logging.Logger | None:
    """Return uvicorn's own access log for the requests of another application, if it is on; a ``gateway`` writes its own."""
    access = logging.getLogger("uvicorn.access")
    return access if not gateway and access.hasHandlers() else None


def share(config: Config, *, gateway: bool) -> None:
    """Let ``limen.access`` speak where uvicorn does, if uvicorn's access log is on; called once in each worker."""
    access, server = logging.getLogger("limen.access"), logging.getLogger("uvicorn")
    if (
        gateway
        and config.access_log
        and server.handlers
        and access.level == logging.NOTSET
        and not access.hasHandlers()
    ):
        for handler in server.handlers:
            access.addHandler(handler)
        access.setLevel(server.getEffectiveLevel())
        access.propagate = False
