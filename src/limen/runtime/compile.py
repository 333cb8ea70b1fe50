"""The composition root: compiles the declared routes and policies into what requests run against, or lists every problem."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from limen.auth.api_keys import ApiKeys
from limen.auth.api_keys_live import ApiKeyVerifier
from limen.auth.assertion_live import HEADER, Asserter
from limen.auth.decoder_live import DecoderVerifier
from limen.auth.identify import identify_by
from limen.auth.issuer.declared import Issuer, conflicting_issuers
from limen.auth.method import Methods
from limen.auth.rules import Rule
from limen.auth.session_ends import session_ender
from limen.errors import DeclarationError, Fault, Kind
from limen.exchange.policy import RouteFacts
from limen.exchange.principal import Principal
from limen.http.declared import field_name, kept_of_requests
from limen.http.headers import CODING_AND_RANGE_FIELDS, block, withheld
from limen.routing.pattern import Pattern
from limen.routing.rewrite import Rewrite
from limen.routing.table import HealthEndpoint, Table
from limen.runtime.declared_policies import GATEWAY, DeclaredPolicies
from limen.runtime.host import ActiveConfig
from limen.runtime.local_route import LocalEntry
from limen.runtime.plan import AccessControl, IdentityLines, Plan
from limen.runtime.policy_compiler import PolicyCompiler
from limen.runtime.reconcile import Reconciliation
from limen.runtime.route import Route
from limen.runtime.route_services import (
    ServicePlans,
    check_services,
    deadline_name,
    deadline_names,
    hooks_at,
    no_lines,
    timeouts_at,
)
from limen.runtime.state import Runtime
from limen.upstream.declared import Upstream

IdentityHeaders = Mapping[str, Callable[[Principal], str | None]]

NO_POLICIES = DeclaredPolicies(GATEWAY)


def compile_config(
    entries: Sequence[Route | LocalEntry],
    *,
    runtime: Runtime,
    identity: IdentityHeaders,
    policies: DeclaredPolicies = NO_POLICIES,
    problems: Sequence[str] = (),
    redirects: bool = True,
    health: Sequence[HealthEndpoint] = (),
) -> ActiveConfig:
    """Compile ``entries``, in their order, against ``runtime``. Afterwards exactly what they declare lives there.

    ``policies`` are the gateway's own; ``problems`` are those that were found before. ``redirects``: a path that differs from
    a known one by its final slash is redirected there. ``health`` are the gateway's health endpoints. Raises DeclarationError
    with all problems together; then nothing that lives has changed.
    """
    change = runtime.reconcile()
    try:
        config = _compile(
            entries, runtime, change, identity, policies, list(problems), redirects=redirects, health=health
        )
    except BaseException:
        runtime.roll_back(change)
        raise
    runtime.commit(change)
    return config


def _compile(
    entries: Sequence[Route | LocalEntry],
    runtime: Runtime,
    change: Reconciliation,
    identity: IdentityHeaders,
    policies: DeclaredPolicies,
    problems: list[str],
    *,
    redirects: bool,
    health: Sequence[HealthEndpoint],
) -> ActiveConfig:
    try:
        check_identity(identity)
    except (TypeError, ValueError) as error:
        problems.append(f"Gateway: {error}")
        identity = {}
    rows: list[tuple[str, Pattern, Plan | None]] = []
    local_access: dict[object, AccessControl] = {}
    upstreams: dict[str, Upstream] = {}
    try:
        asserter = runtime.asserter()
    except ValueError as error:
        problems.append(str(error))
        asserter = None
    methods = [runtime.auth, *(entry.auth for entry in entries if entry.auth is not None)]
    issuers = {id(one): one for several in methods for one in several if isinstance(one, Issuer)}
    problems += conflicting_issuers(list(issuers.values()))
    identity_lines = _identity_lines(identity)
    routes = [entry for entry in entries if isinstance(entry, Route)]
    identities = [identity, *(route.identity for route in routes if route.identity is not None)]
    # One for each mapping: a caller caches the lines of each, and many routes may share one.
    lines_by_identity = {id(one): _identity_lines(one) for one in identities}
    withheld_headers = _withheld_headers(identities, methods)
    policy_compiler = PolicyCompiler(change, policies)
    gateway_hooks = policy_compiler.gateway_hooks()
    for route in entries:
        if isinstance(route, LocalEntry):
            try:
                rows += [(method, route.pattern, None) for method in route.methods]
                if route.allow is not None and not route.allow.public:
                    local_access[route.route] = _local_access(route, runtime, change)
            except (ValueError, TypeError) as error:
                problems.append(f"{route.name}: {error}")
            continue
        problems += [
            f"{route.name}: two different upstreams are named {one.name!r}; rename one"
            for one in route.upstreams
            if upstreams.setdefault(one.name, one) != one
        ]
        lines = identity_lines if route.identity is None else lines_by_identity[id(route.identity)]
        try:
            pattern = Pattern.parse(route.path)
            identity_for = partial(_with_assertion, lines, asserter)
            plan = _plan(route, pattern, runtime, change, policy_compiler, identity_for, withheld_headers)
        except (ValueError, TypeError) as error:
            problems.append(f"{route.name}: {error}")
            continue
        rows += [(method, pattern, plan) for method in route.methods]
    for several in methods:
        for one in several:
            if isinstance(one, ApiKeys) and upstreams.setdefault(one.upstream.name, one.upstream) != one.upstream:
                problems.append(f"auth: two different upstreams are named {one.upstream.name!r}; rename one")
    problems += policy_compiler.problems
    try:
        table: Table[Plan] = Table(rows, redirects=redirects, health=health)
    except ValueError as error:
        problems += str(error).splitlines()
    else:
        if not problems:
            return ActiveConfig(table, runtime, gateway_hooks, local_access)
    raise DeclarationError(list(dict.fromkeys(problems)))


def _plan(
    route: Route,
    pattern: Pattern,
    runtime: Runtime,
    change: Reconciliation,
    policy_compiler: PolicyCompiler,
    identity_for: Callable[[str], IdentityLines],
    withheld_headers: frozenset[bytes],
) -> Plan:
    """Return the plan of ``route``; ``identity_for`` gives the lines that tell the upstream of a name who is calling."""
    names = frozenset(pattern.names)
    _check_path_params(route.allow, names)
    if route.identity is not None:
        if route.allow.public:
            raise ValueError("identity= tells the service who calls, and anyone may call; leave it out")
        check_identity(route.identity)
    check_services(route, names)
    timeouts = timeouts_at(route, route.upstream)
    hooks_by_status = hooks_at(route, runtime, timeouts)
    checks_answers = bool(hooks_by_status)
    withheld_headers |= deadline_names(route)  # the gateway says these itself
    if (lost := _lost_header(route, withheld_headers, checks_answers=checks_answers)) is not None:
        raise ValueError(
            f"the header {lost!r} never reaches the service as the client sent it: the gateway drops it, or says it itself; "
            "leave it out of the signature (a name with '_' is dropped: give it with '-')"
        )
    facts = _facts(route, names, withheld_headers, checks_answers=checks_answers)
    plan = Plan(
        route=route,
        upstream=change.upstream(route.upstream),
        timeouts=timeouts,
        body_silence=runtime.body_silence if timeouts.idle is None else timeouts.idle,
        withheld_headers=withheld_headers,
        access_control=None
        if route.allow.public
        else _access_control(route.allow, route.auth, runtime, change, identity_for(route.upstream.name)),
        rewrite=None if route.rewrite is None else Rewrite.parse(route.rewrite, names),
        answer_hooks=hooks_by_status,
        session_ender=None
        if route.session_ended_header is None
        else session_ender(route.session_ended_header, runtime.revocations, runtime.auth, runtime.now),
        guard=route.guard,
        hooks=policy_compiler.route_hooks(facts, route.policies),
        deadline=-1.0 if timeouts.deadline is None else timeouts.deadline,
        deadline_name=deadline_name(route.upstream, timeouts),
        name=route.name,
        passes_authorization=b"authorization" not in withheld_headers,
    )
    if route.split is None and route.fallback is None:
        return plan
    return ServicePlans(plan, runtime, change, identity_for).whole()


def _check_path_params(rule: Rule, names: frozenset[str]) -> None:
    if missing := rule.path_params - names:
        raise ValueError(f"allow={rule} needs the path parameter {{{sorted(missing)[0]}}}, which is not there")


def _local_access(entry: LocalEntry, runtime: Runtime, change: Reconciliation) -> AccessControl:
    """Return who may call an endpoint of the application's own. Nobody else is told who is calling."""
    assert entry.allow is not None
    _check_path_params(entry.allow, frozenset(entry.pattern.names))
    return _access_control(entry.allow, entry.auth, runtime, change, no_lines)


