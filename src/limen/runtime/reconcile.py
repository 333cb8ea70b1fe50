"""From what lives to what is declared now: what is kept, what is made, what goes. Nothing that lives is touched before the
whole declaration is known to be right, so that a compile that fails changes nothing.

1. ``pool``, ``verifier`` and ``policy`` return what lives for a declaration, or make it beside what lives
2. ``finish`` updates what is kept, and returns what is declared no more; ``Runtime.commit`` calls it
3. ``give_up`` closes what was made in vain
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from limen.auth.api_keys import ApiKeys
from limen.auth.api_keys_live import ApiKeyVerifier
from limen.auth.issuer.live import IssuerVerifier
from limen.auth.jwt import Jwt
from limen.auth.jwt_live import Verifier
from limen.auth.method import Method
from limen.exchange.policy import Policy, World
from limen.upstream.declared import Upstream
from limen.upstream.pool import Pool

CredentialVerifier = Verifier | IssuerVerifier | ApiKeyVerifier

Key = tuple[type[object], str, str]
"""Of a live policy: its kind, the place of its declaration, its name."""


@dataclass(frozen=True, slots=True)
class Living:
    """What lives: pools by the name of the upstream, verifiers and policies each with its declaration."""

    pools: dict[str, Pool] = field(default_factory=dict[str, Pool])
    verifiers: list[tuple[Method, CredentialVerifier]] = field(default_factory=list[tuple[Method, CredentialVerifier]])
    policies: dict[Key, tuple[Policy, object]] = field(default_factory=dict[Key, tuple[Policy, object]])


@dataclass(frozen=True, slots=True)
class Gone:
    """What is declared no more, and has to be ended."""

    pools: tuple[Pool, ...]
    verifiers: tuple[CredentialVerifier, ...]
    policies: tuple[object, ...]


class Reconciliation:
    """One compile: the declarations that it asks for are those that live after it."""

    def __init__(
        self,
        before: Living,
        world: World,
        *,
        make_pool: Callable[[Upstream], Pool],
        make_verifier: Callable[[Method, Callable[[Upstream], Pool]], CredentialVerifier],
    ) -> None:
        """Begin with nothing declared; ``before`` is what lives."""
        self._before = before
        self._world = world
        self._make_pool = make_pool
        self._make_verifier = make_verifier
        self._upstreams: dict[str, Upstream] = {}
        self._renewed: list[tuple[object, Policy]] = []
        self._made: list[object] = []
        self.after = Living()

    def pool(self, upstream: Upstream) -> Pool:
        """Return the pool of ``upstream``. Raises ValueError for files of TLS that cannot be used.

        An equal upstream keeps its pool, with its idle connections; so does one in which only ``timeouts`` differ, which are
        the plan's. One with other targets, limits or TLS gets a new pool. A pool that changed under the exchanges that use
        it could give them a connection with another certificate than the one they were to trust, or count them against
        bounds that they did not begin with. What that costs is a new connection each, once for each change.
        """
        pool = self.after.pools.get(upstream.name)
        if pool is None:
            pool = self._before.pools.get(upstream.name)
            if pool is None or replace(pool.upstream, timeouts=upstream.timeouts) != upstream:
                pool = self._make_pool(upstream)
            self.after.pools[upstream.name] = pool
            self._upstreams[upstream.name] = upstream
        return pool

    def verifier(self, method: Method) -> CredentialVerifier:
        """Return what verifies credentials of ``method``; for an equal one, with all that it remembers."""
        for declared, one in self.after.verifiers:
            if _same(declared, method):
                return one
        if isinstance(method, ApiKeys):
            self.pool(method.upstream)  # also where the verifier is kept, which asks through it
        kept = next((one for declared, one in self._before.verifiers if _same(declared, method)), None)
        verifier = self._make_verifier(method, self.pool) if kept is None else kept
        self.after.verifiers.append((method, verifier))
        return verifier

    def policy(self, place: str, policy: Policy) -> object:
        """Return what lives of ``policy``, declared in ``place``. Raises what its ``live`` raises."""
        key: Key = (type(policy), place, policy.name)
        found = self.after.policies.get(key) or self._before.policies.get(key)
        if found is None:
            live = self._born(policy)
        else:
            declared, live = found
            if declared != policy:
                if hasattr(live, "reconcile"):
                    self._renewed.append((live, policy))
                else:
                    live = self._born(policy)
        self.after.policies[key] = (policy, live)
        return live

    def finish(self) -> Gone:
        """Update what is kept, and return what is declared no more."""
        for name, pool in self.after.pools.items():
            pool.upstream = self._upstreams[name]
        for live, declared in self._renewed:
            getattr(live, "reconcile")(declared)  # noqa: B009 - what a live policy has is its own matter
        before, after = self._before, self.after
        verifiers = [one for _, one in after.verifiers]
        lives = [live for _, live in after.policies.values()]
        return Gone(
            tuple(pool for name, pool in before.pools.items() if after.pools.get(name) is not pool),
            tuple(one for _, one in before.verifiers if not any(one is kept for kept in verifiers)),
            tuple(live for _, live in before.policies.values() if not any(live is kept for kept in lives)),
        )

    def give_up(self) -> Gone:
        """Return what was made and is not wanted."""
        known = [one for _, one in self._before.verifiers]
        made = tuple(one for _, one in self.after.verifiers if not any(one is kept for kept in known))
        return Gone((), made, tuple(self._made))

    def _born(self, policy: Policy) -> object:
        live = policy.live(self._world)
        self._made.append(live)
        return live


def close(live: object) -> None:
    """End a live policy, if there is anything to end."""
    ending = getattr(live, "close", None)
    if ending is not None:
        ending()


def _same(declared: Method, other: Method) -> bool:
    """Tell whether two declarations are verified by one verifier: they are one, or say the same, with the same keys.

    ``Keys.env`` is read once: what is called the same may have other keys by now.
    """
    if declared is other:
        return True
    if declared != other:
        return False
    return not isinstance(declared, Jwt) or not isinstance(other, Jwt) or declared.ring.keys == other.ring.keys
