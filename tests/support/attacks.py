"""Attacks on the identity of callers: the gateways that are attacked, tokens made for it, and the step that every attack
must end with. The list of attacks is the test's.
"""

import json
import re
from dataclasses import dataclass
from time import time
from typing import Any

from joserfc.jwk import ECKey, RSAKey

from conformance import Case, Says, get
from conformance_answer import Answer
from conformance_stage import Stage
from limen import Gateway, Upstream, role, scope, signed_in
from limen.auth import Jwt
from limen.declare.keys import Keys
from limen.errors import Kind
from serving import until
from tokens import SECRET, sign, sign_with

ISSUER, AUDIENCE = "https://gate.example", "shop"
SOON = int(time()) + 3600
RSA = RSAKey.generate_key(2048, {"kid": "rsa-key", "alg": "RS256"})
EC = ECKey.generate_key("P-256", {"kid": "ec-key", "alg": "ES256"})

# What no answer and no log may show: what claims hold, and traces of our own code.
NEVER = (b"mallory", b"intruder", b"Traceback", b"joserfc", b".py", SECRET)
HEADERS = {b"connection", b"content-length", b"content-type", b"date", b"www-authenticate", b"x-request-id"}


def claims(**changes: Any) -> dict[str, Any]:
    """Return claims that both gateways accept; a change to None leaves the claim out."""
    found: dict[str, Any] = {"sub": "mallory-7", "roles": ["intruder"], "iss": ISSUER, "aud": AUDIENCE, "exp": SOON}
    found |= changes
    return {name: value for name, value in found.items() if value is not None}


def secret(header: dict[str, Any] | None = None, **changes: Any) -> bytes:
    """Return a token as the gateway with a secret takes them, but for the changes."""
    return sign({"alg": "HS256", "typ": "JWT"} | (header or {}), claims(**changes))


def keyed(key: RSAKey | ECKey, header: dict[str, Any] | None = None, **changes: Any) -> bytes:
    """Return a token as the gateway with a key set takes them, but for the changes."""
    alg, kid = ("RS256", "rsa-key") if isinstance(key, RSAKey) else ("ES256", "ec-key")
    return sign_with(key, {"alg": alg, "kid": kid} | (header or {}), claims(**changes))


def with_a_secret() -> Jwt:
    """Return the method of the one gateway."""
    return Jwt(SECRET, issuer=ISSUER, audience=AUDIENCE, id_claim="sub", role_claim="roles")


def with_keys() -> Jwt:
    """Return the method of the other one: two public keys."""
    keys = Keys.of(json.dumps({"keys": [key.as_dict(private=False) for key in (RSA, EC)]}))
    return Jwt(keys=keys, issuer=ISSUER, audience=AUDIENCE, id_claim="sub", role_claim="roles")


def build(url: str, auth: Jwt) -> Gateway:
    """Return a gateway in front of ``url`` whose callers prove who they are by ``auth``."""
    app = Gateway(auth=auth)
    service = Upstream("svc", [url])
    app.forward("/mine", upstream=service, allow=signed_in)
    app.forward("/admin", upstream=service, allow=role("admin"))
    app.forward("/orders", upstream=service, allow=scope("orders:write", "orders:read") | role("admin"))

    @app.get("/local/ping")
    def ping() -> str:
        return "pong"

    del ping
    return app


@dataclass(frozen=True)
class Denied:
    """The client gets a refusal that says what the table of faults says, and nothing of what was ``sent``.

    The log comes to have one line about it, and no other.
    """

    kind: Kind
    challenge: bytes
    sent: bytes = b""

    async def play(self, stage: Stage) -> None:
        client = await stage.client()
        got = await client.answer()
        assert got.status == self.kind.status, got
        problem = got.problem()
        assert (problem["code"], problem["detail"]) == (self.kind.code, self.kind.value.detail), got
        assert got.header(b"www-authenticate") == [self.challenge], got
        assert {line.partition(b":")[0] for line in got.lines} <= HEADERS, got
        assert not got.header(b"connection"), "the connection is kept"
        self._silent(b"\n".join((*got.lines, got.body)), got)
        await until(lambda: bool(stage.log.access()))
        (line,) = stage.log.lines
        assert f" code={self.kind.code}" in line
        self._silent(line.encode(), got)

    def _silent(self, text: bytes, got: Answer) -> None:
        for told in (*NEVER, *secrets_of(self.sent)):
            assert told not in text, (told, got)


def secrets_of(sent: bytes) -> list[bytes]:
    """Return the parts of what was sent that are long enough to be told from an answer's own words."""
    return re.findall(rb"[A-Za-z0-9_\-+/=]{12,}|[\x80-\xff]{2,}", sent.replace(b"uthorization", b""))


def denied(*lines: bytes, kind: Kind = Kind.TOKEN_CORRUPTED, target: bytes = b"/mine") -> Case:
    """Return a case of a request with ``lines`` that is refused for what it says, or does not say, of its caller."""
    challenge = b"Bearer" if kind is Kind.TOKEN_MISSING else b'Bearer error="invalid_token"'
    return (Says(get(target, *lines)), Denied(kind, challenge, b" ".join((target, *lines))))


def bearer(token: bytes) -> bytes:
    """Return the header line that brings ``token``."""
    return b"Authorization: Bearer " + token