def _facts(
    route: Route, path_params: frozenset[str], withheld_headers: frozenset[bytes], *, checks_answers: bool
) -> RouteFacts:
    contract = route.contract
    headers = {name for param in contract.params if param.location == "header" for name in param.declared_names}
    ended = route.session_ended_header
    return RouteFacts(
        route=route.name,
        path_params=path_params,
        public=route.allow.public,
        withheld_headers=withheld_headers,
        declared_headers=frozenset(name.encode("latin-1", "replace") for name in headers),
        declares_body=contract.body is not None or contract.streamed is not None,
        checks_answers=checks_answers,
        consumed_headers=frozenset() if ended is None else frozenset((ended.lower().encode("latin-1", "replace"),)),
    )


def _lost_header(route: Route, withheld_headers: frozenset[bytes], *, checks_answers: bool) -> str | None:
    """Return a declared header that the service would not get: a check of it would protect nobody."""
    replaced: frozenset[bytes] = CODING_AND_RANGE_FIELDS if checks_answers else frozenset()
    if route.contract.body is not None:
        replaced |= {b"content-type", b"content-encoding"}
    for param in route.contract.params:
        if param.location == "header":
            for name in sorted(param.declared_names):
                line = name.encode("latin-1", "replace")
                if withheld(line, withheld_headers) or line in replaced:
                    return name
    return None


