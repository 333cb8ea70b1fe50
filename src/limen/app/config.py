"""The configuration of one gateway: what is declared, the problems with it, and what was compiled from it.

A change is compiled when the configuration is next asked for. The runtime outlives that, with the connections and the
verified tokens of what is still declared.
"""

from collections.abc import Callable, Mapping, Sequence

from limen.app.collect import Collected
from limen.errors import DeclarationError
from limen.exchange.policy import Policy
from limen.exchange.principal import Principal
from limen.observe.redaction import logger
from limen.runtime.compile import compile_config
from limen.runtime.declared_policies import GATEWAY, declared_policies
from limen.runtime.host import ActiveConfig
from limen.runtime.local_route import LocalEntry
from limen.runtime.route import Route
from limen.runtime.state import Runtime

_log = logger("limen.app.config")


class GatewayConfig:
    """Collects declarations and their problems, and compiles them.

    ``routes`` and ``local`` endpoints are in the order of their declaration. ``runtime`` is what they are compiled against.
    """

    def __init__(
        self,
        make_runtime: Callable[[], Runtime],
        identity: Mapping[str, Callable[[Principal], str]],
        policies: Sequence[Policy],
        collect: Callable[[], Collected],
        on_compiled: Callable[[], None],
        *,
        redirects: bool,
    ) -> None:
        """Begin with the gateway's own ``policies``. ``collect`` reads what is declared.

        ``on_compiled`` is called after each successful compile.
        """
        self._make_runtime = make_runtime
        self._identity = identity
        self._collect = collect
        self._on_compiled = on_compiled
        self._redirects = redirects
        self._policies, self._declaration_problems = declared_policies(GATEWAY, policies)
        self._compile_problems: tuple[str, ...] = ()  # of what was declared since ``_active`` was compiled
        self._active: ActiveConfig | None = None
        self._changed = True
        self._collected: Collected | None = None
        self.routes: list[Route] = []
        self.local: list[LocalEntry] = []
        self.runtime = make_runtime()

    def add_problem(self, problem: str) -> None:
        """Keep ``problem`` until the next compile, which fails with it."""
        self._declaration_problems.append(problem)
        self._collected = None
        self._changed = True

    def changed(self) -> None:
        """Take note that something was declared."""
        self._changed = True

    def compile(self, more_problems: Sequence[str] = ()) -> None:
        """Compile what is declared. Raises DeclarationError with every problem at once, ``more_problems`` included."""
        self._compile_if_new()
        if self._compile_problems or more_problems:
            raise DeclarationError((*self._compile_problems, *more_problems))

    def active(self) -> ActiveConfig:
        """Return what requests run against. Where the last compile failed, that is what was compiled before."""
        if self._changed:
            self._compile_if_new()
        if self._active is None:
            raise DeclarationError(self._compile_problems)
        return self._active

    async def restart(self) -> None:
        """Close the runtime, and begin with a new one."""
        runtime, self.runtime, self._active = self.runtime, self._make_runtime(), None
        self._changed = True
        self._collected = None
        await runtime.aclose()

    def _compile_if_new(self) -> None:
        self._changed = False
        collected, before = self._collect(), self._collected
        self._collected = collected
        if before is not None and collected.is_as(before):
            return
        self.routes = collected.routes
        self.local = [one for one in collected.entries if isinstance(one, LocalEntry)]
        try:
            self._active = compile_config(
                collected.entries,
                runtime=self.runtime,
                identity=self._identity,
                policies=self._policies,
                problems=(*self._declaration_problems, *collected.problems),
                redirects=self._redirects,
            )
        except DeclarationError as error:
            self._compile_problems = error.problems
            if self._active is not None:
                _log.error("what was declared since the start is not served, what was before serves on: %s", error)
        else:
            self._compile_problems = ()
            self._on_compiled()
