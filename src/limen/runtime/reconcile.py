"""From what lives to what is declared now: what is kept, made and removed. Nothing that lives is touched before the whole
declaration is known to be right, so that a compile that fails changes nothing.

1. ``upstream``, ``verifier`` and ``policy`` return what lives for a declaration, or make it beside what lives
2. ``apply`` updates what is kept, and returns what is declared no more; ``Runtime.commit`` calls it
3. ``roll_back`` returns what was made in vain; ``Runtime.roll_back`` calls it
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from limen.auth.api_keys import ApiKeys
from limen.auth.api_keys_live import ApiKeyVerifier
from limen.auth.decoder_live import DecoderVerifier
from limen.auth.issuer.live import IssuerVerifier
from limen.auth.jwt import Jwt
from limen.auth.jwt_live import Verifier
from limen.auth.method import Method
from limen.exchange.policy import Environment, Policy
from limen.observe.redaction import logger
from limen.upstream.declared import Upstream
from limen.upstream.live import LiveUpstream

_log = logger("limen.policies")

CredentialVerifier = Verifier | IssuerVerifier | ApiKeyVerifier | DecoderVerifier

PolicyKey = tuple[type[object], str, str]
"""The kind of a policy, the place of its declaration, its name."""


@dataclass(frozen=True, slots=True)
class LiveState:
    """Upstreams by name, and verifiers and policies, each with its declaration."""

    upstreams: dict[str, LiveUpstream] = field(default_factory=dict[str, LiveUpstream])
    verifiers: list[tuple[Method, CredentialVerifier]] = field(default_factory=list[tuple[Method, CredentialVerifier]])
    policies: dict[PolicyKey, tuple[Policy, object]] = field(default_factory=dict[PolicyKey, tuple[Policy, object]])


@dataclass(frozen=True, slots=True)
class RemovedState:
    """What is declared no more, and has to be closed: an upstream with the one that has taken its place, if any."""

    upstreams: tuple[tuple[LiveUpstream, LiveUpstream | None], ...]
    verifiers: tuple[CredentialVerifier, ...]
    policies: tuple[object, ...]


class Reconciliation:
    """The live state around one compile: what it asks for is what lives after it."""

    def __init__(
        self,
        before: LiveState,
        environment: Environment,
        *,
        make_upstream: Callable[[Upstream, LiveUpstream | None], LiveUpstream],
        make_verifier: Callable[[Method, Callable[[Upstream], LiveUpstream]], CredentialVerifier],
    ) -> None:
        """Begin with nothing declared; ``before`` is what lives."""
        self._before = before
        self._environment = environment
        self._make_upstream = make_upstream
        self._make_verifier = make_verifier
        self._upstreams: dict[str, Upstream] = {}
        self._changed_policies: list[tuple[object, Policy]] = []
        self._new_policies: list[object] = []
        self.after = LiveState()

    def upstream(self, upstream: Upstream) -> LiveUpstream:
        """Return what lives of ``upstream``. Raises ValueError for files of TLS that cannot be used.

        An equal upstream keeps it; so does one in which only ``timeouts`` differ, which are the plan's. Any other gets a new
        one, which takes over the targets that stay, with what is known of their health. Their connections stay too, unless
        limits or TLS differ: a pool that changed under the exchanges that use it could give them a connection with another
        certificate than the one they were to trust, or count them against bounds that they did not begin with.
        """
        live = self.after.upstreams.get(upstream.name)
        if live is None:
            live = self._before.upstreams.get(upstream.name)
            if live is None or replace(live.upstream, timeouts=upstream.timeouts) != upstream:
                live = self._make_upstream(upstream, live)
            self.after.upstreams[upstream.name] = live
            self._upstreams[upstream.name] = upstream
        return live

    def verifier(self, method: Method) -> CredentialVerifier:
        """Return the verifier of ``method``; an equal method keeps its verifier, with its cache."""
        for declared, verifier in self.after.verifiers:
            if _same(declared, method):
                return verifier
        if isinstance(method, ApiKeys):
            self.upstream(method.upstream)  # also for a verifier that is kept: it asks this one
        kept = next((verifier for declared, verifier in self._before.verifiers if _same(declared, method)), None)
        verifier = self._make_verifier(method, self.upstream) if kept is None else kept
        self.after.verifiers.append((method, verifier))
        return verifier

    def policy(self, place: str, policy: Policy) -> object:
        """Return the live object of ``policy``, declared in ``place``. Raises what its ``live`` raises."""
        key: PolicyKey = (type(policy), place, policy.name)
        found = self.after.policies.get(key) or self._before.policies.get(key)
        if found is None:
            live = self._make_policy(policy)
        else:
            declared, live = found
            if declared != policy:
                if hasattr(live, "reconcile"):
                    self._changed_policies.append((live, policy))
                else:
                    live = self._make_policy(policy)
        self.after.policies[key] = (policy, live)
        return live

    def apply(self) -> RemovedState:
        """Update what is kept, and return what is declared no more."""
        for name, live_upstream in self.after.upstreams.items():
            live_upstream.upstream = self._upstreams[name]
            live_upstream.activate()
        for live, declared in self._changed_policies:
            _guarded(live, "reconcile", declared)
        before, after = self._before, self.after
        kept_verifiers = [verifier for _, verifier in after.verifiers]
        kept_policies = [live for _, live in after.policies.values()]
        return RemovedState(
            tuple(
                (upstream, after.upstreams.get(name))
                for name, upstream in before.upstreams.items()
                if after.upstreams.get(name) is not upstream
            ),
            tuple(verifier for _, verifier in before.verifiers if not _contains(kept_verifiers, verifier)),
            tuple(live for _, live in before.policies.values() if not _contains(kept_policies, live)),
        )

    def roll_back(self) -> RemovedState:
        """Return what was made for this compile. New upstreams have no connection yet, and need no end."""
        before = [verifier for _, verifier in self._before.verifiers]
        new_verifiers = tuple(verifier for _, verifier in self.after.verifiers if not _contains(before, verifier))
        return RemovedState((), new_verifiers, tuple(self._new_policies))

    def _make_policy(self, policy: Policy) -> object:
        live = policy.live(self._environment)
        self._new_policies.append(live)
        return live


def close(live: object) -> None:
    """Close a live policy, if it has ``close``."""
    if hasattr(live, "close"):
        _guarded(live, "close")


def _guarded(live: object, name: str, *args: object) -> None:
    """Call a method of a live policy; that it fails must not keep the others from theirs."""
    try:
        getattr(live, name)(*args)
    except Exception:
        _log.exception("%s() of the policy %s failed", name, type(live).__name__)


def _contains(objects: Sequence[object], wanted: object) -> bool:
    """Tell whether ``wanted`` itself is there: an equal one is another."""
    return any(one is wanted for one in objects)


def _same(declared: Method, other: Method) -> bool:
    """Tell whether one verifier serves two declarations: they are one object, or equal and with the same keys.

    ``Keys.env`` is read once: an equal declaration may have other keys by now.
    """
    if declared is other:
        return True
    if declared != other:
        return False
    return not isinstance(declared, Jwt) or not isinstance(other, Jwt) or declared.ring.keys == other.ring.keys
