"""A scripted service whose scripts serve one request each, on whichever connection, and can be changed at any time."""

import ssl
from collections.abc import Iterable, Sequence
from types import TracebackType

from limen.testing.conversation import Conversation, NextRequest, Script
from limen.testing.course import Course
from limen.testing.freeze import Freeze, Stops
from limen.testing.listener import Listener
from limen.testing.recording import ReceivedRequest, Recording
from limen.testing.scripts import answer, concerns_connection, saying


class ScriptedTarget:
    """One target of an upstream: on a real socket, once it is entered, or one of the services of ``serving``.

    Each request is served by the next of ``scripts``, on whichever connection it comes, and by the last one again and
    again. Without scripts, every answer is an empty one of 200. A script is left where it asks for a second request.

    ``refusing``, ``unreachable`` and ``resetting_at("connect")`` take the place of a request: they serve the next
    connection. A request on a connection from before is then reset, since a service that is down has none.

    Call its methods in the event loop that it runs in.
    """

    def __init__(self, *scripts: Script | Iterable[Script], path: str = "", tls: ssl.SSLContext | None = None) -> None:
        """``path`` is that of a Unix socket to listen on; with ``tls`` it serves https. It listens only once entered."""
        self._course = Course(scripts or (saying(answer()),))
        self._courses: dict[bytes, Course] = {}
        self._freeze = Freeze()
        self._recording = Recording()
        self.listener = Listener(
            self._script_of_connection,
            self._recording,
            self._freeze,
            host="localhost" if tls else "127.0.0.1",  # certificates are for names
            path=path,
            tls=tls,
        )

    # --- what it does ---

    def behave(self, *scripts: Script | Iterable[Script], path: str | None = None) -> None:
        """Serve each request from now on by the next of ``scripts``, and by the last one again and again.

        With ``path``, such as ``"/readyz"``, that is for requests of this path alone, and the others go on as before.
        Raises ValueError and TypeError for what is no script.
        """
        course = Course(scripts)
        if path is None:
            self._course = course
        else:
            self._courses[path.encode()] = course

    def freeze(self, stops: Stops = "answering") -> None:
        """Stop, as a process does at SIGSTOP, until ``thaw``.

        It accepts connections and reads, and stops ``"answering"``; or accepts them, and stops ``"reading"`` too; or stops
        ``"accepting"``: then connecting takes until ``thaw``. On a real socket, the system accepts in its place, so that
        this looks as ``"reading"`` does. Raises ValueError for anything else.
        """
        self._freeze.begin(stops)
        if self._freeze.reading:
            self.listener.resume_reading()
        else:
            self.listener.pause_reading()

    def thaw(self) -> None:
        """Go on: answer what has come in the meantime."""
        self.listener.resume_reading()
        self._freeze.end()

    async def kill(self) -> None:
        """Be gone, as a process is at SIGKILL: reset every connection, and refuse new ones, until ``restart``."""
        await self.listener.kill()

    async def restart(self) -> None:
        """Be there again, at the same address and thawed."""
        self.thaw()
        await self.listener.restart()

    # --- what it got ---

    @property
    def requests(self) -> list[bytes]:
        """The heads that were read: the latest 10,000."""
        return self._recording.heads

    @property
    def received(self) -> Sequence[ReceivedRequest]:
        """The same requests, with the first 16 KiB of what was read of their bodies."""
        return self._recording.received

    def count(self, path: str | None = None) -> int:
        """Return how many requests came; with ``path``, how many of those that are kept were for it."""
        if path is None:
            return self._recording.total
        wanted = path.encode()
        return sum(one.path == wanted for one in self._recording.received)

    @property
    def connections(self) -> int:
        """How many connections there were, those included that were refused in memory."""
        return self._recording.connections

    @property
    def refusals(self) -> int:
        """How many connections were refused in memory. On a real socket the system refuses them, and nobody counts."""
        return self._recording.refusals

    @property
    def resets(self) -> int:
        """How many connections it has reset."""
        return self._recording.resets

    @property
    def in_progress(self) -> int:
        """How many requests are being served."""
        return self._recording.in_progress

    @property
    def most_in_progress(self) -> int:
        """How many there were at the same time at most."""
        return self._recording.most_in_progress

    def forget(self) -> None:
        """Forget all requests and counts, but for the requests that are in progress."""
        self._recording.forget()

    @property
    def errors(self) -> list[Exception]:
        """What scripts have raised."""
        return self.listener.errors

    # --- on a real socket ---

    @property
    def url(self) -> str:
        """The address as an ``Upstream`` takes it. Raises RuntimeError before it is entered."""
        return self.listener.url

    @property
    def port(self) -> int:
        """The loopback port. Raises RuntimeError before it is entered."""
        return self.listener.port

    async def __aenter__(self) -> "ScriptedTarget":
        """Listen."""
        await self.listener.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening, end what is under way, and raise the exception of a script."""
        await self.listener.stop()
        if error is None:
            self.listener.raise_first()

    # --- inside ---

    def _script_of_connection(self) -> Script:
        return self._course.take() if concerns_connection(self._course.peek()) else self._serve

    async def _serve(self, conversation: Conversation) -> None:
        """Serve the requests of one connection, each by a script of its own."""
        while await conversation.arrived():
            conversation.begin_request()
            script = await self._script_of_request(conversation)
            if concerns_connection(script):
                conversation.reset()
                return
            self._recording.begin()
            try:
                await script(conversation)
            except NextRequest:
                pass  # it has served the one that it was for
            finally:
                self._recording.end()
            if not conversation.can_go_on():
                return

    async def _script_of_request(self, conversation: Conversation) -> Script:
        if self._courses:
            course = self._courses.get((await conversation.head_arrived()).path)
            if course is not None:
                return course.take()
        script = self._course.peek()
        return script if concerns_connection(script) else self._course.take()

    def __repr__(self) -> str:
        """Show what it does, and what it got."""
        return f"<ScriptedTarget {self.listener!r} {self._freeze!r} {self._recording!r}>"
