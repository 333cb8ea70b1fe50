"""The targets of one upstream, and which of them may be picked.

The health of each says what is known of it alone. Here it is held against the others:

1. ``judge``    a target that fails is ejected, or kept in if the others cannot do without it
2. ``drain``, ``restore``, ``follow``   what an operator, or another worker of this machine, says of a target
3. ``_refresh`` whenever a state changes, who may be picked is found out anew: choosing looks at nothing else
"""

import logging
from collections.abc import Callable
from math import ceil
from typing import final

from limen.upstream.balance import Sticky, Weights
from limen.upstream.declared import Upstream
from limen.upstream.ejection import Ejection
from limen.upstream.live_target import LiveTarget
from limen.upstream.shared_state import Availability, CheckState, DrainState, Shared
from limen.upstream.target_health import IN, OUT, PROBING, TargetHealth

_log = logging.getLogger("limen.upstream")


@final
class TargetSet:
    """``targets`` are all; ``well`` may be picked, which in ``panic`` are all that are not drained; ``out`` are not well.

    ``only`` is the target where there is but one, and nothing is known of it but what requests tell: it is always picked.
    ``on_change`` is called with a target whose state has changed, until ``successor`` has taken over the targets.
    """

    __slots__ = ("_upstream", "on_change", "only", "out", "panic", "successor", "targets", "well")

    def __init__(self, upstream: Upstream) -> None:
        """Have no targets yet."""
        self._upstream = upstream
        self.targets: list[LiveTarget] = []
        self.only: LiveTarget | None = None
        self.well: list[LiveTarget] = []
        self.out: list[LiveTarget] = []
        self.panic: bool = False
        self.on_change: Callable[[LiveTarget], None] | None = None
        self.successor: TargetSet | None = None  # while exchanges still run here

    def have(self, targets: list[LiveTarget]) -> None:
        """Have these targets. Who of them may be picked is found out by ``activate``."""
        self.targets = targets
        upstream = self._upstream
        alone = len(targets) == 1 and upstream.health is None and not isinstance(upstream.balance, Sticky)
        self.only = targets[0] if alone else None

    def activate(self) -> None:
        """Let the targets live by this declaration from now on."""
        upstream = self._upstream
        balance = upstream.balance
        weights: Weights = {} if isinstance(balance, Sticky) else balance.weights
        for target in self.targets:
            target.health.follow(upstream.ejection)
            target.weigh(weights.get(target.target.url, 1.0))
            if upstream.health is None:
                target.health.unchecked()
        self._refresh()

    # --- ejection ---

    def judge(self, target: LiveTarget) -> None:
        """Eject a target that fails, or keep it in if too many are out, or if it is the last that is well."""
        health = target.health
        ejection = self._ejection()
        if ejection is None:
            health.wants_out = ""
            return
        if health.state == PROBING or self._may_go_out(target, ejection):
            health.eject(alone=not self._others_well(target))
        elif not health.keep():
            return
        self.state_changed(target)

    def _ejection(self) -> Ejection | None:
        """Return the rules of ejection, None without any: a target that is alone is never ejected."""
        return self._upstream.ejection if len(self.targets) > 1 else None

    def _may_go_out(self, target: LiveTarget, ejection: Ejection) -> bool:
        """Tell whether the others can do without the target, for what requests have told of it."""
        others_out = sum(other is not target and other.health.state != IN for other in self.targets)
        return self._others_well(target) and others_out < ceil(ejection.most * len(self.targets))

    def _others_well(self, target: LiveTarget) -> bool:
        return any(
            other is not target
            and other.health.state == IN
            and not other.health.failing
            and not other.health.drained_since
            for other in self.targets
        )

    # --- what an operator says, and other workers of this machine ---

    def drain(self, address: str) -> None:
        """Let the target at ``address`` get no new requests; those under way go on. Raises LookupError if there is none."""
        target = self._at(address)
        if not target.health.drained_since:
            target.health.drain()
            _log.warning("upstream %s: target %s is drained: it gets no new requests", self._upstream.name, target.name)
            self._tell(target)

    def restore(self, address: str) -> None:
        """Let a drained target get requests again. Raises LookupError if there is none at ``address``."""
        target = self._at(address)
        if target.health.drained_since:
            target.health.restore()
            self.state_changed(target)

    def _at(self, address: str) -> LiveTarget:
        for target in self.targets:
            if address in (target.name, target.target.url):
                return target
        known = ", ".join(target.name for target in self.targets)
        raise LookupError(f"upstream {self._upstream.name!r} has no target {address!r}; it has {known}")

    def follow(self, target: LiveTarget, shared: Shared) -> None:
        """Take over what another worker tells of the target. ``on_change`` is not called: nothing is told back.

        What keeps a target in here, however many are ill, holds for what others say as well.
        """
        health = target.health
        if isinstance(shared, DrainState):
            changed = health.follow_drain(shared)
        elif isinstance(shared, CheckState):
            changed = self._upstream.health is not None and health.follow_check(shared)
        elif not shared.out:
            changed = health.follow_in(shared)
        else:
            changed = self._follow_out(target, shared)
        if changed:
            self._refresh()
            _log.info(
                "upstream %s: another worker says of target %s: %s", self._upstream.name, target.name, health.says()
            )

    def _follow_out(self, target: LiveTarget, shared: Availability) -> bool:
        health = target.health
        ejection = self._ejection()
        if health.check_failing or ejection is None:
            return False
        if health.state == OUT or self._may_go_out(target, ejection):
            health.follow_out(shared)
            return True
        health.wants_out = shared.reason
        return health.keep()

    # --- states ---

    def state_changed(self, target: LiveTarget) -> None:
        """Take note that the health of the target has another state."""
        if self.successor is None:
            self._log_state(target)
        self._tell(target)

    def _tell(self, target: LiveTarget) -> None:
        self._refresh()
        if self.successor is not None:
            self.successor.health_changed(target.health)
        elif self.on_change is not None:
            self.on_change(target)

    def health_changed(self, health: TargetHealth) -> None:
        """Take note that an exchange which began with the declaration before has changed the health of a target."""
        for target in self.targets:
            if target.health is health:
                self.state_changed(target)

    def _log_state(self, target: LiveTarget) -> None:
        name, health = self._upstream.name, target.health
        if health.state == OUT and health.due():
            _log.warning("upstream %s: target %s may return: %s", name, target.name, health.reason)
        elif health.state == OUT:
            _log.warning("upstream %s: target %s is out: %s", name, target.name, health.reason)
        elif health.failing:
            _log.warning("upstream %s: target %s fails, and is %s", name, target.name, health.reason)
        elif health.state == IN:
            _log.warning("upstream %s: target %s is well again", name, target.name)

    def _refresh(self) -> None:
        """Find out who may be picked: those that are well, or all in panic."""
        if self.only is not None:
            self.well, self.out, self.panic = [self.only], [], False
            return
        taking = [target for target in self.targets if not target.health.drained_since]
        well = [target for target in taking if target.health.state == IN]
        self.out = [target for target in taking if target.health.state != IN]
        for target in well:
            target.uneven = target.health.growing or target.weight != 1.0
        ejection = self._upstream.ejection
        panic = not well or (ejection is not None and len(well) < ejection.panic * len(taking))
        if panic != self.panic:
            self.panic = panic
            if panic:
                _log.error(
                    "upstream %s: panic: %d of %d targets are well, so all are used",
                    *(self._upstream.name, len(well), len(self.targets)),
                )
            else:
                _log.warning("upstream %s: enough targets are well again", self._upstream.name)
        self.well = list(taking or self.targets) if panic else well

    def __repr__(self) -> str:
        """Show how many there are, and how many of them are out."""
        panic = " panic" if self.panic else ""
        return f"<TargetSet {self._upstream.name} {len(self.targets)} targets {len(self.out)} out{panic}>"
