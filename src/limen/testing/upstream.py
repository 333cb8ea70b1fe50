"""A scripted service whose scripts serve one connection each, on a real socket or in memory."""

import ssl
from collections.abc import Sequence
from types import TracebackType

from limen.testing.conversation import Script
from limen.testing.freeze import Freeze
from limen.testing.listener import Listener
from limen.testing.recording import ReceivedRequest, Recording


class ScriptedUpstream:
    """A service by script: an asynchronous context manager around a listening socket, or one of the services of ``serving``.

    Each connection uses the next of ``scripts``, and the last one again and again. ``requests`` holds the heads that were
    read; ``connections`` counts. ``path`` listens on a Unix socket instead of a loopback port; ``tls`` serves https. In
    memory it needs neither, and is not entered.
    """

    def __init__(self, *scripts: Script, path: str = "", tls: ssl.SSLContext | None = None) -> None:
        """Listen only once entered."""
        self.scripts = list(scripts)
        self._next = 0
        self._recording = Recording()
        self.listener = Listener(self._next_script, self._recording, Freeze(), path=path, tls=tls)

    @property
    def requests(self) -> list[bytes]:
        """The heads that were read: the latest 10,000."""
        return self._recording.heads

    @property
    def received(self) -> Sequence[ReceivedRequest]:
        """The same requests, with what was read of their bodies."""
        return self._recording.received

    @property
    def connections(self) -> int:
        """How many connections there were, those included that were refused in memory."""
        return self._recording.connections

    @connections.setter
    def connections(self, count: int) -> None:
        """Go on as after so many connections: after 0, the next one uses the first script."""
        self._recording.connections = self._next = count

    @property
    def resets(self) -> int:
        """How many connections a script has reset."""
        return self._recording.resets

    @property
    def errors(self) -> list[Exception]:
        """What scripts have raised."""
        return self.listener.errors

    @property
    def url(self) -> str:
        """The address as an ``Upstream`` takes it."""
        return self.listener.url

    @property
    def port(self) -> int:
        """The loopback port."""
        return self.listener.port

    async def __aenter__(self) -> "ScriptedUpstream":
        """Listen."""
        await self.listener.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening, end every conversation, and raise the exception of a script."""
        await self.listener.stop()
        if error is None:
            self.listener.raise_first()

    def _next_script(self) -> Script:
        if not self.scripts:
            raise ValueError("ScriptedUpstream: give at least one script, such as saying(answer('hello'))")
        script = self.scripts[min(self._next, len(self.scripts) - 1)]
        self._next += 1
        return script
