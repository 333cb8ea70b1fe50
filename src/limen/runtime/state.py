"""What lives while the process lives: pools, kept by the upstream's name, what verifies credentials, with its cache, and
policies. ``commit`` is the only place where one set of them takes the place of another.
"""

import asyncio
from collections.abc import Callable
from random import Random, SystemRandom
from time import monotonic as monotonic_clock
from time import time

from limen.auth.api_keys import ApiKeys
from limen.auth.api_keys_live import ApiKeyVerifier
from limen.auth.assertion import Assertion
from limen.auth.assertion_live import Asserter
from limen.auth.issuer.declared import Issuer
from limen.auth.issuer.live import IssuerVerifier
from limen.auth.issuer.provider import Provider
from limen.auth.jwt import Jwt
from limen.auth.jwt_live import Verifier
from limen.auth.method import Method, Methods
from limen.auth.revocation import RevocationStore
from limen.client.limits import ClientLimits
from limen.client.trust import Trust
from limen.exchange.ids import RequestIds
from limen.exchange.policy import World
from limen.exchange.principal import Principal
from limen.fairness.body_memory import BodyMemory
from limen.fairness.validations import Validations
from limen.runtime.ends import Ends
from limen.runtime.reconcile import CredentialVerifier, Gone, Living, Reconciliation, close
from limen.runtime.snapshot import Snapshot
from limen.upstream.declared import Upstream
from limen.upstream.names import Names
from limen.upstream.pool import Pool

NOBODY = Trust()


class Runtime:
    """The live side of one gateway. Time and randomness enter the data path here and nowhere else."""

    __slots__ = (
        "_assertion",
        "_ends",
        "_leaving",
        "_living",
        "_names",
        "_retired",
        "_tasks",
        "_world",
        "auth",
        "bodies",
        "now",
        "request_id",
        "revocations",
        "trust",
        "validations",
    )

    def __init__(
        self,
        auth: Method | Methods | None = None,
        *,
        trust: Trust = NOBODY,
        revocations: RevocationStore | None = None,
        assertion: Assertion | None = None,
        body_memory: int = ClientLimits().body_memory,
        now: Callable[[], float] = time,
        monotonic: Callable[[], float] = monotonic_clock,
        random: Random | None = None,
        request_id: Callable[[], str] | None = None,
    ) -> None:
        """Start with nothing that lives.

        ``auth`` are the methods of routes that name none, ``trust`` names the proxies in front, ``revocations`` knows which
        tokens ended early, ``assertion`` says how services are told who calls, ``body_memory`` is in bytes. ``now`` gives
        seconds since the epoch, ``monotonic`` those of a clock that only goes forward; ``random`` is what policies draw from,
        the system's unless given, which processes that were forked do not share.
        """
        self._names = Names()
        self._living = Living()
        self._retired: set[Pool] = set()  # of upstreams that are declared no more, or otherwise, and still in use
        self._leaving: list[IssuerVerifier | ApiKeyVerifier] = []  # the same of methods
        self._tasks: set[asyncio.Task[None]] = set()
        self.revocations = revocations
        self._ends = None if revocations is None else Ends(revocations)
        self._assertion: Asserter | Assertion | None = assertion
        self.auth = Methods.of(auth)
        self.trust = trust
        self.bodies = BodyMemory.within(body_memory)
        self.validations = Validations()
        self.now = now
        self._world = World(now, monotonic, SystemRandom() if random is None else random)
        self.request_id = RequestIds().fresh if request_id is None else request_id

    def reconcile(self) -> Reconciliation:
        """Begin a compile; it ends with ``commit`` or ``give_up``."""
        return Reconciliation(self._living, self._world, make_pool=self._pool, make_verifier=self._made)

    def commit(self, done: Reconciliation) -> None:
        """Let live what ``done`` has, and end what is declared no more.

        Exchanges that run keep the plan that they began with: its pool serves them, and keeps no connection; a method that
        asks somebody answers those who wait before it is closed.
        """
        gone = done.finish()
        self._living = done.after
        for pool in gone.pools:
            pool.retire(self._retired)
        self._end(gone)

    def give_up(self, failed: Reconciliation) -> None:
        """End what was made for a compile that failed; what lives stays as it is."""
        self._end(failed.give_up())

    def asserter(self) -> Asserter | None:
        """Return what signs for callers, made at first use; None where services get plain headers alone."""
        if isinstance(self._assertion, Assertion):
            self._assertion = Asserter(self._assertion)
        return self._assertion

    def _pool(self, upstream: Upstream) -> Pool:
        return Pool(upstream, self._names)

    def _made(self, method: Method, pool: Callable[[Upstream], Pool]) -> CredentialVerifier:
        match method:
            case Jwt():
                return Verifier(method, self._ends)
            case Issuer():
                return IssuerVerifier(method, self._ends, source=Provider(method, self._names), clock=self.now)
            case ApiKeys():
                return ApiKeyVerifier(method, pool(method.upstream), self.now)
            case _:
                raise TypeError(f"auth={method!r} is no method that this gateway knows")

    def _end(self, gone: Gone) -> None:
        for one in gone.verifiers:
            self._forget(one)
            if not isinstance(one, Verifier):
                self._leave(one)
        for live in gone.policies:
            close(live)

    def _forget(self, one: CredentialVerifier) -> None:
        """Let nobody be known by what ``one`` remembers: it hears no more of ends."""
        if self._ends is not None and not isinstance(one, ApiKeyVerifier):
            self._ends.leave(one.forget)
            one.forget(_everybody)

    def _leave(self, one: IssuerVerifier | ApiKeyVerifier) -> None:
        self._leaving.append(one)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # nobody can be waiting for it: it is closed with the runtime
        task = loop.create_task(self._left(one))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _left(self, one: IssuerVerifier | ApiKeyVerifier) -> None:
        await one.drained()
        await one.aclose()
        self._leaving.remove(one)

    def snapshot(self) -> Snapshot:
        """Return what lives now: plain values, for a console, a command, or a test.

        A pool that is declared no more, or otherwise, is there as long as it is in use, after the others.
        """
        return Snapshot(tuple(pool.snapshot() for pool in (*self._living.pools.values(), *self._retired)))

    async def drained(self) -> None:
        """Return once no connection to any upstream is in use or being opened, and nobody waits for one."""
        while not self.snapshot().drained:
            for pool in (*self._living.pools.values(), *self._retired):
                await pool.drained()

    async def aclose(self) -> None:
        """Give up whatever waits, every question about credentials and names, and close every pooled connection."""
        self.validations.close()
        names, self._names = self._names, Names()
        names.close()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        living, self._living = self._living, Living()
        leaving, self._leaving = self._leaving, []
        for _, one in living.verifiers:
            self._forget(one)
            if not isinstance(one, Verifier):
                leaving.append(one)
        for one in leaving:
            await one.aclose()
        for _, live in living.policies.values():
            close(live)
        for pool in (*living.pools.values(), *self._retired):
            await pool.aclose()

    def __repr__(self) -> str:
        """Show the pools, which say what is busy."""
        return f"<Runtime {' '.join(map(repr, self._living.pools.values())) or 'idle'}>"


def _everybody(principal: Principal) -> bool:
    return True
