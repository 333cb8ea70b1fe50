"""The worker process of ``limen serve --workers`` or ``--reload``.

``python -m limen.cli.worker OPTIONS``: OPTIONS is JSON, with the options of ``serve`` and inherited file descriptors.
``listener`` is the socket that all workers accept from. ``control`` leads to the supervisor: the worker writes one byte
when it serves, and with ``--workers`` one every second from then on, as long as its event loop turns
(``limen.cli.heartbeat``). It stops gracefully when the other end is closed, so that no worker outlives its supervisor.
With ``--workers``, ``states`` leads there, too: what workers tell each other about targets (``limen.cli.supervisor_link``).

With ``reload`` in OPTIONS, the worker imports limen, then waits for the byte ``GO`` before it imports the application. If
that does not start, the worker sends the byte ``FAILED`` and a text that says why. A thread watches for the supervisor's end,
even while the application is being imported, or when one of its functions does not return.

SIGTERM stops the worker gracefully. SIGUSR1, from the supervisor, says that all workers are about to stop: the readiness
endpoint answers 503 from then on. SIGHUP is for the supervisor only, and ignored here if it is sent to a whole group.
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
from collections.abc import Generator, Iterable
from importlib import import_module
from types import FrameType
from typing import Any, cast

import click
import uvicorn

from limen.cli.heartbeat import BEAT_INTERVAL
from limen.cli.load import collector_paused, is_gateway, load, load_gateway
from limen.cli.open_files import share_out
from limen.cli.serve import PROTOCOLS, Options, check_tls, configure
from limen.cli.server import LINGER, Server
from limen.cli.source_location import describe
from limen.cli.supervisor_link import SupervisorLink
from limen.cli.tls import TlsFiles
from limen.cli.worker_protocol import FAILED, GO, LONGEST, SERVES, STARTUP_FAILURE
from limen.runtime.target_states import PEERS

# Seconds for a graceful stop after the supervisor's end, if a thread has noticed it.
_ORPHAN_GRACE = 3.0


class Worker(Server):
    """A server that tells its supervisor when it serves, and stops when the supervisor has ended."""

    def __init__(
        self,
        config: uvicorn.Config,
        control: socket.socket,
        tls: TlsFiles | None = None,
        *,
        reload: bool = False,
        clients: int | None = None,
        states: socket.socket | None = None,
    ) -> None:
        """``control`` and ``states`` are this worker's ends of socket pairs; ``reload`` is explained above, the others in
        ``Server``.
        """
        # With ``reload``, no LINGER: a kept connection must not get answers of the old code for another second.
        super().__init__(config, tls, linger=0.0 if reload else LINGER, clients=clients)
        self._control = control
        self._reload = reload
        self._states = states
        self._link: SupervisorLink | None = None

    async def startup(self, sockets: Any = None) -> None:
        """Start, then send beats, even while it stops: a stop has a bound of its own."""
        if self._reload:
            await self._start_and_explain(sockets)
            self._control.send(SERVES)
            return
        loop = asyncio.get_running_loop()
        loop.add_reader(self._control.fileno(), self._on_supervisor_end)
        if self._states is not None:
            self._link = SupervisorLink()
            await self._link.connect(self._states)
            PEERS.set(self._link)  # for the task of the lifespan, in which gateways start
        await super().startup(sockets)
        self._beat(loop)

    async def shutdown(self, sockets: Iterable[Any] | None = None) -> None:
        """Stop, and share nothing any more."""
        await super().shutdown(sockets)
        if self._link is not None:
            self._link.close()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Handle the signals."""
        before = signal.signal(signal.SIGUSR1, self._on_drain)
        try:
            with super().capture_signals():
                yield
        finally:
            signal.signal(signal.SIGUSR1, before)

    def _on_drain(self, sig: int, frame: FrameType | None) -> None:
        if self.started:
            self.drain()

    async def _start_and_explain(self, sockets: Any) -> None:
        recorder = _StartupRecorder(cast(Any, self.config.loaded_app))  # pyright: ignore[reportUnknownMemberType] - uvicorn's
        config = copy.copy(self.config)
        config.loaded_app = recorder
        self.lifespan.config = config  # requests go to the application itself
        try:
            await super().startup(sockets)
        except SystemExit:
            why = describe(recorder.error) if recorder.error else recorder.message or "its log says more"
            send_failure(self._control, f"the startup of {self.config.app} failed: {why}")
            raise

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            self._control.send(SERVES)
        except BlockingIOError:
            pass  # the supervisor has not read for long, and will find enough beats
        except OSError:
            return  # the supervisor has ended, see ``_on_supervisor_end``
        loop.call_later(BEAT_INTERVAL, self._beat, loop)

    def _on_supervisor_end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._control.fileno())
        self.should_exit = True


class _StartupRecorder:
    """An application that keeps the error, or the message, with which its startup failed."""

    def __init__(self, app: Any) -> None:
        self.error: BaseException | None = None
        self.message = ""
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def recording_send(message: Any) -> None:
            if message["type"] == "lifespan.startup.failed":
                self.message = str(message.get("message", ""))
            await send(message)

        try:
            await self._app(scope, receive, recording_send)
        except BaseException as error:
            self.error = error
            raise


def prepare(engine: str) -> None:
    """Import the server and limen, which takes most of the time of a start, before the application."""
    with collector_paused():
        for name in (PROTOCOLS[engine].partition(":")[0], "limen.app.gateway"):
            import_module(name)


def send_failure(control: socket.socket, why: str) -> None:
    """Send the supervisor the reason why this worker does not start."""
    control.send(FAILED + why.encode(errors="replace")[:LONGEST])


def _end_with_supervisor(control: socket.socket) -> None:
    """End this process when the other end of ``control`` is closed, whatever it is doing then."""
    duplicate = socket.socket(fileno=os.dup(control.fileno()))

    def watch() -> None:
        with contextlib.suppress(OSError):
            duplicate.recv(1)  # returns at the end: nothing is ever sent
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_ORPHAN_GRACE)
        os._exit(STARTUP_FAILURE)

    threading.Thread(target=watch, name="limen-watches-its-supervisor", daemon=True).start()


def main() -> None:
    """Serve; status 3 when the application does not start."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    arguments = json.loads(sys.argv[1])
    listener = socket.socket(fileno=arguments.pop("listener"))
    control = socket.socket(fileno=arguments.pop("control"))
    states = socket.socket(fileno=arguments.pop("states")) if "states" in arguments else None
    for inherited in (listener, control, *([] if states is None else [states])):
        inherited.set_inheritable(False)  # processes that the application starts must not hold them
    reload: bool = arguments.pop("reload", False)
    options = Options(**arguments)
    if reload:
        prepare(options.engine)
        if control.recv(1) != GO:
            sys.exit()
        _end_with_supervisor(control)
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
            send_failure(control, error.format_message())
        else:
            error.show()
        sys.exit(STARTUP_FAILURE)
    Worker(config, control, options.tls, reload=reload, clients=clients, states=states).run([listener])


if __name__ == "__main__":
    main()
