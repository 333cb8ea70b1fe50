"""``limen serve``: uvicorn with the settings a gateway needs. Options and sockets live here; ``limen.cli.server`` stops a
process, and ``limen.cli.supervisor`` runs many.

``--log-level`` is the level of the root logger, and so of uvicorn's lines and the access log. A service that sets up logging
itself (``LOG_LEVEL`` of the kit) sets the level of its own lines, not of uvicorn's.

A supervisor serves nothing and imports nothing that serves: uvicorn, the engines, FastAPI. That of ``--reload`` imports them
after its first worker has started, to know which changes concern the prepared one (``limen.cli.reload.imported``).
"""

import asyncio
import contextlib
import errno
import functools
import logging
import logging.config
import os
import socket
import stat
import sys
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from limen.cli.load import check_spec, is_gateway, load, load_gateway
from limen.cli.supervisor import Supervisor
from limen.cli.tls import TlsFiles, Validity, context_for_uvicorn, server_context, warn
from limen.cli.version import version
from limen.cli.worker_protocol import STARTUP_FAILURE
from limen.observe.handler import LineHandler

if TYPE_CHECKING:
    import uvicorn

logger = logging.getLogger("limen.serve")

_BACKLOG = 2048

# For WebSockets, which uvicorn serves: bytes of a message, and messages that wait for the application. Compression is off,
# because a decompressed message has no bound.
_MOST_MESSAGE = 1024 * 1024
_MOST_MESSAGES = 4

# The advice for an address that cannot be bound.
_ADVICE = {
    errno.EADDRINUSE: "stop what listens there, or choose another port with --port",
    errno.EACCES: "choose a port from 1024 on with --port, or allow this process the lower ones (CAP_NET_BIND_SERVICE)",
}

# The protocol class of each engine. The direct engine leaves requests that it does not serve to uvicorn.
PROTOCOLS = {"direct": "limen.engines.direct:GatewayProtocol", "asgi": "limen.engines.direct:GuardedProtocol"}


@dataclass(frozen=True)
class Options:
    """The options of a server process; plain values, as workers get them as JSON."""

    spec: str
    host: str
    port: int
    uds: str | None
    log_level: str
    engine: str
    grace: int
    tls_certificate: str | None = None
    tls_key: str | None = None
    tls_client_ca: str | None = None
    tls_client_auth: str = "required"
    root_path: str = ""
    drain_wait: int = 0

    @property
    def tls(self) -> TlsFiles | None:
        """The files to serve TLS with; None is plain HTTP."""
        if self.tls_certificate is None:
            return None
        key, authorities = (None if name is None else Path(name) for name in (self.tls_key, self.tls_client_ca))
        return TlsFiles(Path(self.tls_certificate), key, authorities, self.tls_client_auth)


def serve(options: Options, *, workers: int | None, reload: bool, watch: Sequence[Path]) -> None:
    """Serve until SIGTERM or SIGINT, then let running requests end for ``options.grace`` seconds.

    ``options.drain_wait`` is for how many seconds it serves on before that, while its readiness endpoint says no.
    Without ``workers`` this process serves; with a number, it supervises that many (``limen.cli.supervisor``).
    """
    validity = check_tls(options)
    if watch and not reload:
        raise click.UsageError("--watch says what --reload watches; give both, or neither")
    if reload and options.drain_wait:
        raise click.UsageError("--drain-wait is for those who send requests elsewhere; leave it out with --reload")
    if workers is not None:
        _supervise(options, workers, validity, reload=reload)
        return
    if reload and os.name != "nt":
        _reload(options, watch or (Path.cwd(),), validity)
        return
    _serve(options, validity, reload=reload, watch=watch)


def _serve(options: Options, validity: Validity | None, *, reload: bool, watch: Sequence[Path]) -> None:
    from limen.cli.open_files import share_out
    from limen.cli.server import Server

    app = load(options.spec)
    if is_gateway(app):
        load_gateway(options.spec)
    config = configure(options, reload=reload, watch=watch)
    logger.info(version())
    if options.tls is not None and validity is not None:
        warn(options.tls, validity)
    if reload:
        # Windows lacks the signals and inherited sockets that our own supervisor needs.
        import uvicorn
        from uvicorn.supervisors import ChangeReload

        # uvicorn has stopped gracefully and raises the signal again
        with _listening(options) as listener, contextlib.suppress(KeyboardInterrupt):
            ChangeReload(config, target=uvicorn.Server(config).run, sockets=[listener]).run()
        return
    clients = share_out(app, tls=options.tls is not None)
    server = Server(config, options.tls, hang_up=True, clients=clients, drain_wait=options.drain_wait)
    with _listening(options) as listener:
        server.run([listener])
    if not server.started:
        sys.exit(STARTUP_FAILURE)


