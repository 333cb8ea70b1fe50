"""Verifiers of credentials from one compile to the next: their caches, their revocation listeners, and their end."""

import asyncio
from dataclasses import replace

import pytest

from compiling import A, compiled, listeners, plan, route, source, turns, upstreams, verifier
from limen import DeclarationError, Principal, Upstream, signed_in
from limen.auth import ApiKeys, Issuer, Jwt, Keys, Methods, Revocations
from limen.auth.api_keys_live import ApiKeyVerifier
from limen.auth.issuer.live import IssuerVerifier
from limen.auth.jwt_live import Verifier, issue
from limen.errors import Fault, Kind
from limen.runtime.state import Runtime
from limen.testing import make_request
from tokens import NOW, SECRET

TOKENS = Jwt(SECRET)


async def test_an_equal_method_keeps_its_cache() -> None:
    runtime = Runtime(TOKENS, revocations=(ended := Revocations()), now=lambda: NOW)
    access_control = plan(compiled(runtime, route(allow=signed_in))).access_control
    assert access_control is not None
    token = issue(TOKENS, 7, "admin", NOW, session="s").encode()
    caller = access_control.identify(make_request(headers=[("authorization", f"Bearer {token.decode()}")]), NOW)
    assert isinstance(caller, Principal)
    known = verifier(runtime, TOKENS)
    assert isinstance(known, Verifier)
    assert known.recall(token, NOW) is caller
    compiled(runtime, route(allow=signed_in, auth=TOKENS | Jwt(SECRET)))
    assert verifier(runtime, Jwt(SECRET)) is known
    assert known.recall(token, NOW) is caller
    ended.end_session("s", NOW + 100)
    assert known.recall(token, NOW) is None


async def test_the_verifier_of_a_removed_method_has_no_cache_and_no_listener() -> None:
    ended = Revocations()
    runtime = Runtime(revocations=ended, now=lambda: NOW)
    compiled(runtime, route(allow=signed_in, auth=Methods.of(TOKENS)))
    gone = verifier(runtime, TOKENS)
    token = issue(TOKENS, 7, "admin", NOW, session="s").encode()
    assert isinstance(gone.verify(token, NOW), Principal)
    compiled(runtime, route())
    assert gone.recall(token, NOW) is None
    assert listeners(runtime) == "<RevocationRelay 0 listeners>"
    assert verifier(runtime, TOKENS) is not gone
    assert listeners(runtime) == "<RevocationRelay 0 listeners>"
    # An exchange that began with it asks anew, and gets what is true by then.
    ended.end_session("s", NOW + 100)
    refused = gone.verify(token, NOW)
    assert isinstance(refused, Fault)
    assert refused.kind is Kind.TOKEN_REVOKED


async def test_fresh_declarations_do_not_pile_up() -> None:
    runtime = Runtime(revocations=Revocations())
    for number in range(20):
        compiled(runtime, route(allow=signed_in, auth=Methods.of(Jwt(SECRET, leeway=number))))
    assert listeners(runtime) == "<RevocationRelay 1 listeners>"


def test_keys_of_one_name_may_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    def keys(secret: str) -> Jwt:
        monkeypatch.setenv("KEYS", f'{{"kty": "oct", "alg": "HS256", "k": "{secret * 43}"}}')
        return Jwt(keys=Keys.env("KEYS"))

    runtime = Runtime()
    first = keys("A")
    compiled(runtime, route(allow=signed_in, auth=Methods.of(first)))
    assert verifier(runtime, keys("A")) is verifier(runtime, first)
    other = keys("E")
    assert other == first
    assert verifier(runtime, other) is not verifier(runtime, first)


async def test_an_issuer_answers_those_who_wait_before_it_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = source(monkeypatch)
    runtime = Runtime(now=lambda: NOW)
    outside = Issuer("https://idp.example", audience="shop")
    compiled(runtime, route(allow=signed_in, auth=Methods.of(outside)))
    live = verifier(runtime, outside)
    assert isinstance(live, IssuerVerifier)
    flight = live._keys.fetch()  # pyright: ignore[reportPrivateUsage] - as a token with an unknown key does
    compiled(runtime, route(allow=signed_in, auth=Methods.of(replace(outside))))
    assert verifier(runtime, outside) is live
    compiled(runtime, route())
    await turns()
    assert (flight.done(), keys.closed) == (False, False)
    keys.free.set()
    await turns()
    assert (flight.cancelled(), keys.closed) == (False, True)
    await runtime.aclose()


async def test_a_running_introspection_finishes_at_its_own_service(monkeypatch: pytest.MonkeyPatch) -> None:
    free = asyncio.Event()

    async def introspect(keys: ApiKeyVerifier, key: bytes) -> object:
        await free.wait()
        raise AssertionError("nobody asks again")

    monkeypatch.setattr(ApiKeyVerifier, "_introspect", introspect)
    runtime = Runtime(now=lambda: NOW)
    keys = ApiKeys(A)
    other = Upstream("other", ["http://o"])
    compiled(runtime, route(other, allow=signed_in, auth=Methods.of(keys)))
    assert upstreams(runtime) == ["other", "svc"]
    asked_of = runtime.reconcile().upstream(A)
    live = verifier(runtime, keys)
    compiled(runtime, route(other, allow=signed_in, auth=Methods.of(replace(keys))))
    assert verifier(runtime, keys) is live
    assert runtime.reconcile().upstream(A) is asked_of  # nobody but the keys has declared it
    asked = live.verify(b"key", NOW, b"")
    compiled(runtime, route(other))
    await turns()
    assert not asked.done()
    # It is given up with the runtime, however long the service takes.
    await runtime.aclose()
    assert asked.cancelled()


def test_a_service_of_keys_is_that_of_the_routes_by_the_same_name() -> None:
    keys = ApiKeys(replace(A, targets=["http://b"]))
    with pytest.raises(DeclarationError, match="auth: two different upstreams are named 'svc'; rename one"):
        compiled(Runtime(keys), route(allow=signed_in))
