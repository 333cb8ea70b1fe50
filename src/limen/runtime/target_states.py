"""What the workers of one machine know of targets, from the side of one gateway: what has changed here is told to peers, and
what they tell is taken over here.

1. ``PEERS`` is set by a server whose processes share states, before the gateway starts; without it, nothing here runs
2. ``watch`` says which upstreams live now; what peers have told of their targets before is taken over at once
3. a change here is told once: drain, checks and availability each for itself (``limen.upstream.shared_state``)
4. what a peer tells is taken over, and not told back; ``LiveUpstream.follow`` says what may come of it
5. one of the processes is told to check (``check``); the others get what it finds

Values cross as plain mappings that JSON can hold; one that is not understood is ignored, as a later version may say more.
"""

from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from math import isfinite
from typing import Final, Protocol

from limen.upstream.live import LiveUpstream
from limen.upstream.live_target import LiveTarget
from limen.upstream.shared_state import Availability, CheckState, DrainState, Shared
from limen.upstream.target_health import TargetHealth

Aspect = str
"""What of a target a state is about: one of ``ASPECTS``."""

Value = Mapping[str, object]

StateKey = tuple[str, str, Aspect]
"""The name of an upstream, the key of a target, the aspect."""

LONGEST_REASON: Final = 300
"""Characters of a reason that are told."""


class Peers(Protocol):
    """The other processes of this server. Nothing here waits for them."""

    def attach(self, states: "TargetStates") -> None:
        """Call ``states`` from now on, first with who checks."""
        ...

    def detach(self, states: "TargetStates") -> None:
        """Call ``states`` no more."""
        ...

    def tell(self, states: "TargetStates", key: StateKey, value: Value) -> None:
        """Tell everybody else that ``value`` is so here now."""
        ...

    def latest(self, key: StateKey) -> Value | None:
        """Return what was told of ``key`` last, by whomever."""
        ...

    def forget(self, upstream: str, target: str) -> None:
        """Forget what was told of a target that is none any more."""
        ...


PEERS: Final[ContextVar[Peers | None]] = ContextVar("limen.peers", default=None)
"""The peers of gateways that begin to run in a context; None is for a process that does everything by itself."""


class TargetStates:
    """The shared states of the targets of one runtime. ``checks`` says whether this process checks targets actively."""

    __slots__ = ("_known", "_peers", "_targets", "_upstreams", "checks")

    def __init__(self) -> None:
        """Do everything by itself."""
        self.checks = True
        self._peers: Peers | None = None
        self._upstreams: dict[str, LiveUpstream] = {}
        self._targets: dict[str, set[str]] = {}  # their keys, by the name of the upstream
        self._known: dict[StateKey, Shared] = {}  # as it was told, or taken over: what is not so any more is told next

    def join(self, peers: Peers | None) -> None:
        """Share with ``peers``, who say who checks."""
        self._peers = peers
        if peers is not None:
            self.checks = False
            peers.attach(self)

    def leave(self) -> None:
        """Share with nobody any more."""
        peers, self._peers = self._peers, None
        if peers is not None:
            peers.detach(self)
        for upstream in self._upstreams.values():
            upstream.changed = upstream.arrived = None
        self._upstreams = {}

    def watch(self, upstreams: Mapping[str, LiveUpstream]) -> None:
        """Share the states of the targets of these from now on."""
        if self._peers is None:
            return
        for name in self._targets.keys() - upstreams.keys():
            self._forget(name, self._targets.pop(name))
        before, self._upstreams = self._upstreams, dict(upstreams)
        for upstream in before.values():
            upstream.changed = upstream.arrived = None
        for upstream in upstreams.values():
            upstream.changed = self.changed
            upstream.arrived = self.arrived
            self.arrived(upstream)

    def arrived(self, upstream: LiveUpstream) -> None:
        """Take note of the targets that ``upstream`` has now: new ones begin with what is known of them elsewhere."""
        peers = self._peers
        if peers is None:
            return
        name = upstream.upstream.name
        before = self._targets.get(name, set())
        now = self._targets[name] = {target.target.key for target in upstream.targets}
        self._forget(name, before - now)
        for target in upstream.targets:
            if target.target.key in before:
                continue
            for aspect in ASPECTS:
                value = peers.latest((name, target.target.key, aspect))
                if value is not None:
                    self._take_over(upstream, target, aspect, value)
            self.changed(upstream, target)

    def _forget(self, name: str, targets: set[str]) -> None:
        for key in targets:
            for aspect in ASPECTS:
                self._known.pop((name, key, aspect), None)
            if self._peers is not None:
                self._peers.forget(name, key)

    def changed(self, upstream: LiveUpstream, target: LiveTarget) -> None:
        """Tell the others what is not as they know it."""
        if self._peers is None:
            return
        for key, shared in _states(upstream, target):
            known = self._known.get(key)
            if known != shared and (known is not None or not _initial(shared)):
                self._known[key] = shared
                self._peers.tell(self, key, _value(shared))

    def receive(self, key: StateKey, value: Value) -> None:
        """Take over what another process has told, if there is such a target here."""
        upstream = self._upstreams.get(key[0])
        if upstream is None:
            return
        for target in upstream.targets:
            if target.target.key == key[1]:
                self._take_over(upstream, target, key[2], value)
                return

    def check(self, *, mine: bool) -> None:
        """Check targets actively from now on, or leave that to another process."""
        self.checks = mine
        for upstream in self._upstreams.values():
            upstream.check(by_itself=mine)

    def _take_over(self, upstream: LiveUpstream, target: LiveTarget, aspect: Aspect, value: Value) -> None:
        shared = _shared(aspect, value)
        if shared is None:
            return
        upstream.follow(target, shared)
        # As it is here now, and not as it was told: what was not followed is not told back either.
        self._known.update(_states(upstream, target))

    def __repr__(self) -> str:
        """Show whether it is alone, and whether it checks."""
        return f"<TargetStates {'alone' if self._peers is None else 'shared'}{' checks' if self.checks else ''}>"


