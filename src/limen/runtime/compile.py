"""The composition root: declared routes and policies in, what requests run against out, or every problem at once."""

from collections.abc import Callable, Mapping, Sequence

from limen.auth.api_keys import ApiKeys
from limen.auth.api_keys_live import ApiKeyVerifier
from limen.auth.assertion_live import HEADER, Asserter
from limen.auth.identify import identify_by
from limen.auth.issuer.declared import Issuer, conflicting_issuers
from limen.auth.method import Methods
from limen.auth.session_ends import session_ender
from limen.contract.answer_hooks import answer_hooks
from limen.errors import DeclarationError, Fault, Kind
from limen.exchange.policy import RouteFacts
from limen.exchange.principal import Principal
from limen.http.headers import CODING_AND_RANGE_FIELDS, block, withheld
from limen.routing.path import Pattern
from limen.routing.rewrite import Rewrite
from limen.routing.table import Table
from limen.runtime.host import ActiveConfig
from limen.runtime.placed import GATEWAY, Placed
from limen.runtime.plan import Entry, Identity, Plan
from limen.runtime.reconcile import Reconciliation
from limen.runtime.route import Route
from limen.runtime.standing import Standing
from limen.runtime.state import Runtime
from limen.upstream.declared import Upstream

IdentityHeaders = Mapping[str, Callable[[Principal], str]]

NO_POLICIES = Placed(GATEWAY)


def compile_config(
    routes: Sequence[Route],
    *,
    runtime: Runtime,
    identity: IdentityHeaders,
    policies: Placed = NO_POLICIES,
    problems: Sequence[str] = (),
) -> ActiveConfig:
    """Compile ``routes`` against ``runtime``, and let live there what they declare, and nothing else.

    ``policies`` are the gateway's own; ``problems`` are those that the decorators have already found. Raises
    DeclarationError with all of them together; then nothing that lives has changed.
    """
    change = runtime.reconcile()
    found = list(problems)
    try:
        config = _compiled(routes, runtime, change, identity, policies, found)
    except BaseException:
        runtime.give_up(change)
        raise
    runtime.commit(change)
    return config


def _compiled(
    routes: Sequence[Route],
    runtime: Runtime,
    change: Reconciliation,
    identity: IdentityHeaders,
    policies: Placed,
    found: list[str],
) -> ActiveConfig:
    entries: list[tuple[str, Pattern, Plan]] = []
    upstreams: dict[str, Upstream] = {}
    try:
        asserter = runtime.asserter()
    except ValueError as error:
        found.append(str(error))
        asserter = None
    methods = [runtime.auth, *(route.auth for route in routes if route.auth is not None)]
    issuers = {id(one): one for several in methods for one in several if isinstance(one, Issuer)}
    found += conflicting_issuers(list(issuers.values()))
    tell = _identity(identity)
    strip = _withheld(identity, methods)
    stand = Standing(change, policies)
    hooks = stand.on_gateway()
    for route in routes:
        if upstreams.setdefault(route.upstream.name, route.upstream) != route.upstream:
            found.append(f"{route.name}: two different upstreams are named {route.upstream.name!r}; rename one")
        try:
            pattern = Pattern.parse(route.path)
            plan = _plan(route, pattern, runtime, change, stand, _asserted(tell, asserter, route.upstream.name), strip)
        except (ValueError, TypeError) as error:
            found.append(f"{route.name}: {error}")
            continue
        entries += [(method, pattern, plan) for method in route.methods]
    for several in methods:
        for one in several:
            if isinstance(one, ApiKeys) and upstreams.setdefault(one.upstream.name, one.upstream) != one.upstream:
                found.append(f"auth: two different upstreams are named {one.upstream.name!r}; rename one")
    found += stand.problems
    try:
        table = Table(entries)
    except ValueError as error:
        found.append(str(error))
    else:
        if not found:
            return ActiveConfig(table, runtime, hooks)
    raise DeclarationError(list(dict.fromkeys(found)))


