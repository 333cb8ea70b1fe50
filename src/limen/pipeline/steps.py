"""The decisions of single steps, as functions: head in, lines or a fault out. ``limen.pipeline.exchange`` has their order."""

import re
from collections.abc import Awaitable, Callable
from typing import Final

from limen.auth.identify import IdentifyResult
from limen.client.trust import Origin, Trust
from limen.contract.answer_head import described
from limen.contract.edited_answer import AnswerHook
from limen.contract.request_check import BodyFraming, check_parameters, read_framing
from limen.errors import Fault, Kind
from limen.exchange.outcome import Outcome
from limen.exchange.principal import Principal
from limen.exchange.request import Request
from limen.http.headers import (
    CODING_AND_RANGE_FIELDS,
    REPEATABLE_FIELDS,
    Head,
    Headers,
    block,
    entity_tags,
    to_client,
    to_upstream,
    weakened,
)
from limen.http.max_forwards import decremented
from limen.http.via import line, loops
from limen.routing.table import Match, Table
from limen.runtime.plan import AccessControl, Plan

VIA = line()
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._\-]{1,128}")

# Bytes of a streamed body that are held while it has no connection; with so many it no longer has to wait for its end.
MOST_HELD: Final = 65536

# Among the extensions of an ASGI scope: the target ended with a question mark. A query string alone cannot tell.
EMPTY_QUERY = "limen.empty_query"

# What speaks of a body as the client wrote it (RFC 9110 section 8, RFC 9530).
_OF_THE_BODY: Final = frozenset((b"content-md5", b"content-digest", b"repr-digest", b"digest"))


# What says that a body follows.
_OF_CONTENT: Final = frozenset((b"content-length", b"transfer-encoding"))


def preflight(table: Table[Plan], request: Request) -> Plan | None:
    """1. Return the plan of the method that a CORS preflight asks about; None for any other request."""
    if request.method != b"OPTIONS" or not request.head.all(b"origin"):
        return None
    asked = request.head.all(b"access-control-request-method")
    found = table.match(asked[0], request.path) if len(asked) == 1 else None
    return found.plan if isinstance(found, Match) else None


def admit(
    access: AccessControl | None, request: Request, outcome: Outcome, now: float
) -> bytes | Fault | Awaitable[bytes | Fault]:
    """3. Identify the caller and ask the rule; return the lines that tell the service who it is. A Fault refuses.

    Who is calling is noted in ``request`` and ``outcome``, also where the rule refuses. Only where somebody else has to be
    asked about the credential is the result one to wait for.
    """
    head = request.head
    if (passed := head.all(b"via")) and loops(passed):
        return Fault(Kind.LOOP)
    if access is None:
        return b""
    principal = access.identify(request, now)
    if isinstance(principal, Principal):
        return _permit(access, principal, request, outcome, now)
    return principal if isinstance(principal, Fault) else _later(access, principal, request, outcome, now)


def _permit(
    access: AccessControl, principal: Principal, request: Request, outcome: Outcome, now: float
) -> bytes | Fault:
    outcome.caller = principal.id
    request.principal = principal
    if not access.rule.check(principal, request.params):
        return Fault(Kind.FORBIDDEN, headers=((b"www-authenticate", access.rule.challenge),))
    return access.identity_lines(principal, outcome.request_id, now)


async def _later(
    access: AccessControl, asked: Awaitable[IdentifyResult], request: Request, outcome: Outcome, now: float
) -> bytes | Fault:
    principal = await asked
    return principal if isinstance(principal, Fault) else _permit(access, principal, request, outcome, now)


def identity_lines(plan: Plan, principal: Principal | None, request_id: str, now: float) -> bytes | Fault:
    """3. Return the lines that tell the service of ``plan``, which takes the place of another one, who is calling."""
    access = plan.access_control
    return b"" if access is None or principal is None else access.identity_lines(principal, request_id, now)


def fits(plan: Plan, request: Request) -> BodyFraming | Fault:
    """5. Check what the head says against the contract; return what it says of the body. A Fault refuses."""
    contract = plan.route.contract
    fault = check_parameters(contract, request.params, request.query or b"", request.head, plan.withheld_headers)
    return read_framing(request.head, contract, plan.route.max_body) if fault is None else fault


