"""The start of a worker process, and its state in the supervisor. ``limen.cli.supervisor`` decides what happens to it."""

import asyncio
import json
import socket
import sys
from collections.abc import Mapping
from typing import Any

from limen.cli.state_relay import RelayMember

# Seconds a worker may take until it serves: a cold start imports much on a small machine.
START = 60.0


async def start_worker(
    listener: socket.socket, options: Mapping[str, Any], **more: socket.socket
) -> tuple[asyncio.subprocess.Process, socket.socket]:
    """Start a process of ``limen.cli.worker``; return it, and our end of its control socket, which is non-blocking.

    ``more`` are sockets that it inherits as well.
    """
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            inherited = {"listener": listener, "control": theirs, **more}
            files = {name: one.fileno() for name, one in inherited.items()}
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *(f"-W{option}" for option in sys.warnoptions),
                *("-m", "limen.cli.worker", json.dumps({**options, **files})),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=tuple(files.values()),
                start_new_session=True,
            )
    except BaseException:
        ours.close()
        raise
    ours.setblocking(False)
    return process, ours


class WorkerProcess:
    """A worker process as the supervisor sees it."""

    __slots__ = (
        *(
            "deadline",
            "generation",
            "hung",
            "member",
            "missed_beats",
            "process",
            "ready",
            "since",
            "stopping",
            "watcher",
        ),
    )

    def __init__(self, process: asyncio.subprocess.Process, generation: int, now: float) -> None:
        """``generation`` counts restarts; ``now`` is in seconds of the loop."""
        self.process = process
        self.generation = generation
        self.since = now  # when it was started, then when it became ready
        self.ready = False
        self.stopping = False
        self.hung = False  # and killed for it
        self.missed_beats = 0  # checks since the last beat
        self.deadline: asyncio.TimerHandle | None = None  # of its start or its end: then it is killed
        self.watcher: asyncio.Task[None] | None = None
        self.member: RelayMember | None = None  # of those that share states of targets

    def __repr__(self) -> str:
        """Show process, generation and state."""
        state = "leaving" if self.stopping else "ready" if self.ready else "starting"
        return f"<worker {self.process.pid} generation {self.generation} {state}>"
