"""The addresses of names, looked up apart from one another: a name that is not answered holds up nobody else's.

The system's resolver blocks, and one that was given up blocks on. Therefore:

1. a name has one look-up at a time, in a thread of its own; whoever wants the name shares it, and leaves it when it likes
2. for ``FRESH`` seconds nobody asks again; up to ``OLD`` seconds the addresses are used while they are looked up anew
3. older ones are used when the name server fails or takes too long; "there is no such name" is an answer, and drops them
4. a failure is remembered for ``FAILED`` seconds: a flood of requests is no flood of look-ups

Nothing runs while nobody connects. The resolver tells no TTL, hence fixed times: nginx has ``valid=`` for them, Envoy
``dns_refresh_rate``. Addresses and Unix sockets never come here.
"""

import asyncio
import logging
import math
import socket
from collections import deque
from collections.abc import Callable
from threading import Thread
from time import monotonic

_log = logging.getLogger("limen.upstream")

# Seconds; see above.
FRESH = 10.0
OLD = 60.0
FAILED = 1.0

# Threads at once. Half of them are for names of which nothing is known: renewals that hang leave room for those.
MOST_THREADS = 64

# Names that are remembered; of those that nobody looks up just now, the one that was wanted least lately goes first.
MOST_NAMES = 1024

# Seconds between two lines in the log about one name.
QUIET = 10.0

# There is no such name, or it has no address: EAI_NODATA is not everywhere.
_NO_SUCH_NAME = frozenset(
    number for number in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", None)) if number is not None
)

Addresses = tuple[str, ...]


def resolve(host: str) -> Addresses:
    """Return the addresses of ``host`` in the system's order of preference. Blocks. Raises OSError and UnicodeError."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def literal(host: str) -> bool:
    """Tell whether ``host`` is an IP address already."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return True
    return False


def until_next(deadline: float, others: int) -> float:
    """Return until when one address may be tried, in the loop's time: half of what is left where others come after it.

    One that drops what is sent to it must not use up the time of those that would answer.
    """
    if not others:
        return deadline
    now = asyncio.get_running_loop().time()
    return now + max(0.0, deadline - now) / 2


def in_thread(work: Callable[[], None]) -> None:
    """Run ``work`` in a thread that nobody waits for, at the end of the process neither. Raises RuntimeError without one."""
    Thread(target=work, name="limen-name", daemon=True).start()


class _Name:
    """What is known of one name."""

    __slots__ = ("addresses", "done", "error", "failed", "found", "host", "said", "said_at", "trouble", "turn")

    def __init__(self, host: str) -> None:
        self.host = host
        self.addresses: Addresses = ()
        self.found = -math.inf  # when the addresses came
        self.error = ""  # how the last look-up failed
        self.failed = -math.inf  # and when
        self.done: asyncio.Future[None] | None = None  # the look-up that runs, or is in line
        self.trouble = False  # the last look-up failed, or the one that runs takes too long
        self.said = False  # what the log knows of that
        self.said_at = -math.inf
        self.turn = 0

    def next(self) -> Addresses:
        """Return the addresses, beginning with another one each time; the order of IPv4 and IPv6 stays the system's."""
        turn, self.turn = self.turn, self.turn + 1
        families: dict[bool, list[str]] = {}
        for address in self.addresses:
            families.setdefault(":" in address, []).append(address)
        return tuple(same[(turn + i) % len(same)] for same in families.values() for i in range(len(same)))


