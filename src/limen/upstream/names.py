"""A cache of name look-ups, each in a thread of its own: a name that gets no answer delays no other.

The system's resolver blocks, and a look-up that was given up goes on blocking. Therefore:

1. a name has one look-up at a time, in a thread of its own; all who wait for the name share it, and may leave at any time
2. addresses are fresh for ``FRESH`` seconds; up to ``OLD`` seconds they are used while they are looked up again
3. older addresses are used when the name server fails or is too slow; "there is no such name" is an answer, and drops them
4. a failure is cached for ``FAILED`` seconds, so that a flood of requests is no flood of look-ups

Who keeps addresses itself, as a ``NameWatch`` does, asks for a look-up that ends after it has asked (``look_up``).

Nothing runs while nobody asks. The resolver gives no TTL, hence fixed times: nginx has ``valid=`` for them, Envoy
``dns_refresh_rate``. IP addresses and Unix sockets are not looked up.
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

# Threads at once. Half of them are reserved for names without addresses, in case refreshes hang.
MOST_THREADS = 64

# Names in the cache. The least recently used one that has no look-up under way is dropped first.
MOST_NAMES = 1024

# Seconds between two lines in the log about one name.
QUIET = 10.0

# Seconds after which old addresses are used, while a name is looked up for somebody who has no deadline.
REFRESHED = 1.0

# There is no such name, or it has no address: EAI_NODATA is not everywhere.
_NO_SUCH_NAME = frozenset(
    number for number in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", None)) if number is not None
)

Addresses = tuple[str, ...]


def resolve(host: str) -> Addresses:
    """Return the addresses of ``host`` in the system's order of preference. Blocks. Raises OSError and UnicodeError."""
    entries = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in entries))


def literal(host: str) -> bool:
    """Tell whether ``host`` is an IP address already."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return True
    return False


def until_next(deadline: float | None, others: int) -> float | None:
    """Return until when one address may be tried, in the loop's time: half of what is left where others come after it.

    One that drops what is sent to it must not use up the time of those that would answer. None is no bound.
    """
    if not others or deadline is None:
        return deadline
    now = asyncio.get_running_loop().time()
    return now + max(0.0, deadline - now) / 2


def in_thread(work: Callable[[], None]) -> None:
    """Run ``work`` in a daemon thread. Raises RuntimeError if there can be none."""
    Thread(target=work, name="limen-name", daemon=True).start()


class _Name:
    """The cache entry of one name."""

    __slots__ = (
        "addresses",
        "done",
        "error",
        "failed_at",
        "found_at",
        "host",
        "logged_at",
        "logged_trouble",
        "quiet",
        "trouble",
        "turn",
    )

    def __init__(self, host: str) -> None:
        self.host = host
        self.addresses: Addresses = ()
        self.found_at = -math.inf
        self.error = ""  # of the last look-up
        self.failed_at = -math.inf
        self.done: asyncio.Future[None] | None = None  # of the look-up that runs, or is queued
        self.quiet = False  # nobody who connects waits for the look-up that runs: who asked for it logs what fails
        self.trouble = False  # the last look-up failed, or the one that runs takes too long
        self.logged_trouble = False  # the last line in the log says so
        self.logged_at = -math.inf
        self.turn = 0

    def next(self) -> Addresses:
        """Return the addresses, beginning with another one each time; the order of IPv4 and IPv6 stays the system's."""
        turn, self.turn = self.turn, self.turn + 1
        families: dict[bool, list[str]] = {}
        for address in self.addresses:
            families.setdefault(":" in address, []).append(address)
        return tuple(same[(turn + i) % len(same)] for same in families.values() for i in range(len(same)))


