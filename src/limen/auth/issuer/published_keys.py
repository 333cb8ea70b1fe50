"""The keys that an outside issuer publishes, kept fresh: when they are fetched, and for how long they serve.

1. one fetch at a time, for all who need it; it goes on when one of them leaves
2. ``floor`` seconds pass between fetches, so that made-up key ids cannot flood the provider
3. keys older than ``refresh`` are fetched again while they serve; without an answer they serve until they are ``stale``
"""

import asyncio
import math
from collections.abc import Callable

from limen.auth.issuer.declared import Issuer
from limen.auth.issuer.key_set import KeySet, read_key_set
from limen.auth.issuer.provider import KeySource
from limen.observe.redaction import logger
from limen.upstream.fetch import NotFetchedError

_log = logger("limen.identity")


class PublishedKeys:
    """The keys of the issuer that ``config`` describes, fetched from ``source``.

    ``on_change`` is called with new keys. ``clock`` gives seconds since the epoch, as ``now`` is. ``problem`` says why the
    last fetch failed; it is "" after one that succeeded, and before the first.
    """

    def __init__(
        self, config: Issuer, source: KeySource, clock: Callable[[], float], on_change: Callable[[KeySet], None]
    ) -> None:
        """Fetch nothing yet."""
        self._config = config
        self._source = source
        self._clock = clock
        self._on_change = on_change
        self._keys: KeySet | None = None
        self._content = b""
        self._fetched_at = -math.inf  # when the keys came
        self._tried_at = -math.inf  # when the last fetch ended
        self._due = math.inf  # when the next fetch is due
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self.problem = ""

    @property
    def known(self) -> bool:
        """Whether keys were ever fetched."""
        return self._keys is not None

    def usable(self, now: float) -> KeySet | None:
        """Return the keys, unless there are none or they are stale."""
        return self._keys if now - self._fetched_at < self._config.stale else None

    def refresh_if_due(self, now: float) -> None:
        """Begin a fetch in the background if that is due."""
        if now >= self._due and not self._closed:
            self.fetch()

    def overdue(self, now: float) -> bool:
        """Tell whether the keys are too old to use without a fetch, although the issuer may answer.

        That happens only if no caller of this issuer came for so long. A key that was withdrawn meanwhile must not verify.
        """
        old = self._keys is not None and now - self._fetched_at >= 2 * self._config.refresh
        return old and not self.problem and self.may_fetch(now)

    def may_fetch(self, now: float) -> bool:
        """Tell whether a fetch runs, or may begin. A clock that was set back must not prevent it."""
        return self._task is not None or not 0 <= now - self._tried_at < self._config.floor

    def retry_after(self, now: float) -> float:
        """Return the seconds until a fetch may begin."""
        return self._config.floor - max(0.0, now - self._tried_at)

    def fetch(self) -> "asyncio.Task[None]":
        """Return the fetch that runs; begin one if none does. It never raises."""
        if self._task is None:
            self._due = math.inf
            self._task = asyncio.get_running_loop().create_task(self._fetch())
        return self._task

    async def drained(self) -> None:
        """Return once no fetch runs."""
        while (task := self._task) is not None:
            await asyncio.wait((task,))

    async def aclose(self) -> None:
        """Cancel the fetch, if there is one, and close every connection."""
        self._closed = True
        task = self._task
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))
        await self._source.aclose()

    async def _fetch(self) -> None:
        try:
            if not self._closed:
                self._use(await self._source.key_set())
                self.problem = ""
        except (NotFetchedError, ValueError) as error:
            self._log_problem(str(error))
        except TimeoutError:
            self._log_problem("the provider takes too long")
        except Exception as error:
            # A bug must not end identification for good: it is logged, and the fetch is tried again.
            _log.error("issuer %s: fetching its keys failed", self._config.name, exc_info=error)
            self._log_problem(type(error).__name__)
        finally:
            self._task = None
            self._tried_at = self._clock()
            if self._keys is not None:
                wait = self._config.floor if self.problem else self._config.refresh
                self._due = self._tried_at + wait

    def _use(self, content: bytes) -> None:
        """Use the keys of the JWK Set ``content``; raises ValueError if there are none."""
        if content != self._content:
            keys, skipped = read_key_set(content, self._config.algorithms)
            for reason in skipped:
                _log.warning("issuer %s: %s", self._config.name, reason)
            self._on_change(keys)
            self._keys = keys
            self._content = content
        if self.problem:
            _log.warning("issuer %s: its keys can be had again", self._config.name)
        self._fetched_at = self._clock()

    def _log_problem(self, cause: str) -> None:
        if cause != self.problem:
            serving = "those known serve on" if self._keys is not None else "none is known, so its callers get 503"
            _log.warning("issuer %s: its keys cannot be had, and %s: %s", self._config.name, serving, cause)
        self.problem = cause or "unknown"

    @property
    def state(self) -> str:
        """Whether fetching works, and how many keys there are."""
        count = 0 if self._keys is None else len(self._keys)
        return f"{'in trouble' if self.problem else 'well'} {count} keys"

    def __repr__(self) -> str:
        """Show the issuer and the state."""
        return f"<PublishedKeys {self._config.name} {self.state}>"
