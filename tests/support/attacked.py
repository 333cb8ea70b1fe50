"""The gateway that gets the corpus of bad tokens, with a route for each verifier, and the step that ends every attack."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from attacks import Attack, verifiers
from conformance import OK, Answers, Case, Gets, Says, Sees, get
from conformance_stage import Stage
from limen import Gateway, Upstream, role, scope, signed_in
from limen.client.limits import ClientLimits
from limen.errors import Kind
from serving import until
from tokens import SECRET

# What no answer and no log may show: what claims hold, and traces of our own code.
NEVER = (b"mallory", b"intruder", b"Traceback", b"joserfc", b".py", SECRET)
HEADERS = {
    *(
        b"connection",
        b"content-length",
        b"content-type",
        b"date",
        b"proxy-status",
        b"www-authenticate",
        b"x-request-id",
    ),
}
# What a message of HTTP can bring: a field value has no controls (RFC 9110 section 5.5), and white space at its ends is
# not a part of it.
_VALUE = re.compile(rb"(?:[^\x00-\x08\x0a-\x1f\x7f]*[^\x00-\x20\x7f])?")
_HEAD_LIMIT = ClientLimits().head


def build(url: str) -> Gateway:
    """Return a gateway in front of ``url``: under the name of each verifier, callers prove by it who they are."""
    app = Gateway(auth=verifiers()["secret"])
    service = Upstream("svc", [url])
    for name, config in verifiers().items():
        app.forward(f"/{name}", upstream=service, allow=signed_in, auth=config)
    app.forward("/admin", upstream=service, allow=role("admin"))
    app.forward("/orders", upstream=service, allow=scope("orders:write", "orders:read") | role("admin"))

    @app.get("/local/ping")
    def ping() -> str:
        return "pong"

    del ping
    return app


def can_be_sent(attack: Attack) -> bool:
    """Tell whether HTTP has a way to write it; what it has none for never gets as far as a verifier."""
    size = sum(map(len, attack.authorization))
    return size < _HEAD_LIMIT - 1000 and all(map(_VALUE.fullmatch, attack.authorization))


@dataclass(frozen=True)
class Denied:
    """The client gets a refusal that says what the table of faults says, and nothing of what was ``sent``.

    The log comes to have a line about it; ``before`` is how many there are before it.
    """

    kind: Kind
    challenge: bytes
    sent: bytes = b""
    before: int = 0

    async def play(self, stage: Stage) -> None:
        client = await stage.client()
        got = await client.answer()
        assert got.status == self.kind.status, got
        problem = got.problem()
        assert (problem["code"], problem["detail"]) == (self.kind.code, self.kind.value.detail), got
        assert got.header(b"www-authenticate") == [self.challenge], got
        assert {line.partition(b":")[0] for line in got.lines} <= HEADERS, got
        assert not got.header(b"connection"), "the connection is kept"
        await until(lambda: len(stage.log.lines) > self.before)
        line = stage.log.lines[self.before]
        assert f" code={self.kind.code}" in line
        # Who was identified is named, and nobody else.
        assert (" caller=- " in line) == (self.kind is not Kind.FORBIDDEN), line
        line = re.sub(r" caller=\S+", "", line)
        text = b"\n".join((*got.lines, got.body, line.encode()))
        for told in (*NEVER, *secrets_of(self.sent)):
            assert told not in text, (told, got)


@dataclass(frozen=True, repr=False)
class Attacked:
    """The client sends attacks, one behind the other, and each is denied in its turn; a failure bears the attack's name.

    The log comes to have one line about each, and no other; ``before`` is how many it had.
    """

    attacks: tuple[Attack, ...]
    before: int

    async def play(self, stage: Stage) -> None:
        await Says(b"".join(map(_request, self.attacks))).play(stage)
        for number, attack in enumerate(self.attacks, self.before):
            # RFC 6750 section 3.1: a request without any credential is told no error.
            challenge = b"Bearer" if attack.kind is Kind.TOKEN_MISSING else b'Bearer error="invalid_token"'
            try:
                await Denied(attack.kind, challenge, _request(attack), number).play(stage)
            except AssertionError as error:
                raise AssertionError(f"the attack {attack.name!r}") from error
        assert len(stage.log.lines) == self.before + len(self.attacks), stage.log.lines

    def __repr__(self) -> str:
        """Name the attacks; their bytes would fill pages."""
        return f"<Attacked {[attack.name for attack in self.attacks]}>"


def _request(attack: Attack) -> bytes:
    lines = (*(b"Authorization: " + value for value in attack.authorization), *attack.lines)
    return get(b"/" + attack.on.encode() + attack.query, *lines)


def in_turn(attacks: Sequence[Attack], size: int = 16) -> Case:
    """Return a case of all ``attacks`` on one connection, so many at once (RFC 9112 section 9.3.2)."""
    return tuple(Attacked(tuple(attacks[at : at + size]), at) for at in range(0, len(attacks), size))


def secrets_of(sent: bytes) -> list[bytes]:
    """Return the parts of what was sent that are long enough to be told from an answer's own words."""
    return re.findall(rb"[A-Za-z0-9_\-+/=]{12,}|[\x80-\xff]{2,}", sent.replace(b"uthorization", b""))


def admitted(target: bytes, *lines: bytes) -> Case:
    """Return a case of a request that gets through with the identity of an honest token."""
    told = (b"request-user-id: mallory-7", b"request-user-role: intruder")
    return (Says(get(target, *lines)), Sees(has=told, lacks=(b"authorization",)), Answers(OK), Gets(200, b"ok"))
