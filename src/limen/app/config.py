"""The configuration of one gateway: what is declared, the problems with it, and what was compiled from it.

A change is compiled when the configuration is next asked for. The runtime outlives that, with the connections and the
verified tokens of what is still declared.

What lives belongs to an event loop: connections, tasks, futures. So each loop in which the gateway serves has a runtime of
its own, and what was compiled against it:

1. a loop with a lifespan (``start``, ``stop``): servers, ``TestClient`` with ``with``. All lives until the lifespan ends
2. any other loop that requests come from: ``TestClient`` without ``with``, ``httpx2.ASGITransport``. Nobody says when such a
   loop ends, so connections do not stay open between requests. What is left is let go of once the loop is closed
3. no loop: what is compiled to be looked at. The first lifespan takes it over
"""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence

from limen.app.collect import Collected
from limen.errors import DeclarationError
from limen.exchange.policy import Policy
from limen.exchange.principal import Principal
from limen.observe.redaction import logger
from limen.runtime.compile import compile_config
from limen.runtime.declared_policies import GATEWAY, declared_policies
from limen.runtime.health_paths import HealthPaths, declared_endpoints
from limen.runtime.host import ActiveConfig
from limen.runtime.local_route import LocalEntry
from limen.runtime.route import Route
from limen.runtime.state import Runtime
from limen.runtime.system import CURRENT, SYSTEM, System, running_loop

_log = logger("limen.app.config")

_NO_LIFESPAN = (
    "requests come from an event loop in which the gateway has no lifespan, so connections to services are not kept between "
    "them. Let the server run lifespans; in the lifespan of an application around this one, use `async with "
    "gateway.running():`; in tests, use `with TestClient(app)`"
)


class _LoopConfig:
    """What was compiled for one event loop, and the runtime that it was compiled against."""

    __slots__ = ("active", "lifespans", "problems", "runtime", "system", "version")

    def __init__(self, runtime: Runtime, system: System) -> None:
        self.runtime = runtime
        self.system = system
        self.active: ActiveConfig | None = None
        self.problems: tuple[str, ...] = ()  # of the declarations of ``version``
        self.version = -1  # of the declarations that were compiled last, with or without success
        self.lifespans = 0


