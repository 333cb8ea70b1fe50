"""What lives while the process lives: pools, kept by the upstream's name, and what verifies credentials, with its cache."""

from collections.abc import Callable
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
from limen.fairness.body_memory import Bodies
from limen.fairness.validations import Validations
from limen.runtime.snapshot import Snapshot
from limen.upstream.declared import Upstream
from limen.upstream.names import Names
from limen.upstream.pool import Pool

NOBODY = Trust()

CredentialVerifier = Verifier | IssuerVerifier | ApiKeyVerifier


class Runtime:
    """The live side of one gateway. Time and randomness enter the data path here and nowhere else."""

    __slots__ = (
        "_assertion",
        "_live",
        "_names",
        "_pools",
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
        request_id: Callable[[], str] | None = None,
    ) -> None:
        """Start with no pools.

        ``auth`` are the methods of routes that name none, ``trust`` names the proxies in front, ``revocations`` knows which
        tokens ended early, ``assertion`` says how services are told who calls, ``body_memory`` is in bytes, ``now`` gives
        seconds since the epoch.
        """
        self._names = Names()
        self._pools: dict[str, Pool] = {}
        self._live: dict[int, tuple[Method, CredentialVerifier]] = {}
        self.revocations = revocations
        self._assertion: Asserter | Assertion | None = assertion
        self.auth = Methods.of(auth)
        self.trust = trust
        self.bodies = Bodies.within(body_memory)
        self.validations = Validations()
        self.now = now
        self.request_id = RequestIds().fresh if request_id is None else request_id

    def pool(self, upstream: Upstream) -> Pool:
        """Return the pool of ``upstream``, made at first use."""
        pool = self._pools.get(upstream.name)
        if pool is None:
            pool = self._pools[upstream.name] = Pool(upstream, self._names)
        return pool

    def verifies(self, method: Method) -> CredentialVerifier:
        """Return what verifies credentials of ``method``, made at first use; what it remembers outlives a recompile."""
        # By identity: two declarations that look the same are still two.
        known = self._live.get(id(method))
        if known is None:
            known = self._live[id(method)] = (method, self._made(method))
        return known[1]

    def asserter(self) -> Asserter | None:
        """Return what signs for callers, made at first use; None where services get plain headers alone."""
        if isinstance(self._assertion, Assertion):
            self._assertion = Asserter(self._assertion)
        return self._assertion

    def _made(self, method: Method) -> CredentialVerifier:
        match method:
            case Jwt():
                return Verifier(method, self.revocations)
            case Issuer():
                return IssuerVerifier(method, self.revocations, source=Provider(method, self._names), clock=self.now)
            case ApiKeys():
                return ApiKeyVerifier(method, self.pool(method.upstream), self.now)
            case _:
                raise TypeError(f"auth={method!r} is no method that this gateway knows")

    def snapshot(self) -> Snapshot:
        """Return what lives now: plain values, for a console, a command, or a test."""
        return Snapshot(tuple(pool.snapshot() for pool in self._pools.values()))

    async def drained(self) -> None:
        """Return once no connection to any upstream is in use or being opened, and nobody waits for one."""
        while not self.snapshot().drained:
            for pool in tuple(self._pools.values()):
                await pool.drained()

    async def aclose(self) -> None:
        """Give up whatever waits, every question about credentials and names, and close every pooled connection."""
        self.validations.close()
        names, self._names = self._names, Names()
        names.close()
        live, self._live = self._live, {}
        for _, one in live.values():
            if not isinstance(one, Verifier):
                await one.aclose()
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            await pool.aclose()

    def __repr__(self) -> str:
        """Show the pools, which say what is busy."""
        return f"<Runtime {' '.join(map(repr, self._pools.values())) or 'idle'}>"