def configure(
    options: Options, *, many: bool = False, reload: bool = False, watch: Sequence[Path] = ()
) -> "uvicorn.Config":
    """Return uvicorn's configuration; with ``many`` workers, each line of the log has the process id."""
    import uvicorn

    return uvicorn.Config(
        options.spec,
        host=options.host,
        port=options.port,
        uds=options.uds,
        http=PROTOCOLS[options.engine],
        root_path=options.root_path,
        log_level=options.log_level,
        log_config=_log_config(options.log_level.upper(), many=many),
        access_log=False,  # limen writes its own
        proxy_headers=False,  # limen.client.trust decides which proxies are trusted
        server_header=False,
        ws_max_size=_MOST_MESSAGE,
        ws_max_queue=_MOST_MESSAGES,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=options.grace,
        reload=reload,
        reload_dirs=[str(folder) for folder in watch] or None,
        ssl_context_factory=None if options.tls is None else functools.partial(context_for_uvicorn, options.tls),
    )


def check_tls(options: Options) -> Validity | None:
    """Return the validity of the certificate, if there is one; raises ClickException for files that cannot be served."""
    files = options.tls
    if files is None and (options.tls_key is not None or options.tls_client_ca is not None):
        raise click.UsageError("--tls-key and --tls-client-ca need --tls-certificate, the certificate to serve")
    if options.tls_client_ca is None and options.tls_client_auth != "required":
        raise click.UsageError("--tls-client-auth needs --tls-client-ca, the authorities of the clients' certificates")
    if files is None:
        return None
    if options.uds is not None:
        raise click.UsageError(
            "--uds and --tls-certificate exclude one another; who reaches a Unix socket is here already"
        )
    try:
        return server_context(files)[1]
    except ValueError as error:
        raise click.ClickException(f"TLS: {error}") from error


def _supervise(options: Options, workers: int, validity: Validity | None, *, reload: bool) -> None:
    if reload:
        raise click.UsageError("--reload and --workers exclude one another; develop with --reload, and one process")
    if os.name == "nt":
        raise click.UsageError("--workers needs the signals of Unix; start one process per port instead")
    logging.config.dictConfig(_log_config(options.log_level.upper(), many=True))
    logger.info(version())
    if options.tls is not None and validity is not None:
        warn(options.tls, validity)
    with _listening(options) as listener:
        supervisor = Supervisor(
            listener, asdict(options), count=workers, grace=options.grace, drain_wait=options.drain_wait
        )
        status = asyncio.run(supervisor.run())
    sys.exit(status)


def _reload(options: Options, watch: Sequence[Path], validity: Validity | None) -> None:
    from limen.cli.reload import Reloader
    from limen.cli.source_changes import SourceChanges  # imports watchfiles, which only this needs

    check_spec(options.spec)
    logging.config.dictConfig(_log_config(options.log_level.upper(), many=False))
    logger.info(version())
    if options.tls is not None and validity is not None:
        warn(options.tls, validity)
    context = None if options.tls is None else server_context(options.tls)[0]
    with _listening(options) as listener:
        asyncio.run(Reloader(listener, asdict(options), SourceChanges(watch), context).run())


@contextlib.contextmanager
def _listening(options: Options) -> Generator[socket.socket]:
    """Listen. At the end, remove our Unix socket, unless another process has replaced it."""
    if options.uds is None:
        yield _listen(options)
        return
    path = Path(options.uds)
    listener = _listen_unix(path)
    inode = path.stat().st_ino
    try:
        yield listener
    finally:
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_ino == inode:
                path.unlink()


def _listen(options: Options) -> socket.socket:
    host, port = options.host, options.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        _flush_log()
        reason = str(error.strerror or error).partition(" (while")[0]  # create_server adds the address
        advice = _ADVICE.get(error.errno or 0, "choose another address with --host")
        raise click.ClickException(f"cannot listen on {host}:{port}: {reason}; {advice}") from error
    listener.set_inheritable(True)
    scheme = "http" if options.tls is None else "https"
    shown = f"[{host}]" if family == socket.AF_INET6 else host
    logger.info("listening on %s://%s:%d", scheme, shown, listener.getsockname()[1])
    return listener


def _listen_unix(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    try:
        if path.exists() and stat.S_ISSOCK(path.stat().st_mode):
            path.unlink()  # left by a process that was killed; asyncio does the same
        listener.bind(str(path))
        path.chmod(0o666)  # as uvicorn does: the folder's mode says who may connect
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        _flush_log()
        raise click.ClickException(
            f"cannot listen on {path}: {error.strerror or error}; choose another path with --uds"
        ) from error
    logger.info("listening on %s", path)
    return listener


def _flush_log() -> None:
    """Write what was logged, so that the final message of the command comes after it."""
    for handler in logging.getLogger().handlers:
        handler.flush()


def _log_config(level: str, *, many: bool) -> dict[str, Any]:
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"stderr": {"()": LineHandler, "many": many}},
        "root": {"level": level, "handlers": ["stderr"]},
    }
