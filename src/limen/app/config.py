"""The configuration of one gateway: what is declared, the problems with it, and what was compiled from it.

A change is compiled when the configuration is next asked for. The runtime outlives that, with the connections and the
verified tokens of what is still declared.
"""

from collections.abc import Callable, Mapping, Sequence

from limen.errors import DeclarationError
from limen.exchange.policy import Policy
from limen.exchange.principal import Principal
from limen.observe.redaction import logger
from limen.runtime.compile import compile_config
from limen.runtime.declared_policies import GATEWAY, DeclaredPolicies, declared_policies
from limen.runtime.host import ActiveConfig
from limen.runtime.route import Route
from limen.runtime.state import Runtime

_log = logger("limen.app.config")


class GatewayConfig:
    """Collects declarations and their problems, and compiles them.

    ``routes`` are in the order of their declaration. ``runtime`` is what they are compiled against.
    """

    def __init__(
        self,
        make_runtime: Callable[[], Runtime],
        identity: Mapping[str, Callable[[Principal], str]],
        policies: Sequence[Policy],
        on_compiled: Callable[[], None],
    ) -> None:
        """Begin with the gateway's own ``policies`` and no route. ``on_compiled`` is called after each successful compile."""
        self._make_runtime = make_runtime
        self._identity = identity
        self._on_compiled = on_compiled
        self._group_prefixes: list[str] = []
        self._policies, self._declaration_problems = declared_policies(GATEWAY, policies)
        self._compile_problems: tuple[str, ...] = ()  # of what was declared since ``_active`` was compiled
        self._active: ActiveConfig | None = None
        self._changed = True
        self.routes: list[Route] = []
        self.runtime = make_runtime()

    def add_route(self, route: Route) -> None:
        """Declare ``route``."""
        self.routes.append(route)
        self._changed = True

    def add_problems(self, *problems: str) -> None:
        """Keep ``problems`` until the next compile, which fails with them."""
        self._declaration_problems += problems
        self._changed = True

    def declare_policies(self, place: str, policies: object) -> DeclaredPolicies:
        """Check ``policies`` of ``place``; keep the problems."""
        declared, problems = declared_policies(place, policies)
        self.add_problems(*problems)
        return declared

    def declare_group_policies(self, prefix: str, policies: object) -> DeclaredPolicies:
        """Check ``policies`` of a group with ``prefix``; keep the problems."""
        self._group_prefixes.append(prefix)
        count = self._group_prefixes.count(prefix)
        # Live policies are kept by place, and two groups may have one prefix.
        return self.declare_policies(f"group {prefix}" if count == 1 else f"group {prefix} ({count})", policies)

    def compile(self, more_problems: Sequence[str] = ()) -> None:
        """Compile what has changed. Raises DeclarationError with every problem at once, ``more_problems`` included."""
        if self._changed:
            self._recompile()
        if self._compile_problems or more_problems:
            raise DeclarationError((*self._compile_problems, *more_problems))

    def active(self) -> ActiveConfig:
        """Return what requests run against. Where the last compile failed, that is what was compiled before."""
        if self._changed:
            self._recompile()
        if self._active is None:
            raise DeclarationError(self._compile_problems)
        return self._active

    async def restart(self) -> None:
        """Close the runtime, and begin with a new one."""
        runtime, self.runtime, self._active = self.runtime, self._make_runtime(), None
        self._changed = True
        await runtime.aclose()

    def _recompile(self) -> None:
        self._changed = False
        try:
            self._active = compile_config(
                self.routes,
                runtime=self.runtime,
                identity=self._identity,
                policies=self._policies,
                problems=tuple(self._declaration_problems),
            )
        except DeclarationError as error:
            self._compile_problems = error.problems
            if self._active is not None:
                _log.error("what was declared since the start is not served, what was before serves on: %s", error)
        else:
            self._compile_problems = ()
            self._on_compiled()