def build_upstream_head(
    plan: Plan, match: Match[Plan], method: bytes, query: bytes | None, head: Head
) -> tuple[bytes, Headers]:
    """7. Return the target and what the service gets of the client's header lines; ``gateway_lines`` makes the others.

    ``query`` None is a target without a question mark: it reaches the service as it came (RFC 9110 section 7.7).
    """
    path = plan.rewrite.fill(match.raw) if plan.rewrite is not None else match.path
    lines = to_upstream(head.lines, strip=plan.withheld_headers)
    body = plan.route.contract.body
    if body is not None:
        # It was read as UTF-8, without a coding: nobody is told otherwise.
        lines = [
            (
                name,
                value.partition(b";")[0].strip() if name == b"content-type" and not body.keeps_parameters else value,
            )
            for name, value in lines
            if name != b"content-encoding" and (value or name != b"content-type")
        ]
        if body.untyped and not head.none(_OF_CONTENT) and not any(name == b"content-type" for name, _ in lines):
            lines.append((b"content-type", b"application/json"))  # as it was read
    if plan.answer_hooks:
        # An answer that has to be read must not come compressed; the client gets it plain, which it always accepts.
        lines = [line for line in lines if line[0] not in CODING_AND_RANGE_FIELDS]
        lines.append((b"accept-encoding", b"identity"))
    if method == b"OPTIONS":
        lines = decremented(lines)
    return (path if query is None else path + b"?" + query), lines


def without_digests(lines: Headers) -> Headers:
    """Return ``lines`` without what the client says of the bytes of a body that were changed."""
    return [line for line in lines if line[0] not in _OF_THE_BODY]


def with_more(lines: Headers, more: Headers) -> Headers:
    """Return the head of an answer with ``more``: a field that may repeat is added, any other replaces the service's."""
    replaced = {name for name, _ in more} - REPEATABLE_FIELDS
    return [*(line for line in lines if line[0] not in replaced), *more]


def gateway_lines(origin: bytes, request_id: str, identity: bytes) -> bytes:
    """Return the lines that the gateway adds for the service: where the request comes from, its id, who is calling.

    As bytes and not as a list: all but the id is the same for many requests, which saves 2 us for each.
    """
    return b"%bx-request-id: %b\r\n%b" % (origin, request_id.encode(), identity)


def must_buffer_body(plan: Plan, seen: int) -> bool:
    """8. Tell whether a streamed body, of which ``seen`` bytes have come and not all, must do without a connection for now.

    While connections are plenty it streams from its first byte, and the service may answer as it comes. When they are
    scarce, clients that send little and slowly must not take them from all others.
    """
    return seen < MOST_HELD and plan.upstream.scarce()


def must_buffer_answer(plan: Plan, method: bytes, status: int) -> AnswerHook | None:
    """11. Return what an answer of that ``status`` has to go through; None for one that passes as it comes."""
    if not plan.answer_hooks or method == b"HEAD" or status == 204:
        return None
    return plan.answer_hooks.get(status)


def client_head(plan: Plan, status: int, headers: Headers, request: Request) -> Headers:
    """Return the head for the client of an answer to ``request`` that passes as it is."""
    lines = to_client(headers, bodyless=status in (204, 304))
    if plan.answer_hooks and status in plan.answer_hooks:
        # HEAD: what GET would answer is not known without its content.
        made = plan.route.after is not None and status == plan.route.status
        lines = described(lines, "replaced" if made else "rewritten")
    elif plan.answer_hooks and status == 304:
        # As the tag of the answer is that it speaks of. Whether that was weakened is known by the client, which has it.
        lines = weakened(lines, entity_tags(request.head.all(b"if-none-match")))
    lines.append((b"x-request-id", request.request_id.encode()))
    return lines


def request_id(head: Head, fresh: Callable[[], str]) -> str:
    """Keep a client's request id if it is one harmless token; else use a ``fresh`` one."""
    given = head.all(b"x-request-id")
    if len(given) == 1 and _REQUEST_ID.fullmatch(given[0]):
        return given[0].decode()
    return fresh()


def origin(trust: Trust, head: Head, *, peer: bytes, trusted: bool, scheme: bytes) -> Origin:
    """Say where a request comes from, and through whom; ``trusted`` is what ``trust`` says of ``peer``."""
    hosts = head.all(b"host")
    host = hosts[0] if len(hosts) == 1 else b""
    return trust.origin(head.lines, peer=peer, trusted=trusted, scheme=scheme, host=host)


def origin_lines(found: Origin, root: bytes) -> bytes:
    """Return the lines that tell a service where a request comes from, as they stand in a head.

    ``root`` is the prefix under which clients reach the gateway: the service may need it for its own links.
    """
    prefix: Headers = [(b"x-forwarded-prefix", root)] if root else []
    return block([VIA, *found.lines, *prefix])