def check_identity(identity: IdentityHeaders) -> None:
    """Raise ValueError for a name that breaks a head, or that only the gateway says; TypeError for what is no function."""
    if not isinstance(identity, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] - users may get it wrong
        raise TypeError(f"identity={type(identity).__name__}(...) is no mapping of header names to functions")
    for name, make in identity.items():
        if not callable(make):
            raise TypeError(f"identity=: {name!r} has no function; write one, such as lambda caller: caller.id")
        try:
            why = kept_of_requests(field_name(name))
        except ValueError as error:
            raise ValueError(f"identity=: {error}") from None
        if why is not None or name.lower() == HEADER.decode():
            raise ValueError(f"identity=: {name!r} {why or 'is signed by Gateway(assertion=)'}; choose another name")


def _withheld_headers(identities: Sequence[IdentityHeaders], auth: Sequence[Methods]) -> frozenset[bytes]:
    """Name what no client may send to a service: identity, and the credentials that the gateway itself consumes."""
    names = {HEADER, *(name.lower().encode("latin-1", "replace") for identity in identities for name in identity)}
    for method in (one for methods in auth for one in methods):
        names.add(method.header.encode() if isinstance(method, ApiKeys) else b"authorization")
    return frozenset(names)


def _access_control(
    rule: Rule, auth: Methods | None, runtime: Runtime, change: Reconciliation, identity_lines: IdentityLines
) -> AccessControl:
    methods = runtime.auth if auth is None else auth
    if not methods:
        raise ValueError(f"allow={rule} needs to know the caller; give the gateway auth=Jwt(...)")
    verifiers = [change.verifier(method) for method in methods]
    key_verifiers = [one for one in verifiers if isinstance(one, ApiKeyVerifier)]
    decoders = [one for one in verifiers if isinstance(one, DecoderVerifier)]
    token_verifiers = [one for one in verifiers if not isinstance(one, ApiKeyVerifier | DecoderVerifier)]
    if len(decoders) + bool(token_verifiers) > 1 and decoders:
        raise ValueError(
            "auth: a TokenDecoder reads the whole Authorization header, so no other method of tokens can stand beside it; "
            "leave one of them out"
        )
    identify = identify_by(token_verifiers, key_verifiers, decoders[0].identify if decoders else None)
    return AccessControl(identify, rule, identity_lines)


def _identity_lines(identity: IdentityHeaders) -> IdentityLines:
    memo_key = object()
    makers = tuple((name.lower().encode(), make) for name, make in identity.items())

    def lines(principal: Principal, request_id: str, now: float) -> bytes | Fault:
        known: bytes | None = principal.memo.get(memo_key)
        if known is not None:
            return known
        fields: list[tuple[bytes, bytes]] = []
        for name, make in makers:
            value = make(principal)
            if value is None:
                continue
            # The services believe a header line: nothing from a token may break out of it.
            if not value.isprintable():
                return Fault(Kind.TOKEN_CORRUPTED, cause=f"the value for {name.decode()} has control characters")
            # A reader of a header drops the blanks around its value, and " 1" would be somebody else.
            if value != value.strip():
                return Fault(Kind.TOKEN_CORRUPTED, cause=f"the value for {name.decode()} begins or ends with a blank")
            fields.append((name, value.encode()))
        principal.memo[memo_key] = encoded = block(fields)
        return encoded

    return lines


def _with_assertion(identity_lines: IdentityLines, asserter: Asserter | None, audience: str) -> IdentityLines:
    """Add the signed assertion for the service ``audience`` to ``identity_lines``."""
    if asserter is None:
        return identity_lines

    def lines(principal: Principal, request_id: str, now: float) -> bytes | Fault:
        plain = identity_lines(principal, request_id, now)
        return plain if isinstance(plain, Fault) else plain + asserter.line(principal, audience, request_id, now)

    return lines