class Names:
    """The cache of one worker. ``resolver``, ``run`` and ``clock`` (seconds that never go back) are arguments for tests."""

    def __init__(
        self,
        *,
        resolver: Callable[[str], Addresses] = resolve,
        run: Callable[[Callable[[], None]], None] = in_thread,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """The cache is empty."""
        self._resolve = resolver
        self._run = run
        self._clock = clock
        self._names: dict[str, _Name] = {}
        self._running = 0
        self._queue: deque[_Name] = deque()
        self._renewals: deque[_Name] = deque()  # by ``look_up``; they have no more threads than refreshes have
        self._closed = False

    async def addresses(self, host: str, deadline: float | None) -> Addresses:
        """Return the addresses of ``host``, at least one, in the order in which to try them.

        Waits only if there are no addresses younger than ``OLD``. ``deadline`` is in the loop's time, and the caller enforces
        it; after half of the time until then, old addresses are used, and without one (None) after ``REFRESHED`` seconds.
        Raises OSError.
        """
        name = self._named(host)
        age = self._clock() - name.found_at
        if age >= FRESH and name.done is None and not self._closed:
            self._ask(name, refresh=bool(name.addresses) and (age < OLD or name.trouble))
        if name.done is not None:
            name.quiet = False
        if age >= OLD and name.done is not None and not (name.addresses and name.trouble):
            await self._wait(name, name.done, deadline)
        if not name.addresses:
            raise OSError(name.error or self._shutting_down(host))
        return name.next()

    async def look_up(self, host: str) -> Addresses:
        """Return the addresses of ``host`` that a look-up finds which ends after this call, in the system's order.

        It waits for as long as that takes; the caller may leave at any time, and a later call waits for the same look-up. A
        failure is the caller's to log. Raises OSError.
        """
        name = self._named(host)
        if name.done is None and not self._closed:
            name.quiet = True
            self._renew(name)
        if name.done is not None:
            await asyncio.wait((name.done,))
        if self._closed or name.error:
            raise OSError(name.error or self._shutting_down(host))
        return name.addresses

    async def _wait(self, name: _Name, done: "asyncio.Future[None]", deadline: float | None) -> None:
        loop = asyncio.get_running_loop()
        refresh = REFRESHED if deadline is None else max(0.0, deadline - loop.time()) / 2
        try:
            # The future is not awaited itself: cancelling this task must not cancel it for the others.
            await asyncio.wait((done,), timeout=refresh if name.addresses else None)
        finally:
            if not done.done() and (name.addresses or (deadline is not None and loop.time() >= deadline)):
                self._set_trouble(name, "the name server takes too long")

    def close(self) -> None:
        """End all waiting. Threads in the resolver end by themselves, and their results are dropped."""
        self._closed = True
        self._queue.clear()
        self._renewals.clear()
        for name in self._names.values():
            done, name.done = name.done, None
            if done is not None and not done.done():
                done.set_result(None)

    # --- look-ups ---

    def _named(self, host: str) -> _Name:
        """Return the entry of ``host``, and make it the most recently used one."""
        name = self._names.pop(host, None) or _Name(host)
        if len(self._names) >= MOST_NAMES:
            oldest = next((each for each in self._names.values() if each.done is None), None)
            if oldest is None:
                raise OSError(f"the name {host!r} is not looked up: {MOST_NAMES} others are under way")
            del self._names[oldest.host]
        self._names[host] = name
        return name

    def _ask(self, name: _Name, *, refresh: bool) -> None:
        """Begin a look-up, unless one has just failed. A refresh that finds no thread is left to the next call."""
        if self._clock() - name.failed_at < FAILED:
            return
        if refresh and self._running >= MOST_THREADS // 2:
            return
        self._begin(name)

    def _renew(self, name: _Name) -> None:
        """Begin a look-up, even if one has just failed. One of a name that has addresses waits for a refresh's thread."""
        if name.addresses and self._running >= MOST_THREADS // 2:
            name.done = asyncio.get_running_loop().create_future()
            self._renewals.append(name)
        else:
            self._begin(name)

    def _begin(self, name: _Name) -> None:
        name.done = asyncio.get_running_loop().create_future()
        if self._running < MOST_THREADS:
            self._start(name)
        else:
            self._queue.append(name)

    def _start(self, name: _Name) -> None:
        loop = asyncio.get_running_loop()
        self._running += 1

        def work() -> None:
            result: Addresses | OSError
            try:
                result = self._resolve(name.host) or OSError("no addresses")
            except OSError as error:
                result = error
            except Exception as error:  # a thread without a result would leave everybody waiting
                result = OSError(f"{type(error).__name__}: {error}")
            try:
                loop.call_soon_threadsafe(self._finish, name, result)
            except RuntimeError:
                return  # the loop is closed: nobody waits any longer

        try:
            self._run(work)
        except RuntimeError as error:
            # "can't start new thread": the process has as many as it may.
            loop.call_soon(self._finish, name, OSError(str(error)))

    def _finish(self, name: _Name, result: Addresses | OSError) -> None:
        self._running -= 1
        if self._closed:
            return
        if isinstance(result, OSError):
            self._fail(name, result)
        else:
            name.addresses = result
            name.found_at = self._clock()
            name.error = ""
            name.trouble = False
            self._log_change(name, "")
        done, name.done = name.done, None
        if done is not None and not done.done():
            done.set_result(None)
        if self._queue:
            self._start(self._queue.popleft())
        elif self._renewals and self._running < MOST_THREADS // 2:
            self._start(self._renewals.popleft())

    def _fail(self, name: _Name, error: OSError) -> None:
        name.failed_at = self._clock()
        # Only the text is kept: an exception that is raised again and again refers to the frames of each time.
        name.error = f"the name {name.host!r} cannot be looked up: {error.strerror or error}"
        if isinstance(error, socket.gaierror) and error.errno in _NO_SUCH_NAME:
            name.addresses = ()
        if name.quiet:
            name.trouble = True
        else:
            self._set_trouble(name, name.error)

    @staticmethod
    def _shutting_down(host: str) -> str:
        return f"the name {host!r} is not looked up any more: the gateway is shutting down"

    # --- the log ---

    def _set_trouble(self, name: _Name, cause: str) -> None:
        name.trouble = True
        self._log_change(name, cause)

    def _log_change(self, name: _Name, cause: str) -> None:
        """Log a change since the last line about ``name``, but at most every ``QUIET`` seconds."""
        now = self._clock()
        if name.trouble == name.logged_trouble or now - name.logged_at < QUIET:
            return
        name.logged_trouble = name.trouble
        name.logged_at = now
        if not name.trouble:
            _log.warning("name %s: it can be looked up again", name.host)
        elif name.addresses:
            _log.warning("name %s: its last known addresses serve on: %s", name.host, cause)
        else:
            _log.warning("name %s: no address is known, so calls of it fail: %s", name.host, cause)

    def __repr__(self) -> str:
        """Show how many names are cached, and how many are being looked up."""
        return (
            f"<Names {len(self._names)} known {self._running} running {len(self._queue) + len(self._renewals)} in line>"
        )