def _plan(
    route: Route,
    pattern: Pattern,
    runtime: Runtime,
    change: Reconciliation,
    stand: Standing,
    tell: Identity,
    strip: frozenset[bytes],
) -> Plan:
    names = frozenset(pattern.names)
    if missing := route.allow.path_params - names:
        raise ValueError(f"allow={route.allow} needs the path parameter {{{sorted(missing)[0]}}}, which is not there")
    timeouts = route.timeouts or route.upstream.timeouts
    finish = answer_hooks(
        route.contract,
        route.after,
        route.status,
        name=route.name,
        max_answer=route.max_answer,
        validations=runtime.validations,
        seconds=timeouts.first_byte,
    )
    if (lost := _lost(route, strip, held=bool(finish))) is not None:
        raise ValueError(
            f"the header {lost!r} never reaches the service as the client sent it: the gateway drops it, or says it itself; "
            "leave it out of the signature (a name with '_' is dropped: give it with '-')"
        )
    return Plan(
        route=route,
        pool=change.pool(route.upstream),
        timeouts=timeouts,
        strip=strip,
        entry=None if route.allow.public else _entry(route, runtime, change, tell),
        rewrite=None if route.rewrite is None else Rewrite.parse(route.rewrite, names),
        finish=finish,
        session_ended=None
        if route.session_ended_header is None
        else session_ender(route.session_ended_header, runtime.revocations, runtime.auth, runtime.now),
        hooks=stand.on_route(_facts(route, names, strip, held=bool(finish)), route.policies),
    )


def _facts(route: Route, names: frozenset[str], strip: frozenset[bytes], *, held: bool) -> RouteFacts:
    contract = route.contract
    headers = {name for param in contract.params if param.location == "header" for name in param.declared_names}
    ended = route.session_ended_header
    return RouteFacts(
        route=route.name,
        params=names,
        public=route.allow.public,
        withheld=strip,
        read_headers=frozenset(name.encode("latin-1", "replace") for name in headers),
        reads_body=contract.body is not None or contract.streamed is not None,
        reads_answer=held,
        consumed=frozenset() if ended is None else frozenset((ended.lower().encode("latin-1", "replace"),)),
    )


def _lost(route: Route, strip: frozenset[bytes], *, held: bool) -> str | None:
    """Return a declared header that the service would not get: what is checked of it would be nobody's."""
    replaced: frozenset[bytes] = CODING_AND_RANGE_FIELDS if held else frozenset()
    if route.contract.body is not None:
        replaced |= {b"content-type", b"content-encoding"}
    for param in route.contract.params:
        if param.location == "header":
            for name in sorted(param.declared_names):
                line = name.encode("latin-1", "replace")
                if withheld(line, strip) or line in replaced:
                    return name
    return None


def _withheld(identity: IdentityHeaders, auth: Sequence[Methods]) -> frozenset[bytes]:
    """Name what no client may send to a service: identity, and the credentials that the gateway itself consumes."""
    names = {HEADER, *(name.lower().encode() for name in identity)}
    for method in (one for methods in auth for one in methods):
        names.add(method.header.encode() if isinstance(method, ApiKeys) else b"authorization")
    return frozenset(names)


def _entry(route: Route, runtime: Runtime, change: Reconciliation, tell: Identity) -> Entry:
    methods = runtime.auth if route.auth is None else route.auth
    if not methods:
        raise ValueError(f"allow={route.allow} needs to know the caller; give the gateway auth=Jwt(...)")
    live = [change.verifier(method) for method in methods]
    keyed = [one for one in live if isinstance(one, ApiKeyVerifier)]
    bearers = [one for one in live if not isinstance(one, ApiKeyVerifier)]
    return Entry(identify_by(bearers, keyed), route.allow, tell)


def _identity(identity: IdentityHeaders) -> Identity:
    key = object()
    makers = tuple((name.lower().encode(), make) for name, make in identity.items())

    def lines(principal: Principal, request_id: str, now: float) -> bytes | Fault:
        known: bytes | None = principal.memo.get(key)
        if known is not None:
            return known
        made: list[tuple[bytes, bytes]] = []
        for name, make in makers:
            value = make(principal)
            # A header line is what the services believe: nothing from a token may break out of it.
            if not value.isprintable():
                return Fault(Kind.TOKEN_CORRUPTED, cause=f"the value for {name.decode()} has control characters")
            # Whoever reads a header drops the blanks around its value, and " 1" would be somebody else.
            if value != value.strip():
                return Fault(Kind.TOKEN_CORRUPTED, cause=f"the value for {name.decode()} begins or ends with a blank")
            made.append((name, value.encode()))
        principal.memo[key] = told = block(made)
        return told

    return lines


def _asserted(tell: Identity, asserter: Asserter | None, audience: str) -> Identity:
    """Add the signed statement for the service ``audience`` to what it is told."""
    if asserter is None:
        return tell

    def lines(principal: Principal, request_id: str, now: float) -> bytes | Fault:
        told = tell(principal, request_id, now)
        return told if isinstance(told, Fault) else told + asserter.line(principal, audience, request_id, now)

    return lines