def _states(upstream: LiveUpstream, target: LiveTarget) -> Iterator[tuple[StateKey, Shared]]:
    for aspect, of in ASPECTS.items():
        shared = of(target.health)
        if shared is not None:
            yield (upstream.upstream.name, target.target.key, aspect), shared


# In this order they are told and taken over: a target that fails its checks is out, whatever requests have told.
ASPECTS: Final[dict[Aspect, Callable[[TargetHealth], Shared | None]]] = {
    "drain": lambda health: health.drain_state(),
    "check": lambda health: health.check_state(),
    "availability": lambda health: health.availability(),
}


def _initial(shared: Shared) -> bool:
    """Tell whether a target is so of which nobody has told anything."""
    match shared:
        case DrainState():
            return not shared.since
        case CheckState():
            return False
        case Availability():
            return not shared.out and not shared.failing


# --- values, as they cross ---


def _value(shared: Shared) -> Value:
    match shared:
        case DrainState():
            return {"since": shared.since}
        case CheckState():
            return {"failing": shared.failing, "reason": shared.reason[:LONGEST_REASON], "since": shared.since}
        case Availability():
            return {
                "out": shared.out,
                "reason": shared.reason[:LONGEST_REASON],
                "since": shared.since,
                "failing": shared.failing,
                "until": shared.until,
                "ejections": shared.ejections,
            }


def _shared(aspect: Aspect, value: Value) -> Shared | None:
    """Return what was told; None if it is not understood."""
    since = _number(value, "since")
    reason = value.get("reason", "")
    failing = value.get("failing", False)
    if since is None or not isinstance(reason, str) or not isinstance(failing, bool):
        return None
    reason = reason[:LONGEST_REASON]
    if aspect == "drain":
        return DrainState(since)
    if aspect == "check":
        return CheckState(failing, reason, since)
    out, until, ejections = value.get("out"), _number(value, "until"), value.get("ejections")
    if aspect != "availability" or not isinstance(out, bool) or until is None or not isinstance(ejections, int):
        return None
    return Availability(out, reason, since, failing, until, ejections)


def _number(value: Value, name: str) -> float | None:
    number = value.get(name)
    if isinstance(number, bool) or not isinstance(number, int | float) or not isfinite(number) or number < 0:
        return None
    return float(number)
