"""The life of a request, as decisions without I/O. Both engines call these in this order:

1. ``route``      refuses ambiguous paths, finds the plan
2. ``admit``      who is calling, and may they
3. ``fits``       parameters against the contract (after 2: an anonymous caller cannot probe schemas)
4. ``announced``  what the head says of the body
5. ``declared``   a declared body against the contract
6. ``craft``      the head for the service
7. ``again``      whether a failed attempt may be repeated
8. ``holds``      whether the answer is read (``readable``, ``replaced``) or passes as it is (``answered``)
9. ``settle``     exactly once: the access log
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

from limen.declare.contract import Body, Where
from limen.declare.principal import Principal
from limen.errors import Fault, Kind
from limen.http.headers import OF_THE_ORIGINAL, VIA, Head, Headers, is_json, to_client, to_upstream, values
from limen.http.replies import Reply
from limen.observe import access
from limen.observe.outcome import Outcome
from limen.runtime.path import check_path
from limen.runtime.plan import Plan
from limen.runtime.table import Match, Redirect, Table, Wrong

_UNSAFE_QUERY = re.compile(rb"[^\x21-\x7e]|#")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._\-]{1,128}")

# RFC 9110 section 9.2.2.
IDEMPOTENT = frozenset((b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"TRACE"))
ATTEMPTS = 2


def route(
    table: Table[Plan], method: bytes, path: bytes, query: bytes
) -> Match[Plan] | Redirect | Wrong | Fault | None:
    """1. Find the plan on raw bytes; None means that the table knows nothing of this path."""
    if query and _UNSAFE_QUERY.search(query):
        return check_path(path) or Fault(Kind.BAD_PATH, "The query holds bytes that must be percent-encoded.")
    if (exact := table.exact(method, path)) is not None:
        return exact  # a literal of ours is no path to be wary of
    if (fault := check_path(path)) is not None:
        return fault
    return table.match(method, path)


def admit(plan: Plan, head: Head, params: Mapping[str, str], now: float) -> tuple[Principal, Headers] | Fault | None:
    """2. Identify the caller and ask the rule. None on a public route; a Fault refuses."""
    entry = plan.entry
    if entry is None:
        return None
    principal = entry.identify(head.all(b"authorization"), now)
    if isinstance(principal, Fault):
        return principal
    if not entry.rule.check(principal, params):
        return Fault(Kind.FORBIDDEN, headers=((b"www-authenticate", b'Bearer error="insufficient_scope"'),))
    identity = entry.identity(principal)
    return identity if isinstance(identity, Fault) else (principal, identity)


def fits(plan: Plan, params: Mapping[str, str], query: bytes, head: Head) -> Fault | None:
    """3. Check declared parameters; None when all fit."""
    contract = plan.route.contract
    if not contract.params:
        return None
    given: dict[Where, Mapping[str, Sequence[str]]] = {
        "path": {name: (value,) for name, value in params.items()},
        "query": _multi(parse_qsl(query.decode("latin-1"), keep_blank_values=True)) if plan.query else {},
        "header": _multi((n.decode("latin-1"), v.decode("latin-1")) for n, v in head.lines) if plan.header else {},
        "cookie": _cookies(head) if plan.cookie else {},
    }
    errors = contract.check(given)
    return Fault(Kind.INVALID_REQUEST, errors=errors) if errors else None


@dataclass(frozen=True, slots=True)
class Announced:
    """What a head says of the body: its ``length`` if known, and whether there is one at all."""

    length: int | None
    framed: bool


def announced(plan: Plan, head: Head) -> Announced | Fault:
    """4. Read what the head says of the body; a Fault for too much, and for an expectation that is not ours."""
    if any(value.lower() != b"100-continue" for value in head.all(b"expect")):
        return Fault(Kind.EXPECTATION_FAILED)
    given = head.all(b"content-length")
    length = int(given[0]) if given and given[0].isdigit() else None
    limit = plan.route.max_body
    if limit is not None and length is not None and length > limit:
        return too_large(plan)
    return Announced(length, framed=bool(length) or bool(head.all(b"transfer-encoding")))


def too_large(plan: Plan) -> Fault:
    """Return the fault of a body that passes the bound of its route."""
    return Fault(Kind.BODY_TOO_LARGE, f"The request body may have {plan.route.max_body} bytes on this route.")


def declared(body: Body, content: bytes, head: Head) -> bytes | Fault | None:
    """5. Check a declared body; return the content that the service gets. None when there is none, and need not be."""
    if not content and not body.required:
        return None
    kinds = head.all(b"content-type")
    if content and not (len(kinds) == 1 and is_json(kinds[0])):
        return Fault(Kind.MEDIA_TYPE)
    read = body.read(content)
    return read if isinstance(read, bytes) else Fault(Kind.INVALID_REQUEST, errors=read)


def craft(plan: Plan, match: Match[Plan], query: bytes, head: Head, own: Headers) -> tuple[bytes, Headers]:
    """6. Return the target and the header lines for the service. ``own`` is what the gateway adds."""
    path = plan.rewrite.fill(match.raw) if plan.rewrite is not None else match.path
    lines = to_upstream(head.lines, strip=plan.strip, own=own)
    if plan.finish is not None:
        # An answer that has to be read must not come compressed; the client gets it plain, which it always accepts.
        lines = [line for line in lines if line[0] not in (b"accept-encoding", b"range", b"if-range")]
        lines.append((b"accept-encoding", b"identity"))
    return (path + b"?" + query if query else path), lines


def again(fault: Fault, *, sent: bool, reused: bool, method: bytes, replayable: bool, attempts: int) -> bool:
    """7. Tell whether another attempt is safe.

    What was never sent may be tried again; what died on a reused connection before any answer may be tried once more if
    it is idempotent and its whole body is still at hand. Nothing else. ``reused`` says just that: reused, no answer yet.
    """
    if attempts >= ATTEMPTS or not replayable:
        return False
    if fault.kind.retry == "unsent" or (fault.kind.retry == "reused" and not sent):
        return True
    return fault.kind.retry == "reused" and reused and method in IDEMPOTENT


def holds(method: bytes, status: int) -> bool:
    """8. Tell whether an answer of a route with ``finish`` has content to be read, and not just passed on."""
    return 200 <= status < 300 and status != 204 and method != b"HEAD"


def answered(plan: Plan, status: int, headers: Headers, request_id: str) -> Headers:
    """Return the head for the client of an answer that passes as it is."""
    lines = to_client(headers, bodyless=status in (204, 304))
    if plan.finish is not None and 200 <= status < 300:
        # HEAD: what GET would answer is not known without its content.
        lines = [line for line in lines if line[0] not in OF_THE_ORIGINAL]
    lines.append((b"x-request-id", request_id.encode()))
    return lines


def readable(headers: Headers) -> Fault | None:
    """Refuse content that was encoded although ``craft`` asked for it plain."""
    if values(headers, b"content-encoding"):
        return Fault(Kind.UPSTREAM_CONTRACT, cause="the answer is encoded although identity was asked for")
    return None


def replaced(status: int, headers: Headers, content: bytes, request_id: str) -> Reply:
    """Return the answer whose content ``finish`` has made."""
    lines = [line for line in to_client(headers, bodyless=False) if line[0] not in OF_THE_ORIGINAL]
    lines += [
        (b"x-request-id", request_id.encode()),
        (b"content-type", b"application/json"),
        (b"content-length", str(len(content)).encode()),
    ]
    return Reply(status, lines, content)


def settle(outcome: Outcome) -> None:
    """9. Record what happened."""
    access.write(outcome)


def request_id(head: Head, fresh: Callable[[], str]) -> str:
    """Keep a client's request id if it is one harmless token; else use a ``fresh`` one."""
    given = head.all(b"x-request-id")
    if len(given) == 1 and _REQUEST_ID.fullmatch(given[0]):
        return given[0].decode()
    return fresh()


def own(
    head: Head, *, peer: bytes, scheme: bytes, request_id: str, principal: tuple[Principal, Headers] | None
) -> Headers:
    """Return the lines that the gateway adds for the service: where the request comes from, and who is calling."""
    host = head.all(b"host")
    lines = forwarding(host=host[0] if len(host) == 1 else b"", peer=peer, scheme=scheme, request_id=request_id)
    return lines if principal is None else lines + principal[1]


def forwarding(*, host: bytes, peer: bytes, scheme: bytes, request_id: str) -> Headers:
    """Say where the request came from. No peer is trusted: nothing of what a client claimed is kept."""
    lines = [(b"via", VIA), (b"x-forwarded-proto", scheme), (b"x-request-id", request_id.encode())]
    if peer:
        lines.append((b"x-forwarded-for", peer))
    if host:
        lines.append((b"x-forwarded-host", host))
    return lines


def _multi(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def _cookies(head: Head) -> dict[str, list[str]]:
    pairs = (
        pair.partition("=")
        for value in head.all(b"cookie")
        for pair in value.decode("latin-1").split(";")
        if "=" in pair
    )
    return _multi((name.strip(), value.strip()) for name, _, value in pairs)
