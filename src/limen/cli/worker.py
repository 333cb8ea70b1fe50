"""One worker of ``limen serve --workers`` or ``--reload``: what runs in the process that a supervisor starts, and no more.

``python -m limen.cli.worker OPTIONS``, OPTIONS being JSON: those of ``serve``, and the numbers of two inherited files.
``listener`` is the socket that all workers accept from. ``control`` leads to the supervisor: the worker writes one byte
when it serves, and with ``--workers`` one every second from then on, as long as its event loop turns
(``limen.cli.heartbeat``). It stops in good order when the other end is gone, so that no worker outlives its supervisor.

With ``reload`` in OPTIONS, the worker imports limen, then waits for the byte ``GO`` before it imports the application. Why
that does not start goes to the supervisor, as text behind the byte ``FAILED``; and the supervisor's end is followed by a
thread: also while the application is imported, or when one of its functions does not return.

SIGTERM ends the worker in good order. SIGHUP is the supervisor's alone and ignored, whoever sends it to a whole group.
"""

import asyncio
import contextlib
import copy
import json
import os
import signal
import socket
import sys
import threading
import time
from importlib import import_module
from typing import Any, cast

import click
import uvicorn

from limen.cli.heartbeat import BEAT
from limen.cli.load import collector_rests, is_gateway, load, load_gateway
from limen.cli.open_files import share_out
from limen.cli.place import described
from limen.cli.serve import PROTOCOLS, Options, check_tls, configure
from limen.cli.server import LINGER, Server
from limen.cli.supervision import FAILED, GO, LONGEST, SERVES, STARTUP_FAILURE
from limen.cli.tls import Files

# Seconds that a worker gets to end in good order once its supervisor is gone, where a thread follows that.
_ORPHANED = 3.0


class Worker(Server):
    """A server that tells its supervisor when it serves, and follows it when it ends."""

    def __init__(
        self,
        config: uvicorn.Config,
        control: socket.socket,
        tls: Files | None = None,
        *,
        reload: bool = False,
        clients: int | None = None,
    ) -> None:
        """``control`` is this worker's end of the pair; ``reload`` as this module says; the others as ``Server`` has them."""
        # A client that keeps its connection must not get the old code's answers for another second.
        super().__init__(config, tls, linger=0.0 if reload else LINGER, clients=clients)
        self._control = control
        self._reload = reload

    async def startup(self, sockets: Any = None) -> None:
        """Start, then say so, and go on saying so: also while it stops, which has a bound of its own."""
        if self._reload:
            await self._start_and_explain(sockets)
            self._control.send(SERVES)
            return
        loop = asyncio.get_running_loop()
        loop.add_reader(self._control.fileno(), self._orphaned)
        await super().startup(sockets)
        self._beat(loop)

    async def _start_and_explain(self, sockets: Any) -> None:
        watched = _Startup(cast(Any, self.config.loaded_app))  # pyright: ignore[reportUnknownMemberType] - uvicorn's
        config = copy.copy(self.config)
        config.loaded_app = watched
        self.lifespan.config = config  # requests go to the application itself
        try:
            await super().startup(sockets)
        except SystemExit:
            why = described(watched.error) if watched.error else watched.message or "its log says more"
            tell(self._control, f"the startup of {self.config.app} failed: {why}")
            raise

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            self._control.send(SERVES)
        except BlockingIOError:
            pass  # the supervisor has not read for so long that it has enough of them
        except OSError:
            return  # it is gone: ``_orphaned`` is told
        loop.call_later(BEAT, self._beat, loop)

    def _orphaned(self) -> None:
        asyncio.get_running_loop().remove_reader(self._control.fileno())
        self.should_exit = True


class _Startup:
    """An application, with what its lifespan failed with."""

    def __init__(self, app: Any) -> None:
        self.error: BaseException | None = None
        self.message = ""
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def seen(message: Any) -> None:
            if message["type"] == "lifespan.startup.failed":
                self.message = str(message.get("message", ""))
            await send(message)

        try:
            await self._app(scope, receive, seen)
        except BaseException as error:
            self.error = error
            raise


def prepare(engine: str) -> None:
    """Import what takes time and is not the application: what serves, and what most applications are made with."""
    with collector_rests():
        for name in (PROTOCOLS[engine].partition(":")[0], "limen.app.gateway"):
            import_module(name)


def tell(control: socket.socket, why: str) -> None:
    """Tell the supervisor why this worker does not start."""
    control.send(FAILED + why.encode(errors="replace")[:LONGEST])


def _follow(control: socket.socket) -> None:
    """End this process when the other end of ``control`` is gone, whatever it does then."""
    following = socket.socket(fileno=os.dup(control.fileno()))

    def follow() -> None:
        with contextlib.suppress(OSError):
            following.recv(1)  # nothing is ever sent
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_ORPHANED)
        os._exit(STARTUP_FAILURE)

    threading.Thread(target=follow, name="limen-follows-its-supervisor", daemon=True).start()


def main() -> None:
    """Serve; status 3 when the application does not start."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    given = json.loads(sys.argv[1])
    listener, control = socket.socket(fileno=given.pop("listener")), socket.socket(fileno=given.pop("control"))
    for inherited in (listener, control):
        inherited.set_inheritable(False)  # what the application starts must not hold them
    reload: bool = given.pop("reload", False)
    options = Options(**given)
    if reload:
        prepare(options.engine)
        if control.recv(1) != GO:
            sys.exit()
        _follow(control)
    else:
        control.setblocking(False)
    try:
        check_tls(options)
        app = load(options.spec)
        if is_gateway(app):
            load_gateway(options.spec)
        config = configure(options, many=not reload)
        clients = share_out(app, tls=options.tls is not None)
    except click.ClickException as error:
        if reload:
            tell(control, error.format_message())
        else:
            error.show()
        sys.exit(STARTUP_FAILURE)
    Worker(config, control, options.tls, reload=reload, clients=clients).run([listener])


if __name__ == "__main__":
    main()
