"""The live side of a gateway: upstreams by name, with their connections, verifiers of credentials with their caches, and live
policies. Only ``commit`` replaces one set of them by another.
"""

import asyncio
from collections.abc import Callable
from random import Random, SystemRandom

from limen.auth.api_keys import ApiKeys
from limen.auth.api_keys_live import ApiKeyVerifier
from limen.auth.assertion import Assertion
from limen.auth.assertion_live import Asserter
from limen.auth.decoder import TokenDecoder
from limen.auth.decoder_live import DecoderVerifier
from limen.auth.issuer.declared import Issuer
from limen.auth.issuer.live import IssuerVerifier
from limen.auth.issuer.provider import Provider
from limen.auth.jwt import Jwt
from limen.auth.jwt_live import Verifier
from limen.auth.method import Method, Methods
from limen.auth.revocation import RevocationStore
from limen.client.limits import ClientLimits
from limen.client.trust import Trust
from limen.exchange.policy import Environment
from limen.exchange.principal import Principal
from limen.exchange.request_ids import RequestIds
from limen.fairness.body_memory import BodyMemory
from limen.fairness.validations import Validations
from limen.runtime.checked_targets import CheckedTargets
from limen.runtime.proxy_status import ProxyStatus, ProxyStatusWriter
from limen.runtime.readiness import Readiness
from limen.runtime.reconcile import CredentialVerifier, LiveState, Reconciliation, RemovedState, close
from limen.runtime.revocation_relay import RevocationRelay
from limen.runtime.snapshot import Snapshot
from limen.runtime.system import SYSTEM
from limen.runtime.target_states import PEERS, TargetStates
from limen.upstream.declared import Upstream
from limen.upstream.live import LiveUpstream
from limen.upstream.network import Network, Sockets
from limen.upstream.pool import Pool

NO_TRUSTED_PROXIES = Trust()


