"""The life of a request, as decisions without I/O. Both engines call these in this order:

1. ``route``      refuses ambiguous paths, finds the plan
2. ``admit``      who is calling, and may they
3. ``fits``       parameters against the contract (after 2: an anonymous caller cannot probe schemas)
4. ``announced``  what the head says of the body
5. ``declared``   a declared body against the contract
6. ``build_upstream_head``      the head for the service
   ``must_buffer_body``      whether a body that streams may have a connection yet
7. ``may_retry``      whether a failed attempt may be repeated
8. ``must_buffer_answer``      whether the answer is read (``readable``, ``replaced``) or passes as it is (``answered``)
9. ``settle``     exactly once: the access log
"""

import re
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping
from functools import partial
from typing import Final

from limen.auth.identify import Identified
from limen.client.trust import Trust
from limen.contract.contract import Body
from limen.contract.forms import Form
from limen.contract.made import Hook, How, Made
from limen.contract.misfits import MOST, Misfits, misfit
from limen.contract.parameters import Given, Where
from limen.contract.text import Text
from limen.contract.urlencoded import grouped, pairs, unclear
from limen.errors import Fault, Invalid, Kind
from limen.exchange.outcome import Outcome
from limen.exchange.principal import Principal
from limen.fairness.validations import FULL, LIGHT, NOT_DONE, MostValues, NotDone, Validations, heavy
from limen.http.headers import (
    CODING_AND_RANGE_FIELDS,
    CONTENT_FIELDS,
    REPEATABLE_FIELDS,
    REPRESENTATION_FIELDS,
    Head,
    Headers,
    block,
    is_json,
    to_client,
    to_upstream,
    values,
)
from limen.http.max_forwards import decremented, exhausted
from limen.http.replies import Reply, document
from limen.http.via import line, loops
from limen.observe import access
from limen.routing.path import check_path, readings
from limen.routing.table import Match, MethodNotAllowed, Redirect, Table
from limen.runtime.plan import Entry, Plan

_UNSAFE_QUERY = re.compile(rb"[^\x21-\x7e]|#")
VIA = line()
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._\-]{1,128}")

# RFC 9110 section 9.2.2.
IDEMPOTENT: Final = frozenset((b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"TRACE"))
ATTEMPTS: Final = 2