class Names:
    """The names of one worker. ``resolver``, ``run`` and ``clock`` (seconds that never go back) are arguments for tests."""

    def __init__(
        self,
        *,
        resolver: Callable[[str], Addresses] = resolve,
        run: Callable[[Callable[[], None]], None] = in_thread,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Know nothing yet."""
        self._resolve = resolver
        self._run = run
        self._clock = clock
        self._names: dict[str, _Name] = {}
        self._running = 0
        self._line: deque[_Name] = deque()
        self._closed = False

    async def addresses(self, host: str, deadline: float) -> Addresses:
        """Return the addresses of ``host``, of which there is at least one, in the order in which to try them.

        Waits only where nothing young is known. ``deadline`` is in the loop's time, and the caller keeps it; with half of
        what is left until then gone, old addresses serve. Raises OSError.
        """
        name = self._named(host)
        age = self._clock() - name.found
        if age >= FRESH and name.done is None and not self._closed:
            self._ask(name, renewal=bool(name.addresses) and (age < OLD or name.trouble))
        if age >= OLD and name.done is not None and not (name.addresses and name.trouble):
            await self._wait(name, name.done, deadline)
        if not name.addresses:
            raise OSError(name.error or f"the name {host!r} is not looked up any more: the gateway is shutting down")
        return name.next()

    async def _wait(self, name: _Name, done: "asyncio.Future[None]", deadline: float) -> None:
        loop = asyncio.get_running_loop()
        try:
            # Not awaited itself: who leaves must not end it for the others.
            await asyncio.wait((done,), timeout=max(0.0, deadline - loop.time()) / 2 if name.addresses else None)
        finally:
            if not done.done() and (name.addresses or loop.time() >= deadline):
                self._troubled(name, "the name server takes too long")

    def close(self) -> None:
        """Send everybody away who waits. Threads that the resolver holds end by themselves, and their answers are dropped."""
        self._closed = True
        self._line.clear()
        for name in self._names.values():
            done, name.done = name.done, None
            if done is not None and not done.done():
                done.set_result(None)

    # --- look-ups ---

    def _named(self, host: str) -> _Name:
        """Return what is known of ``host``, as the name that was wanted last."""
        name = self._names.pop(host, None) or _Name(host)
        if len(self._names) >= MOST_NAMES:
            oldest = next((each for each in self._names.values() if each.done is None), None)
            if oldest is None:
                raise OSError(f"the name {host!r} is not looked up: {MOST_NAMES} others are under way")
            del self._names[oldest.host]
        self._names[host] = name
        return name

    def _ask(self, name: _Name, *, renewal: bool) -> None:
        """Begin a look-up, unless one has just failed. A renewal that finds no thread is left to the next who asks."""
        if self._clock() - name.failed < FAILED:
            return
        if renewal and self._running >= MOST_THREADS // 2:
            return
        name.done = asyncio.get_running_loop().create_future()
        if self._running < MOST_THREADS:
            self._start(name)
        else:
            self._line.append(name)

    def _start(self, name: _Name) -> None:
        loop = asyncio.get_running_loop()
        self._running += 1

        def work() -> None:
            found: Addresses | OSError
            try:
                found = self._resolve(name.host) or OSError("no addresses")
            except OSError as error:
                found = error
            except Exception as error:  # a thread that ends without a word would leave everybody waiting
                found = OSError(f"{type(error).__name__}: {error}")
            try:
                loop.call_soon_threadsafe(self._take, name, found)
            except RuntimeError:
                return  # the loop is closed: nobody waits any longer

        try:
            self._run(work)
        except RuntimeError as error:
            # "can't start new thread": the process has as many as it may.
            loop.call_soon(self._take, name, OSError(str(error)))

    def _take(self, name: _Name, found: Addresses | OSError) -> None:
        self._running -= 1
        if self._closed:
            return
        if isinstance(found, OSError):
            self._fail(name, found)
        else:
            name.addresses = found
            name.found = self._clock()
            name.error = ""
            name.trouble = False
            self._tell(name, "")
        done, name.done = name.done, None
        if done is not None and not done.done():
            done.set_result(None)
        if self._line:
            self._start(self._line.popleft())

    def _fail(self, name: _Name, error: OSError) -> None:
        name.failed = self._clock()
        # Its text alone: an error that is raised again and again would know the frames of each.
        name.error = f"the name {name.host!r} cannot be looked up: {error.strerror or error}"
        if isinstance(error, socket.gaierror) and error.errno in _NO_SUCH_NAME:
            name.addresses = ()
        self._troubled(name, name.error)

    # --- the log ---

    def _troubled(self, name: _Name, cause: str) -> None:
        name.trouble = True
        self._tell(name, cause)

    def _tell(self, name: _Name, cause: str) -> None:
        """Say what has changed since it was last said, but not more often than every ``QUIET`` seconds."""
        now = self._clock()
        if name.trouble == name.said or now - name.said_at < QUIET:
            return
        name.said = name.trouble
        name.said_at = now
        if not name.trouble:
            _log.warning("name %s: it can be looked up again", name.host)
        elif name.addresses:
            _log.warning("name %s: its last known addresses serve on: %s", name.host, cause)
        else:
            _log.warning("name %s: no address is known, so calls of it fail: %s", name.host, cause)

    def __repr__(self) -> str:
        """Show how many names are known, and how many are being looked up."""
        return f"<Names {len(self._names)} known {self._running} running {len(self._line)} in line>"
