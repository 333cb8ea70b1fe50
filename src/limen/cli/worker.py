"""One worker of ``limen serve --workers``: what runs in the process that ``limen.cli.workers`` starts. Nothing else does.

``python -m limen.cli.worker OPTIONS``, OPTIONS being JSON: those of ``serve``, and the numbers of two inherited files.
``listener`` is the socket that all workers accept from. ``control`` leads to the supervisor: the worker writes one byte
when it serves, and stops in good order when the other end is gone, so that no worker outlives its supervisor.

SIGTERM ends the worker in good order. SIGHUP is the supervisor's alone and ignored, whoever sends it to a whole group.
"""

import asyncio
import json
import signal
import socket
import sys
from typing import Any

import click
import uvicorn

from limen.cli.load import load, load_gateway
from limen.cli.serve import Options, check_tls, configure
from limen.cli.server import STARTUP_FAILURE, Server
from limen.cli.tls import Files
from limen.gateway import Gateway


class Worker(Server):
    """A server that tells its supervisor when it serves, and follows it when it ends."""

    def __init__(self, config: uvicorn.Config, control: socket.socket, tls: Files | None = None) -> None:
        """``control`` is this worker's end of the pair; ``tls`` as ``Server`` has it."""
        super().__init__(config, tls)
        self._control = control

    async def startup(self, sockets: Any = None) -> None:
        """Start, then say so."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._control.fileno(), self._orphaned)
        await super().startup(sockets)
        self._control.send(b"r")

    def _orphaned(self) -> None:
        asyncio.get_running_loop().remove_reader(self._control.fileno())
        self.should_exit = True


def main() -> None:
    """Serve; status 3 when the application does not start."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    given = json.loads(sys.argv[1])
    listener, control = socket.socket(fileno=given.pop("listener")), socket.socket(fileno=given.pop("control"))
    for inherited in (listener, control):
        inherited.set_inheritable(False)  # what the application starts must not hold them
    control.setblocking(False)
    options = Options(**given)
    try:
        check_tls(options)
        if isinstance(load(options.spec), Gateway):
            load_gateway(options.spec)
    except click.ClickException as error:
        error.show()
        sys.exit(STARTUP_FAILURE)
    Worker(configure(options, many=True), control, options.tls).run([listener])


if __name__ == "__main__":
    main()
