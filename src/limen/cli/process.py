"""A child process of ``limen up``: in a process group of its own, which is always ended, with prefixed output."""

import asyncio
import os
import signal
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

# Seconds between SIGTERM and SIGKILL: longer than the --grace of ``limen serve``.
GRACE = 12.0

# Bytes of a line of output; a longer line is dropped.
_LINE_LIMIT = 1 << 16

Show = Callable[[str, str], None]


class Process:
    """A running command. ``tail`` holds its last lines of output, for the message about its end."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, show: Show) -> None:
        """Made by ``start``."""
        self.name = name
        self.tail: deque[str] = deque(maxlen=5)
        self._process = process
        self._show = show
        self._output = asyncio.get_running_loop().create_task(self._relay())

    @classmethod
    async def start(cls, name: str, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, show: Show) -> "Process":
        """Start ``argv``; raises OSError when there is no such program."""
        process = await asyncio.create_subprocess_exec(
            *argv,
            env=env,
            cwd=cwd,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches only ``limen up``, which stops the children in order
            limit=_LINE_LIMIT,
        )
        return cls(name, process, show)

    def __repr__(self) -> str:
        """Show name, process id and state."""
        code = self._process.returncode
        return f"<Process {self.name} {self._process.pid} {'runs' if code is None else f'ended {code}'}>"

    async def wait(self) -> int:
        """Return the exit status, once it has ended and its output was shown."""
        code = await self._process.wait()
        # The timeout is for a grandchild that holds the pipe open.
        await asyncio.wait((self._output,), timeout=1)
        return code

    async def stop(self, grace: float = GRACE) -> None:
        """End it and its children: SIGTERM, ``grace`` seconds, SIGKILL."""
        if self._process.returncode is None:
            self._signal(signal.SIGTERM)
            self._signal(signal.SIGCONT)  # one that was frozen by hand would not hear it
            try:
                async with asyncio.timeout(grace):
                    await self._process.wait()
            except TimeoutError:
                self._show(self.name, f"did not stop within {grace:g} s: killed")
        # Also if the leader of the group has ended: its children may still run.
        self._signal(signal.SIGKILL)
        await self.wait()
        self._output.cancel()

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return  # the whole group has ended

    async def _relay(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        while True:
            try:
                line = await stream.readline()
            except ValueError:
                continue  # longer than the limit: dropped by the stream
            if not line:
                return
            text = line.decode(errors="replace").rstrip()
            self.tail.append(text)
            self._show(self.name, text)
