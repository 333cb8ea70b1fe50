"""``limen serve``: uvicorn with the settings a gateway needs."""

import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import uvicorn
from uvicorn.supervisors import ChangeReload

from limen.cli.load import load, load_gateway
from limen.gateway import Gateway

# Seconds an idle client connection is kept; uvicorn's own 5 makes clients of a gateway reconnect all the time.
_KEEP_ALIVE = 60

# uvicorn's exit status for an application that does not start.
_STARTUP_FAILURE = 3


# The protocol class of each engine. What the direct engine does not serve, it leaves to uvicorn request by request.
_ENGINES = {"direct": "limen.direct:GatewayProtocol", "asgi": "httptools"}


def serve(
    spec: str,
    *,
    host: str,
    port: int,
    uds: Path | None,
    log_level: str,
    engine: str,
    grace: int,
    reload: bool,
    watch: Sequence[Path],
) -> None:
    """Serve the application at ``spec`` until SIGTERM or SIGINT, then let running requests end for ``grace`` seconds."""
    if isinstance(load(spec), Gateway):
        load_gateway(spec)
    config = uvicorn.Config(
        spec,
        host=host,
        port=port,
        uds=None if uds is None else str(uds),
        http=_ENGINES[engine],
        log_level=log_level,
        log_config=_logging(log_level.upper()),
        access_log=False,  # limen writes its own
        proxy_headers=False,  # nobody is trusted with another client's address unless we decide so
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=grace,
        reload=reload,
        reload_dirs=[str(folder) for folder in watch] or None,
    )
    server = uvicorn.Server(config)
    try:
        if uds is not None and not reload:
            server.run()
        else:
            listener = config.bind_socket() if uds is not None else _listen(host, port)
            if reload:
                ChangeReload(config, target=server.run, sockets=[listener]).run()
            else:
                server.run(sockets=[listener])
    except KeyboardInterrupt:
        pass  # uvicorn has stopped in good order and raises the signal again
    if not reload and not server.started:
        sys.exit(_STARTUP_FAILURE)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise click.ClickException(
            f"cannot listen on {host}:{port}: {error.strerror or error}; "
            "stop what listens there, or choose another port with --port"
        ) from error
    listener.set_inheritable(True)
    return listener


def _logging(level: str) -> dict[str, Any]:
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stderr"}},
        "root": {"level": level, "handlers": ["stderr"]},
    }