class GatewayConfig:
    """Collects declarations and their problems, and compiles them, for each event loop.

    ``routes`` and ``local`` endpoints are in the order of their declaration.
    """

    def __init__(
        self,
        make_runtime: Callable[[System, bool], Runtime],
        identity: Mapping[str, Callable[[Principal], str]],
        policies: Sequence[Policy],
        collect: Callable[[], Collected],
        on_compiled: Callable[[], None],
        *,
        redirects: bool,
        health: HealthPaths,
    ) -> None:
        """Begin with the gateway's own ``policies``.

        ``make_runtime`` gets the system that it runs on, and whether to keep idle connections. ``collect`` reads what is
        declared. ``on_compiled`` is called after each successful compile. ``health`` are the paths of the health endpoints.
        """
        self._make_runtime = make_runtime
        self._identity = identity
        self._collect = collect
        self._on_compiled = on_compiled
        self._redirects = redirects
        self._policies, self._declaration_problems = declared_policies(GATEWAY, policies)
        self._health = declared_endpoints(health, self._declaration_problems)
        self._collected: Collected | None = None
        self._changed = True  # something may have been declared since ``_collected`` was read
        self._version = 0  # of what is declared
        self._lock = threading.RLock()  # loops in several threads may serve one gateway
        self._with_lifespan: dict[asyncio.AbstractEventLoop, _LoopConfig] = {}
        self._without_lifespan: dict[asyncio.AbstractEventLoop, _LoopConfig] = {}
        self._without_loop = self._made(SYSTEM)
        self._only: ActiveConfig | None = None  # of the only lifespan, if it is up to date
        self._warned = False
        self.routes: list[Route] = []
        self.local: list[LocalEntry] = []

    def add_problem(self, problem: str) -> None:
        """Keep ``problem`` until the next compile, which fails with it."""
        with self._lock:
            self._declaration_problems.append(problem)
            self._collected = None
        self.changed()

    def changed(self) -> None:
        """Take note that something may have been declared."""
        with self._lock:
            self._changed = True
            self._only = None

    def compile(self, more_problems: Sequence[str] = ()) -> None:
        """Compile what is declared. Raises DeclarationError with every problem at once, ``more_problems`` included."""
        self._read()
        config = self._of(running_loop()) or self._without_loop
        if config.version != self._version:
            with self._lock:
                self._recompile(config)
        if config.problems or more_problems:
            raise DeclarationError((*config.problems, *more_problems))

    def active(self) -> ActiveConfig:
        """Return what this event loop has, to look at it; nothing begins to live by that.

        Where the last compile failed, that is what was compiled before. Elsewhere it is what the only lifespan has, as of its
        last request, or what the next one begins with.
        """
        active = self._looked_at().active
        assert active is not None
        return active

    def active_of_loop(self) -> ActiveConfig:
        """Return what requests in the running event loop run against; one without a lifespan gets a runtime by that."""
        return self._compiled(self._here())

    def active_of_lifespan(self) -> ActiveConfig:
        """Return the same in a loop with a lifespan, without a look at the loop as long as there is only one."""
        only = self._only
        return self.active_of_loop() if only is None else only

    @property
    def runtime(self) -> Runtime:
        """The runtime of what ``active`` returns."""
        return self._looked_at().runtime

    def new_request_id(self) -> str:
        """Make an id for a request in the running event loop."""
        return self._here().runtime.new_request_id()

    def start(self) -> Runtime:
        """Begin a lifespan in the running event loop, on the ``CURRENT`` system, and return its runtime.

        A second one in this loop shares it. Raises DeclarationError with every problem, and RuntimeError if the gateway runs
        here on another system.
        """
        loop, system = asyncio.get_running_loop(), CURRENT.get()
        with self._lock:
            config = self._with_lifespan.get(loop)
            if config is not None and config.system is not system:
                raise RuntimeError(
                    "the gateway runs in this event loop already, on another network or with another clock"
                )
            if config is None:
                config = self._without_loop if system is SYSTEM else self._made(system)
                self._compiled(config)
                if config.problems:
                    raise DeclarationError(config.problems)
                if config is self._without_loop:
                    self._without_loop = self._made(SYSTEM)
                config.runtime.bind(loop)
                self._with_lifespan[loop] = config
            config.lifespans += 1
            self._only = None
            return config.runtime

    async def stop(self) -> None:
        """End the lifespan in the running event loop: with the last one, close everything that lives in the loop."""
        loop = asyncio.get_running_loop()
        with self._lock:
            config = self._with_lifespan[loop]
            config.lifespans -= 1
            if config.lifespans:
                return
            del self._with_lifespan[loop]
            before = self._without_lifespan.pop(loop, None)  # of requests that came before the lifespan
            self._only = None
        await config.runtime.aclose()
        if before is not None:
            await before.runtime.aclose()

    def _made(self, system: System, *, keeps_idle: bool = True) -> _LoopConfig:
        return _LoopConfig(self._make_runtime(system, keeps_idle), system)

    def _read(self) -> None:
        """Read what is declared; another version of it is compiled when that is next asked for."""
        with self._lock:
            self._changed = False
            collected = self._collect()
            if self._collected is not None and collected.is_as(self._collected):
                return
            self._collected = collected
            self.routes = collected.routes
            self.local = [one for one in collected.entries if isinstance(one, LocalEntry)]
            self._version += 1
            self._only = None

    def _of(self, loop: asyncio.AbstractEventLoop | None) -> _LoopConfig | None:
        return None if loop is None else self._with_lifespan.get(loop) or self._without_lifespan.get(loop)

    def _looked_at(self) -> _LoopConfig:
        known = self._of(running_loop())
        if known is not None:
            self._compiled(known)
            return known
        with self._lock:
            configs = tuple(self._with_lifespan.values())
        # One of another loop is not compiled here: connections are closed by that, which only their loop may do.
        if len(configs) == 1:
            return configs[0]
        self._compiled(self._without_loop)
        return self._without_loop

    def _here(self) -> _LoopConfig:
        """Return the one of the running loop; a loop without one gets one that lasts as long as the loop."""
        loop = running_loop()
        known = self._of(loop)
        if known is not None:
            return known
        if loop is None:
            return self._looked_at()
        with self._lock:
            self._discard_closed()
            config = self._without_lifespan[loop] = self._made(CURRENT.get(), keeps_idle=False)
            config.runtime.bind(loop)
            warned, self._warned = self._warned, True
        if not warned:
            _log.warning(_NO_LIFESPAN)
        return config

    def _discard_closed(self) -> None:
        """Let go of what lived in loops that are closed."""
        for configs in (self._with_lifespan, self._without_lifespan):
            for loop in [loop for loop in configs if loop.is_closed()]:
                configs.pop(loop).runtime.discard()
                self._only = None

    def _compiled(self, config: _LoopConfig) -> ActiveConfig:
        if self._changed:
            self._read()
        if config.version != self._version:
            with self._lock:
                if config.version != self._version:
                    self._recompile(config)
        if config.active is None:
            raise DeclarationError(config.problems)
        if self._only is None and config.lifespans:
            with self._lock:
                if len(self._with_lifespan) == 1 and config.version == self._version:
                    self._only = config.active
        return config.active

    def _recompile(self, config: _LoopConfig) -> None:
        version, collected = self._version, self._collected
        assert collected is not None
        try:
            config.active = compile_config(
                collected.entries,
                runtime=config.runtime,
                identity=self._identity,
                policies=self._policies,
                problems=(*self._declaration_problems, *collected.problems),
                redirects=self._redirects,
                health=self._health,
            )
        except DeclarationError as error:
            config.problems = error.problems
            if config.active is not None:
                _log.error("what was declared since the start is not served, what was before serves on: %s", error)
        else:
            config.problems = ()
            self._on_compiled()
        config.version = version  # the last: other threads look at it without the lock