# Methods that are recognized whether or not a route has them: a path that has not is 405. Any other that no route has is 501
# (RFC 9110 section 9.1).
IMPLEMENTED: Final = frozenset((b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"))

# Bytes of a streamed body that are held while it has no connection; with so many it no longer has to wait for its end.
MOST_HELD: Final = 65536

# In the quotes of a cookie's value: a byte by its number, or any character.
_ESCAPED: Final = re.compile(r"\\(?:([0-3][0-7][0-7])|(.))")

# Parameters in one query, and cookies in one request, where any are declared.
MOST_FIELDS: Final = 1000

# Among the extensions of an ASGI scope: the target ended with a question mark. A query string alone cannot tell.
EMPTY_QUERY = "limen.empty_query"

# What a head says of the body that follows it.
_OF_FRAMING: Final = frozenset((b"content-length", b"expect", b"transfer-encoding"))

# What speaks of a body as the client wrote it (RFC 9110 section 8, RFC 9530).
_OF_THE_BODY: Final = frozenset((b"content-md5", b"content-digest", b"repr-digest", b"digest"))


def route(
    table: Table[Plan], method: bytes, path: bytes, query: bytes
) -> Match[Plan] | Redirect | MethodNotAllowed | Fault | None:
    """1. Find the plan on raw bytes; None means that the table knows nothing of this path."""
    if query and _UNSAFE_QUERY.search(query):
        return check_path(path) or Fault(Kind.BAD_PATH, "The query holds bytes that must be percent-encoded.")
    if (exact := table.exact(method, path)) is not None:
        return exact  # a literal of ours is no path to be wary of
    if (fault := check_path(path)) is not None:
        return fault
    found = table.match(method, path)
    if isinstance(found, MethodNotAllowed) and method not in IMPLEMENTED and method not in table.methods:
        return Fault(Kind.NOT_IMPLEMENTED)
    if isinstance(found, Match):
        for other in map(partial(table.match, method), readings(path)):
            if isinstance(other, Match) and other.plan is not found.plan:
                return Fault(Kind.BAD_PATH, "The path is ambiguous. It can be read as that of another route.")
    return found


def final(
    table: Table[Plan], found: Match[Plan] | Redirect | MethodNotAllowed | Fault, path: bytes, head: Head
) -> Match[Plan] | Redirect | MethodNotAllowed | Fault:
    """Return what was ``found`` for an OPTIONS request, unless it may not be passed on: that one is answered here."""
    if isinstance(found, Match) and exhausted(head):
        here = table.match(b"", path)  # no route has this method: all that it has are named
        return here if isinstance(here, MethodNotAllowed) else found
    return found


def admit(
    plan: Plan, head: Head, params: Mapping[str, str], outcome: Outcome, now: float, origin: bytes
) -> bytes | Fault | Awaitable[bytes | Fault]:
    """2. Identify the caller and ask the rule; return the lines that tell the service who it is. A Fault refuses.

    ``origin`` is what the function of that name says, so that what one client asks of others keeps nobody else waiting.
    Who is calling is noted in ``outcome``, also where the rule refuses.

    Only where somebody else has to be asked about the credential is the result one to wait for.
    """
    if (passed := head.all(b"via")) and loops(passed):
        return Fault(Kind.LOOP)
    entry = plan.entry
    if entry is None:
        return b""
    principal = entry.identify(head, now, origin)
    if isinstance(principal, Principal):
        return _permit(entry, principal, params, outcome, now)
    return principal if isinstance(principal, Fault) else _later(entry, principal, params, outcome, now)


def _permit(
    entry: Entry, principal: Principal, params: Mapping[str, str], outcome: Outcome, now: float
) -> bytes | Fault:
    outcome.caller = principal.id
    outcome.principal = principal
    if not entry.rule.check(principal, params):
        return Fault(Kind.FORBIDDEN, headers=((b"www-authenticate", entry.rule.challenge),))
    return entry.identity(principal, outcome.request_id, now)


async def _later(
    entry: Entry, asked: Awaitable[Identified], params: Mapping[str, str], outcome: Outcome, now: float
) -> bytes | Fault:
    principal = await asked
    return principal if isinstance(principal, Fault) else _permit(entry, principal, params, outcome, now)


def fits(plan: Plan, params: Mapping[str, str], query: bytes, head: Head) -> Fault | None:
    """3. Check declared parameters; None when all fit."""
    contract = plan.route.contract
    if not contract.params:
        return None
    if plan.query and query.count(b"&") + query.count(b";") >= MOST_FIELDS:
        return _too_many_fields("query")
    if plan.cookie and sum(value.count(b";") for value in head.all(b"cookie")) >= MOST_FIELDS:
        return _too_many_fields("cookie")
    given: dict[Where, Given] = {"path": {name: (value,) for name, value in params.items()}}
    if plan.query:
        read = list(pairs(query.decode("latin-1")))
        if strange := [one for one in unclear(read, contract.query_names, "query") if one is not None]:
            return _unfit(Misfits(tuple(strange[:MOST]), max(0, len(strange) - MOST)))
        given["query"] = grouped(read)
    if plan.header or plan.cookie:
        # As the service gets them: what a client's Connection names does not pass.
        lines = to_upstream(head.lines, strip=plan.strip)
        if plan.header:
            given["header"] = _multi((name.decode("latin-1"), value.decode("latin-1")) for name, value in lines)
        if plan.cookie:
            given["cookie"] = cookies = _cookies(lines)
            for text in cookies.get("", ()):
                if text in contract.cookie_names:  # some services take it for a name with an empty value
                    bare = misfit(
                        ("cookie", text), "Input should have a value, even an empty one, after =", "ambiguous"
                    )
                    return _unfit(Misfits((bare,)))
    misfits = contract.check(given)
    return None if misfits is None else _unfit(misfits)


class BodyFraming:
    """What a head says of the body: its ``length`` if known, and whether there is one at all.

    No dataclass: compiled, making one of those takes 3,100 instructions, and this 200.
    """

    __slots__ = ("framed", "length")

    def __init__(self, length: int | None, *, framed: bool) -> None:
        """Keep what was read."""
        self.length = length
        self.framed = framed


def announced(plan: Plan, head: Head) -> BodyFraming | Fault:
    """4. Read what the head says of the body; a Fault for too much, and for an expectation that is not ours."""
    if head.none(_OF_FRAMING):
        return BodyFraming(None, framed=False)
    if any(value.lower() != b"100-continue" for value in head.all(b"expect")):
        return Fault(Kind.EXPECTATION_FAILED)
    given = head.all(b"content-length")
    length = int(given[0]) if given and given[0].isdigit() else None
    limit = plan.route.max_body
    if limit is not None and length is not None and length > limit:
        return too_large(plan)
    framed = bool(length) or bool(head.all(b"transfer-encoding"))
    streamed = plan.route.contract.streamed
    if framed and streamed is not None:
        kinds = head.all(b"content-type")
        if len(kinds) != 1 or kinds[0].partition(b";")[0].strip().lower() != streamed.encode():
            return Fault(Kind.MEDIA_TYPE, f"This route takes {streamed}.")
    return BodyFraming(length, framed=framed)


def too_large(plan: Plan) -> Fault:
    """Return the fault of a body that passes the bound of its route."""
    return Fault(Kind.BODY_TOO_LARGE, f"The request body may have {plan.route.max_body} bytes on this route.")


def declared(
    plan: Plan, body: Body | Form | Text, validations: Validations, content: bytes, head: Head
) -> bytes | Fault | Awaitable[bytes | Fault] | None:
    """5. Check a declared body; return the content that the service gets. None when there is none, and need not be.

    Only a large one has to wait for its turn: then the result is one to wait for.
    """
    if not content and not body.required:
        return None
    if content and any(value.lower() != b"identity" for value in head.all(b"content-encoding")):
        return Fault(Kind.MEDIA_TYPE, f"This route takes {body.media_type} without a content coding.")
    kinds = head.all(b"content-type")
    if content and not (len(kinds) == 1 and body.takes(kinds[0])):
        return Fault(Kind.MEDIA_TYPE, f"This route takes {body.media_type}.")
    # Of a form, escapes are what takes time.
    if not (heavy(content) if body.json else len(content) + 8 * content.count(b"%") > LIGHT):
        read = body.read(content)
        if isinstance(read, Misfits):
            return _unfit(read)
        return read if content else None  # a form may have no fields, and then there is no content
    work: Callable[[], bytes | Fault | NotDone] = partial(_read_on, _reading(plan, body, content))
    asked: Awaitable[bytes | Fault] | None = validations.ask(len(content), work)
    return FULL if asked is None else asked


def _reading(plan: Plan, body: Body | Form | Text, content: bytes) -> Generator[None, None, bytes | Misfits]:
    most = MostValues.of(plan.route.max_body or 0)
    if body.json and most.passed(content):
        return Misfits((Invalid(("body",), f"Input may hold {most}", "too_many_values"),))
    return (yield from body.reading(content))


def _read_on(reading: Generator[None, None, bytes | Misfits]) -> bytes | Fault | NotDone:
    try:
        next(reading)
    except StopIteration as done:
        read: bytes | Misfits = done.value
        return _unfit(read) if isinstance(read, Misfits) else read
    return NOT_DONE


def _unfit(misfits: Misfits) -> Fault:
    return Fault(Kind.INVALID_REQUEST, errors=misfits.found, more=misfits.more)


def _too_many_fields(where: Where) -> Fault:
    return _unfit(Misfits((Invalid((where,), f"There may be at most {MOST_FIELDS} of these", "too_long"),)))


def build_upstream_head(
    plan: Plan, match: Match[Plan], method: bytes, query: bytes | None, head: Head
) -> tuple[bytes, Headers]:
    """6. Return the target and what the service gets of the client's header lines; ``gateway_lines`` makes the others.

    ``query`` None is a target without a question mark: it reaches the service as it came (RFC 9110 section 7.7).
    """
    path = plan.rewrite.fill(match.raw) if plan.rewrite is not None else match.path
    lines = to_upstream(head.lines, strip=plan.strip)
    body = plan.route.contract.body
    if body is not None:
        # It was read as UTF-8, without a coding: nobody is told otherwise.
        lines = [
            (
                name,
                value.partition(b";")[0].strip() if name == b"content-type" and not body.keeps_parameters else value,
            )
            for name, value in lines
            if name != b"content-encoding"
        ]
    if plan.finish:
        # An answer that has to be read must not come compressed; the client gets it plain, which it always accepts.
        lines = [line for line in lines if line[0] not in CODING_AND_RANGE_FIELDS]
        lines.append((b"accept-encoding", b"identity"))
    if method == b"OPTIONS":
        lines = decremented(lines)
    return (path if query is None else path + b"?" + query), lines


def pruned(lines: Headers, content: bytes | None, length: int) -> Headers:
    """Return ``lines`` without what the client says of a body of ``length`` bytes, if ``content`` has fewer now."""
    if content is None or len(content) == length:
        return lines
    return [line for line in lines if line[0] not in _OF_THE_BODY]


def must_buffer_body(plan: Plan, seen: int) -> bool:
    """Tell whether a streamed body, of which ``seen`` bytes have come and not all, must do without a connection for now.

    While connections are plenty it streams from its first byte, and the service may answer as it comes. When they are
    scarce, clients that send little and slowly must not take them from all others.
    """
    return seen < MOST_HELD and plan.pool.scarce()


def may_retry(fault: Fault, *, sent: bool, reused: bool, method: bytes, replayable: bool, attempts: int) -> bool:
    """7. Tell whether another attempt is safe.

    What was never sent may be tried again; what died on a reused connection before any answer may be tried once more if
    it is idempotent and its whole body is still at hand. Nothing else. ``reused`` says just that: reused, no answer yet.
    """
    if attempts >= ATTEMPTS or not replayable:
        return False
    if fault.kind.retry == "unsent" or (fault.kind.retry == "reused" and not sent):
        return True
    return fault.kind.retry == "reused" and reused and method in IDEMPOTENT


def must_buffer_answer(plan: Plan, method: bytes, status: int) -> Hook | None:
    """8. Return what an answer of that ``status`` has to go through; None for one that passes as it comes."""
    if not plan.finish or method == b"HEAD" or status == 204:
        return None
    return plan.finish.get(status)


def answered(plan: Plan, status: int, headers: Headers, request_id: str) -> Headers:
    """Return the head for the client of an answer that passes as it is."""
    lines = to_client(headers, bodyless=status in (204, 304))
    if plan.finish and status in plan.finish:
        # HEAD: what GET would answer is not known without its content.
        made = plan.route.after is not None and status == plan.route.status
        lines = described(lines, "made" if made else "rewritten")
    elif plan.finish and status == 304:
        lines = weakened(lines)  # as the answer is that it speaks of
    lines.append((b"x-request-id", request_id.encode()))
    return lines


def readable(headers: Headers) -> Fault | None:
    """Refuse content that was encoded although ``build_upstream_head`` asked for it plain."""
    if values(headers, b"content-encoding"):
        return Fault(Kind.UPSTREAM_CONTRACT, cause="the answer is encoded although identity was asked for")
    return None


def replaced(status: int, headers: Headers, made: Made, request_id: str) -> Reply:
    """Return the answer that ``finish`` has made of one with ``status`` and ``headers``."""
    status, content = made.status or status, made.content
    lines = described(to_client(headers, bodyless=False), made.how)
    own = list(made.headers)  # none of which frames it
    if made.problem is not None:
        content = document(status, made.problem, "error", request_id)
        own = [line for line in own if line[0] != b"content-type"]
        if status not in (204, 304):
            own.append((b"content-type", b"application/problem+json"))
    names = {name for name, _ in own} - REPEATABLE_FIELDS
    lines = [line for line in lines if line[0] not in names]
    lines += own
    lines.append((b"x-request-id", request_id.encode()))
    if status in (204, 304):
        return Reply(status, lines, b"")
    if content and made.how in ("rewritten", "made") and not values(lines, b"content-type"):
        kinds = values(headers, b"content-type")
        kept = made.how == "rewritten" and len(kinds) == 1 and is_json(kinds[0])
        lines.append((b"content-type", kinds[0].partition(b";")[0].strip() if kept else b"application/json"))
    lines.append((b"content-length", str(len(content)).encode()))
    return Reply(status, lines, content)


def described(lines: Headers, how: How) -> Headers:
    """Return what is still true of an answer's header ``lines`` when its content was taken in hand, and ``how``."""
    if how == "same":
        return [line for line in lines if line[0] != b"content-length"]
    if how == "alone":
        return []  # a refusal of the hook's does not hand out the service's session, nor how long that may be kept
    if how == "made":
        return [line for line in lines if line[0] not in REPRESENTATION_FIELDS]
    # The same representation in other bytes.
    return weakened([line for line in lines if line[0] not in CONTENT_FIELDS])


def weakened(lines: Headers) -> Headers:
    """Return ``lines`` with a tag that holds weakly, for bytes that were written anew (RFC 9110 section 8.8.1)."""
    return [
        (name, b"W/" + value if name == b"etag" and not value.startswith(b"W/") else value) for name, value in lines
    ]


def settle(outcome: Outcome) -> None:
    """9. Record what happened; never raises, never waits."""
    access.LOG.add(outcome)


def request_id(head: Head, fresh: Callable[[], str]) -> str:
    """Keep a client's request id if it is one harmless token; else use a ``fresh`` one."""
    given = head.all(b"x-request-id")
    if len(given) == 1 and _REQUEST_ID.fullmatch(given[0]):
        return given[0].decode()
    return fresh()


def gateway_lines(origin: bytes, request_id: str, identity: bytes) -> bytes:
    """Return the lines that the gateway adds for the service: where the request comes from, its id, who is calling.

    As bytes and not as a list: all but the id is the same for many requests, which saves 2 us for each.
    """
    return b"%bx-request-id: %b\r\n%b" % (origin, request_id.encode(), identity)


def origin(trust: Trust, head: Head, *, peer: bytes, trusted: bool, scheme: bytes) -> bytes:
    """Say where a request comes from, and through whom; ``trusted`` is what ``trust`` says of ``peer``."""
    hosts = head.all(b"host")
    host = hosts[0] if len(hosts) == 1 else b""
    found = trust.origin(head.lines, peer=peer, trusted=trusted, scheme=scheme, host=host)
    return block([VIA, *found.lines])


def _multi(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def _cookies(lines: Headers) -> dict[str, list[str]]:
    # As Starlette reads them, but for a name that comes twice: there, the last one counts. A text without ``=`` has no name.
    chunks = (
        chunk.partition("=") if "=" in chunk else ("", "", chunk)
        for name, value in lines
        if name == b"cookie"
        for chunk in value.decode("latin-1").split(";")
        if chunk.strip()
    )
    return _multi((name.strip(), _unquoted(value.strip())) for name, _, value in chunks)


def _unquoted(value: str) -> str:
    """Return a cookie's value as Python reads it, whose own reader takes the square of the time on older versions."""
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value
    return _ESCAPED.sub(_unescaped, value[1:-1])


def _unescaped(found: "re.Match[str]") -> str:
    octal: str | None = found[1]
    return chr(int(octal, 8)) if octal is not None else found[2]
