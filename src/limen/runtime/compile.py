"""The composition root: declared routes in, one Table of Plans out, or every problem at once."""

from collections.abc import Callable, Mapping, Sequence

from limen.declare.principal import Principal
from limen.declare.route import Route
from limen.declare.upstream import Upstream
from limen.errors import DeclarationError, Fault, Kind
from limen.gates.jwt import Verifier
from limen.http.bearer import bearer_token
from limen.http.headers import block
from limen.runtime.finish import finisher
from limen.runtime.path import Pattern
from limen.runtime.plan import Entry, Identify, Identity, Plan
from limen.runtime.rewrite import Rewrite
from limen.runtime.state import Runtime
from limen.runtime.table import Table

IdentityHeaders = Mapping[str, Callable[[Principal], str]]


def compile_table(
    routes: Sequence[Route], *, runtime: Runtime, identity: IdentityHeaders, problems: Sequence[str] = ()
) -> Table[Plan]:
    """Compile ``routes`` against ``runtime``.

    ``problems`` are those that the decorators have already found. Raises DeclarationError with all of them together.
    """
    found = list(problems)
    entries: list[tuple[str, Pattern, Plan]] = []
    upstreams: dict[str, Upstream] = {}
    tell = _identity(identity)
    strip = _withheld(identity, runtime.verifier)
    for route in routes:
        if upstreams.setdefault(route.upstream.name, route.upstream) != route.upstream:
            found.append(f"{route.name}: two different upstreams are named {route.upstream.name!r}; rename one")
        try:
            pattern = Pattern.parse(route.path)
            plan = _plan(route, pattern, runtime, tell, strip)
        except (ValueError, TypeError) as error:
            found.append(f"{route.name}: {error}")
            continue
        entries += [(method, pattern, plan) for method in route.methods]
    try:
        table = Table(entries)
    except ValueError as error:
        found.append(str(error))
    else:
        if not found:
            return table
    raise DeclarationError(found)


def _plan(route: Route, pattern: Pattern, runtime: Runtime, tell: Identity, strip: frozenset[bytes]) -> Plan:
    names = frozenset(pattern.names)
    if missing := route.allow.path_params - names:
        raise ValueError(f"allow={route.allow} needs the path parameter {{{sorted(missing)[0]}}}, which is not there")
    return Plan(
        route=route,
        pool=runtime.pool(route.upstream),
        timeouts=route.timeouts or route.upstream.timeouts,
        strip=strip,
        entry=None if route.allow.public else _entry(route, runtime.verifier, tell),
        rewrite=None if route.rewrite is None else Rewrite.parse(route.rewrite, names),
        finish=finisher(route),
        query=route.contract.needs("query"),
        header=route.contract.needs("header"),
        cookie=route.contract.needs("cookie"),
    )


def _withheld(identity: IdentityHeaders, verifier: Verifier | None) -> frozenset[bytes]:
    """Name what no client may send to a service: identity, and the credential that the gateway itself consumes."""
    names = {name.lower().encode() for name in identity}
    if verifier is not None:
        names.add(b"authorization")
    return frozenset(names)


def _entry(route: Route, verifier: Verifier | None, tell: Identity) -> Entry:
    if verifier is None:
        raise ValueError(f"allow={route.allow} needs to know the caller; give the gateway auth=Jwt(...)")
    return Entry(_identify(verifier), route.allow, tell)


def _identify(verifier: Verifier) -> Identify:
    def identify(authorization: list[bytes], now: float) -> Principal | Fault:
        if len(authorization) == 1 and authorization[0].startswith(b"Bearer "):
            # A token that was verified before needs no look at its form: 1 us less.
            known = verifier.recall(authorization[0][7:], now)
            if known is not None:
                return known
        token = bearer_token(authorization)
        return token if isinstance(token, Fault) else verifier.verify(token, now)

    return identify


def _identity(identity: IdentityHeaders) -> Identity:
    key = object()
    makers = tuple((name.lower().encode(), make) for name, make in identity.items())

    def lines(principal: Principal) -> bytes | Fault:
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