class Runtime:
    """What lives while one gateway runs. Time and randomness enter the data path here and nowhere else."""

    __slots__ = (
        "_assertion",
        "_checked_targets",
        "_environment",
        "_keeps_idle",
        "_live_state",
        "_loop",
        "_network",
        "_retired_pools",
        "_retired_verifiers",
        "_revocation_relay",
        "_target_states",
        "_tasks",
        "auth",
        "body_memory",
        "body_silence",
        "new_request_id",
        "now",
        "proxy_status",
        "readiness",
        "revocations",
        "trust",
        "validations",
    )

    def __init__(
        self,
        auth: Method | Methods | None = None,
        *,
        trust: Trust = NO_TRUSTED_PROXIES,
        revocations: RevocationStore | None = None,
        assertion: Assertion | None = None,
        proxy_status: ProxyStatus | None = None,
        body_memory: int = ClientLimits().body_memory,
        body_silence: float = ClientLimits().body_silence,
        make_network: Callable[[], Network] = Sockets,
        keeps_idle: bool = True,
        now: Callable[[], float] = SYSTEM.now,
        monotonic: Callable[[], float] = SYSTEM.monotonic,
        random: Random | None = None,
        new_request_id: Callable[[], str] | None = None,
    ) -> None:
        """Start with nothing that lives.

        ``auth`` are the methods of routes that name none. ``trust`` names the proxies in front. ``revocations`` knows which
        tokens ended early. ``assertion`` says how services are told who calls. ``proxy_status`` is what faults
        tell of the gateway, None is nothing. ``body_memory`` is in bytes. ``body_silence``
        is in seconds, for request bodies on routes with ``Timeouts(idle=None)``. ``make_network`` makes what connections are
        opened on; without ``keeps_idle`` each serves one exchange. ``now`` gives seconds since the epoch, ``monotonic``
        seconds of a clock that only goes forward. Policies draw from ``random``, by default the system's, which forked
        processes do not share. ``new_request_id`` makes one.
        """
        self._network = make_network()
        self._keeps_idle = keeps_idle
        self._live_state = LiveState()
        self._loop: asyncio.AbstractEventLoop | None = None  # in which upstreams look after themselves
        self._retired_pools: set[Pool] = set()  # replaced or declared no more, and still in use
        self._retired_verifiers: list[IssuerVerifier | ApiKeyVerifier] = []  # declared no more, and still asked
        self._tasks: set[asyncio.Task[None]] = set()
        self.revocations = revocations
        self._revocation_relay = None if revocations is None else RevocationRelay(revocations)
        self._assertion: Asserter | Assertion | None = assertion
        self.auth = Methods.of(auth)
        self.trust = trust
        self.proxy_status = None if proxy_status is None else ProxyStatusWriter(proxy_status)
        self.body_memory = BodyMemory.within(body_memory, monotonic)
        self.body_silence = body_silence
        self.validations = Validations()
        self.readiness = Readiness()
        self._checked_targets = CheckedTargets(self.readiness)
        self._target_states = TargetStates()
        self.now = now
        self._environment = Environment(now, monotonic, SystemRandom() if random is None else random)
        self.new_request_id = RequestIds().fresh if new_request_id is None else new_request_id

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Serve in ``loop`` alone from now on."""
        if self._keeps_idle:  # else nobody says when the loop ends, and nothing may run in it by itself
            self._loop = loop
            self._target_states.join(PEERS.get())
            self._start_upstreams(loop)
        if self._revocation_relay is not None:
            self._revocation_relay.bind(loop)

    def _start_upstreams(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let the upstreams that live now look after their targets; they begin with what other workers know of these."""
        upstreams = self._live_state.upstreams
        self._target_states.watch(upstreams)
        for upstream in upstreams.values():
            upstream.start(loop, checks=self._target_states.checks)
        self._checked_targets.require(upstreams)

    def reconcile(self) -> Reconciliation:
        """Begin a compile; it ends with ``commit`` or ``roll_back``."""
        return Reconciliation(
            self._live_state, self._environment, make_upstream=self._make_upstream, make_verifier=self._make_verifier
        )

    def commit(self, change: Reconciliation) -> None:
        """Replace what lives by what ``change`` has, and close what is declared no more.

        Running exchanges keep the plan that they began with. Its pools still serve them, and those of targets that have gone
        keep no connection afterwards.
        A verifier that asks a service answers those who wait before it is closed.
        """
        removed = change.apply()
        self._live_state = change.after
        for upstream, kept in removed.upstreams:
            upstream.retire(kept)
        if self._loop is not None:
            self._start_upstreams(self._loop)
        self._close_removed(removed)

    def roll_back(self, change: Reconciliation) -> None:
        """Close what was made for a compile that failed. What lives stays as it is."""
        self._close_removed(change.roll_back())

    def asserter(self) -> Asserter | None:
        """Return what signs assertions, made at first use; None where services get plain headers alone."""
        if isinstance(self._assertion, Assertion):
            self._assertion = Asserter(self._assertion)
        return self._assertion

    def _make_upstream(self, upstream: Upstream, before: LiveUpstream | None = None) -> LiveUpstream:
        environment = self._environment
        return LiveUpstream(
            upstream,
            self._network,
            clock=environment.monotonic,
            now=environment.now,
            random=Random(environment.random.random()),  # noqa: S311 - to balance; the system's costs a call of the kernel
            keeps_idle=self._keeps_idle,
            retired=self._retired_pools,
            before=before,
        )

    def _make_verifier(self, method: Method, upstream: Callable[[Upstream], LiveUpstream]) -> CredentialVerifier:
        match method:
            case Jwt():
                return Verifier(method, self._revocation_relay)
            case Issuer():
                return IssuerVerifier(
                    method, self._revocation_relay, source=Provider(method, self._make_upstream), clock=self.now
                )
            case ApiKeys():
                return ApiKeyVerifier(method, upstream(method.upstream), self.now)
            case TokenDecoder():
                return DecoderVerifier(method, self._revocation_relay)
            case _:
                raise TypeError(f"auth={method!r} is no method that this gateway knows")

    def _close_removed(self, removed: RemovedState) -> None:
        for verifier in removed.verifiers:
            self._disconnect(verifier)
            if isinstance(verifier, IssuerVerifier | ApiKeyVerifier):
                self._close_when_drained(verifier)
        for live in removed.policies:
            close(live)

    def _disconnect(self, verifier: CredentialVerifier) -> None:
        """Stop passing revocations on to ``verifier``, and empty its cache, which might hold tokens that end from now on."""
        if self._revocation_relay is not None and isinstance(verifier, Verifier | IssuerVerifier):
            self._revocation_relay.unlisten(verifier.forget)
            verifier.forget(_everybody)

    def _close_when_drained(self, verifier: IssuerVerifier | ApiKeyVerifier) -> None:
        self._retired_verifiers.append(verifier)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # nobody can be waiting for it: it is closed with the runtime
        task = loop.create_task(self._drain_and_close(verifier))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _drain_and_close(self, verifier: IssuerVerifier | ApiKeyVerifier) -> None:
        await verifier.drained()
        await verifier.aclose()
        self._retired_verifiers.remove(verifier)

    def snapshot(self) -> Snapshot:
        """Return what lives now as plain values, for a console, a command, or a test.

        A retired pool comes after the upstreams, as long as it is in use.
        """
        return Snapshot(tuple(one.snapshot() for one in (*self._live_state.upstreams.values(), *self._retired_pools)))

    def drain_target(self, upstream: str, address: str) -> None:
        """Let the target of ``upstream`` at ``address`` get no new requests; those under way go on.

        Raises LookupError that says what there is.
        """
        self._upstream(upstream).drain(address)

    def restore_target(self, upstream: str, address: str) -> None:
        """Let a drained target get requests again. Raises LookupError that says what there is."""
        self._upstream(upstream).restore(address)

    def _upstream(self, name: str) -> LiveUpstream:
        upstreams = self._live_state.upstreams
        if name not in upstreams:
            raise LookupError(f"there is no upstream {name!r}; there is {', '.join(map(repr, upstreams)) or 'none'}")
        return upstreams[name]

    async def drained(self) -> None:
        """Return once no connection to any upstream is in use or being opened, and nobody waits for one."""
        while not self.snapshot().drained:
            for one in (*self._live_state.upstreams.values(), *self._retired_pools):
                await one.drained()

    async def aclose(self) -> None:
        """Cancel what waits, every question about credentials and names, and close every pooled connection."""
        self.validations.close()
        self._loop = None
        self._target_states.leave()
        for upstream in self._live_state.upstreams.values():
            upstream.stop()
        self._network.close()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        live_state, self._live_state = self._live_state, LiveState()
        verifiers, self._retired_verifiers = self._retired_verifiers, []
        for _, verifier in live_state.verifiers:
            self._disconnect(verifier)
            if isinstance(verifier, IssuerVerifier | ApiKeyVerifier):
                verifiers.append(verifier)
        for verifier in verifiers:
            await verifier.aclose()
        self._close_policies(live_state)
        for one in (*live_state.upstreams.values(), *self._retired_pools):
            await one.aclose()

    def discard(self) -> None:
        """Let go of what lived in an event loop that is closed. Nothing of it can run any more, and no connection is left."""
        live_state, self._live_state = self._live_state, LiveState()
        self._close_policies(live_state)

    def _close_policies(self, live_state: LiveState) -> None:
        if self._revocation_relay is not None:
            self._revocation_relay.close()
        for _, live in live_state.policies.values():
            close(live)

    def __repr__(self) -> str:
        """Show the upstreams, which say what is busy."""
        return f"<Runtime {' '.join(map(repr, self._live_state.upstreams.values())) or 'idle'}>"


def _everybody(principal: Principal) -> bool:
    return True
