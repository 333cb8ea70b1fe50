"""Callers whom a function of the user's knows: what it gets, and what becomes of whatever it does."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from limen import DeclarationError, Principal, Upstream, anyone, role, signed_in
from limen.auth import ApiKeys, Jwt, Methods, Revocations, TokenDecoder
from limen.auth.decoder_live import DecoderVerifier
from limen.errors import Fault, Kind
from limen.runtime.compile import compile_config
from limen.runtime.matrix import Ruled, matrix
from limen.runtime.route import Route
from limen.runtime.state import Runtime
from limen.testing import make_request
from tokens import NOW, SECRET

SERVICE = Upstream("svc", ["http://a"])
KNOWN: dict[str, object] = {"id": 7, "user_type": "admin", "exp": NOW + 60}


class TokenExpired(Exception):
    """As many libraries call it."""


class VeryLate(TokenExpired):
    """A base says what it is."""


def deciding(result: object) -> DecoderVerifier:
    """Return a verifier whose function returns ``result``, or raises it."""

    def decode(authorization: str | None) -> Any:
        if isinstance(result, Exception):
            raise result
        return result

    return DecoderVerifier(TokenDecoder(decode))


def request(*values: str) -> Any:
    return make_request(headers=[("authorization", value) for value in values])


def test_the_function_gets_the_header_as_it_came_and_each_time() -> None:
    got: list[str | None] = []

    def decode(authorization: str | None) -> Mapping[str, object]:
        got.append(authorization)
        return KNOWN

    verifier = DecoderVerifier(TokenDecoder(decode))
    for given in ((), ("Basic a  b",), ("bare",), ("bare",)):
        assert isinstance(verifier.identify(request(*given), NOW), Principal)
    assert got == [None, "Basic a  b", "bare", "bare"]
    refused = verifier.identify(request("a", "b"), NOW)
    assert isinstance(refused, Fault)
    assert (refused.kind, len(got)) == (Kind.TOKEN_CORRUPTED, 4)


@pytest.mark.parametrize(
    ("payload", "caller"),
    [
        ({"id": 7, "user_type": "admin"}, Principal("7", frozenset({"admin"}))),
        ({"id": "x y", "user_type": ["a", "b"]}, Principal("x y", frozenset({"a", "b"}))),
        ({"id": 7}, Principal("7")),
        ({"id": 7, "user_type": 3, "scope": "a b"}, Principal("7", scopes=frozenset({"a", "b"}))),
        ({"id": 7, "user_type": "a\r\nb"}, Principal("7")),
    ],
)
def test_who_it_is(payload: dict[str, object], caller: Principal) -> None:
    found = deciding(payload).identify(request("t"), NOW)
    assert isinstance(found, Principal)
    assert (found.id, found.roles, found.scopes, found.claims) == (caller.id, caller.roles, caller.scopes, payload)


def test_the_claims_may_have_other_names() -> None:
    config = TokenDecoder(lambda _: {"sub": "me", "groups": ["x"]}, id_claim="sub", role_claim="groups")
    found = DecoderVerifier(config).identify(request(), NOW)
    assert found == Principal("me", frozenset({"x"}), claims={"sub": "me", "groups": ["x"]})


async def coroutine() -> dict[str, object]:
    return KNOWN


@pytest.mark.parametrize(
    ("result", "kind", "cause"),
    [
        (ValueError("a secret"), Kind.TOKEN_CORRUPTED, "the decoder raised ValueError"),
        (TokenExpired("a secret"), Kind.TOKEN_EXPIRED, "the decoder raised TokenExpired"),
        (VeryLate("a secret"), Kind.TOKEN_EXPIRED, "the decoder raised VeryLate"),
        (None, Kind.TOKEN_CORRUPTED, "the decoder returned no mapping"),
        ("a secret", Kind.TOKEN_CORRUPTED, "the decoder returned no mapping"),
        ({}, Kind.TOKEN_CORRUPTED, "what the decoder returned has no id"),
        ({"id": True}, Kind.TOKEN_CORRUPTED, "what the decoder returned has no id"),
        ({"id": " 7"}, Kind.TOKEN_CORRUPTED, "what the decoder returned has no id"),
        ({"id": "7\r\nrequest-user-id: 1"}, Kind.TOKEN_CORRUPTED, "what the decoder returned has no id"),
    ],
)
def test_what_admits_nobody(result: object, kind: Kind, cause: str) -> None:
    found = deciding(result).identify(request("Bearer a.secret.token"), NOW)
    assert isinstance(found, Fault)
    assert (found.kind, found.cause) == (kind, cause)
    assert found.headers == ((b"www-authenticate", b'Bearer error="invalid_token"'),)
    assert "secret" not in repr(found)


def test_a_coroutine_in_disguise_admits_nobody() -> None:
    found = deciding(coroutine()).identify(request("t"), NOW)
    assert isinstance(found, Fault)
    assert found.cause == "the decoder returned no mapping"


def test_without_a_header_it_is_the_token_that_is_missing() -> None:
    found = deciding(TokenExpired()).identify(request(), NOW)
    assert isinstance(found, Fault)
    assert (found.kind, found.headers) == (Kind.TOKEN_MISSING, ((b"www-authenticate", b"Bearer"),))


def test_what_was_ended_early_is_refused() -> None:
    ended = Revocations()
    verifier = DecoderVerifier(TokenDecoder(lambda _: {"id": 7, "sid": "s", "exp": NOW + 60}), ended)
    assert isinstance(verifier.identify(request("t"), NOW), Principal)
    ended.end_session("s", NOW + 100)
    refused = verifier.identify(request("t"), NOW)
    assert isinstance(refused, Fault)
    assert refused.kind is Kind.TOKEN_REVOKED


async def asynchronous(authorization: str | None) -> Mapping[str, object]:
    return KNOWN


class Asynchronous:
    """A function by another name."""

    async def __call__(self, authorization: str | None) -> Mapping[str, object]:
        return KNOWN


def of_nothing() -> Mapping[str, object]:
    return KNOWN


@pytest.mark.parametrize(
    ("decode", "message"),
    [
        (asynchronous, "asynchronous is async, and nothing may wait here; make it def"),
        (Asynchronous(), "Asynchronous is async"),
        (of_nothing, "of_nothing must take one argument, the Authorization header or None"),
        ("auth.decode", "'auth.decode' is no function"),
    ],
)
def test_what_cannot_be_called_is_refused(decode: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        TokenDecoder(decode)


def known(authorization: str | None) -> Mapping[str, object]:
    return KNOWN


def route(path: str, **options: Any) -> Route:
    defaults: dict[str, Any] = {"methods": ("GET",), "path": path, "upstream": SERVICE, "allow": signed_in}
    return Route(**(defaults | options))


def compiled(runtime: Runtime, *routes: Route) -> Callable[[bytes], Any]:
    table = compile_config(routes, runtime=runtime, identity={}).table
    return lambda path: table.match(b"GET", path)


def test_it_reads_the_header_alone_and_keys_may_stand_beside_it() -> None:
    decoder = TokenDecoder(known)
    with pytest.raises(DeclarationError, match="no other method of tokens can stand beside it; leave one of them out"):
        compiled(Runtime(decoder | Jwt(SECRET)), route("/a"))
    with pytest.raises(DeclarationError, match="no other method of tokens can stand beside it"):
        compiled(Runtime(decoder | TokenDecoder(lambda _: KNOWN)), route("/a"))
    plan = compiled(Runtime(decoder | ApiKeys(SERVICE)), route("/a"))(b"/a").plan
    assert {b"authorization", b"x-api-key"} <= plan.withheld_headers
    assert isinstance(plan.access_control.identify(request("t"), NOW), Principal)
    both = make_request(headers=[("authorization", "t"), ("x-api-key", "k")])
    assert plan.access_control.identify(both, NOW).kind is Kind.TOKEN_CORRUPTED


async def test_it_comes_and_goes_with_its_routes() -> None:
    runtime = Runtime(Jwt(SECRET), revocations=Revocations())
    own = route("/a", auth=Methods.of(TokenDecoder(known)))
    assert isinstance(compiled(runtime, own)(b"/a").plan.access_control.identify(request("t"), NOW), Principal)
    refused = compiled(runtime, route("/a"))(b"/a").plan.access_control.identify(request("t"), NOW)
    assert refused.kind is Kind.TOKEN_CORRUPTED
    compiled(runtime, own)
    await runtime.aclose()


def test_the_matrix_knows_it_as_a_token() -> None:
    found = matrix(
        [Ruled.of(route("/a", allow=role("admin"))), Ruled.of(route("/b", allow=anyone))],
        Methods.of(TokenDecoder(known)),
    )
    assert found.rows[0].auth == "TokenDecoder"
    assert dict(zip([one.name for one in found.callers], found.rows[0].verdicts, strict=True)) == {
        "anonymous": "401",
        "signed in": "403",
        "role admin": "allowed",
    }
