"""An outside issuer without a network: keys, tokens, a JWK Set that comes when the test lets it, and a clock to turn."""

import asyncio
import copy
import json
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

from limen.auth.identify import IdentifyResult
from limen.auth.issuer.declared import Issuer
from limen.auth.issuer.live import IssuerVerifier
from limen.errors import Fault, Kind
from limen.exchange.principal import Principal
from limen.upstream.fetch import NotFetchedError
from tokens import NOW

URL = "https://idp.example"

AnyKey = RSAKey | ECKey | OKPKey


def key(kid: str | None, algorithm: str = "ES256", *, private: bool = True) -> AnyKey:
    """Return a new key, with an id unless ``kid`` is None."""
    parameters: Any = None if kid is None else {"kid": kid}
    if algorithm == "EdDSA":
        return OKPKey.generate_key("Ed25519", parameters, private=private)
    if algorithm.startswith("ES"):
        return ECKey.generate_key({"ES256": "P-256", "ES384": "P-384"}[algorithm], parameters, private=private)
    return RSAKey.generate_key(2048, parameters, private=private)


def key_set(*keys: AnyKey | dict[str, Any]) -> bytes:
    """Return a JWK Set of public keys; dictionaries stand in it as they are."""
    return json.dumps({"keys": [one if isinstance(one, dict) else one.as_dict(private=False) for one in keys]}).encode()


def token(by: AnyKey, header: dict[str, Any] | None = None, algorithm: str = "ES256", **changes: Any) -> bytes:
    """Return a token signed with ``by``; a change to None leaves the claim out."""
    said: dict[str, Any] = {"iss": URL, "aud": "shop", "sub": "ann", "exp": NOW + 600} | changes
    payload = json.dumps({name: value for name, value in said.items() if value is not None})
    head = {"alg": algorithm} | ({} if by.kid is None else {"kid": by.kid}) | (header or {})
    head = {name: value for name, value in head.items() if value is not None}
    registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    # The library's own warns of EdDSA, because RFC 9864 renames it.
    registry.algorithms = {algorithm: copy.copy(registry.algorithms[algorithm])}
    registry.algorithms[algorithm].security_warning = None
    return jws.serialize_compact(head, payload, by, registry=registry).encode()


class Fake:
    """A source of keys; ``content`` is the set, or what goes wrong. While ``free`` is clear, it is waited for."""

    def __init__(self, content: bytes | Exception) -> None:
        self.content = content
        self.asked = 0
        self.closed = False
        self.free = asyncio.Event()
        self.free.set()

    async def key_set(self) -> bytes:
        """Return the set."""
        self.asked += 1
        await self.free.wait()
        if isinstance(self.content, Exception):
            raise self.content
        return self.content

    async def aclose(self) -> None:
        """Take note."""
        self.closed = True


class Clock:
    """Seconds since the epoch, as the test says."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


DEAD = NotFetchedError("nobody answers")


class Live:
    """A live issuer with a source and a clock of the test's."""

    def __init__(self, content: bytes | Exception, revocations: Any = None, **options: Any) -> None:
        self.clock = Clock()
        self.source = Fake(content)
        options = {"url": URL, "audience": "shop"} | options
        self.issuer = IssuerVerifier(Issuer(**options), revocations, source=self.source, clock=self.clock)

    def at_once(self, given: bytes) -> IdentifyResult:
        """Insist on an answer without waiting."""
        found = self.issuer.verify(given, self.clock.now)
        assert isinstance(found, Principal | Fault)
        return found

    async def later(self, given: bytes) -> IdentifyResult:
        """Insist on an answer that has to be waited for."""
        found = self.issuer.verify(given, self.clock.now)
        assert not isinstance(found, Principal | Fault)
        return await found

    async def settled(self) -> None:
        """Let a fetch in the background end."""
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)


def describe_result(found: IdentifyResult) -> str:
    return found.kind.code if isinstance(found, Fault) else found.id


def seconds(found: IdentifyResult) -> int:
    assert isinstance(found, Fault)
    assert found.kind is Kind.IDENTITY_UNAVAILABLE
    return int(dict(found.headers)[b"retry-after"])


async def ready(content: bytes | Exception, by: AnyKey, revocations: Any = None, **options: Any) -> Live:
    """Return an issuer whose keys are known."""
    live = Live(content, revocations, **options)
    assert describe_result(await live.later(token(by, sub="first"))).endswith("first")
    assert live.source.asked == 1
    return live
