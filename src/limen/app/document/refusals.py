"""What the gateway itself may answer on a route, as faults.

A fault here is made where the gateway makes it, or is a copy that ``test_documented_answers.py`` compares with real answers.
"""

from collections.abc import Iterator
from typing import Final

from limen.auth import bearer
from limen.auth.api_keys import ApiKeys
from limen.auth.api_keys_live import REFUSED
from limen.auth.identify import UNAVAILABLE
from limen.auth.issuer.declared import Issuer
from limen.auth.method import Methods
from limen.contract.contract import Contract
from limen.contract.parameters import ParameterLocation
from limen.contract.request_check import check_body, read_framing, too_large
from limen.contract.violations import Violations
from limen.errors import RETRY_AFTER, Fault, Kind
from limen.fairness.validations import Validations
from limen.http.headers import Head
from limen.policies.respond import Respond
from limen.runtime.fallback import FALLS_BACK
from limen.runtime.route import Route

NOT_OF_AN_OPERATION: Final = {
    Kind.NOT_FOUND: "no operation is at that path",
    Kind.METHOD_NOT_ALLOWED: "no operation has that method",
    Kind.NOT_IMPLEMENTED: "no operation has that method",
    Kind.VERSION_NOT_SUPPORTED: "the request is of another protocol",
    Kind.STARTUP_FAILED: "there is no application, and no document",
    Kind.NOT_READY: "the health endpoints are not in the document",
    Kind.CLIENT_CLOSED: "nobody reads the answer: it is in the log alone",
    Kind.ANSWER_NOT_TAKEN: "nobody reads the answer: it is in the log alone",
}
"""Faults that no operation documents, and why."""

_OF_EVERY_REQUEST: Final = (
    Fault(Kind.BAD_PATH),
    Fault(Kind.BAD_REQUEST),
    Fault(Kind.BAD_BODY),
    Fault(Kind.HEAD_TIMEOUT),
    Fault(Kind.REQUEST_TIMEOUT),
    Fault(Kind.URI_TOO_LONG),
    Fault(Kind.TOO_MANY_FROM_ADDRESS, headers=RETRY_AFTER),
    Fault(Kind.HEAD_TOO_LARGE),
    Fault(Kind.INTERNAL_ERROR),
    Fault(Kind.TOO_MANY_CONNECTIONS, headers=RETRY_AFTER),
    Fault(Kind.OVERLOADED, headers=RETRY_AFTER),
    Fault(Kind.BODIES_FULL, headers=RETRY_AFTER),
    Fault(Kind.SHUT_DOWN),
)

_OF_EVERY_SERVICE: Final = (
    Fault(Kind.EXPECTATION_FAILED),
    Fault(Kind.UPSTREAM_PROTOCOL),
    Fault(Kind.UPSTREAM_CLOSED),
    Fault(Kind.UPSTREAM_REFUSED),
    Fault(Kind.POOL_EXHAUSTED, headers=RETRY_AFTER),
    Fault(Kind.CONNECT_TIMEOUT),
    Fault(Kind.ANSWER_TIMEOUT),
    Fault(Kind.LOOP),
)


def faults(route: Route, methods: Methods, *, revocable: bool = False, serviced: bool = True) -> list[Fault]:
    """Return what the gateway itself may answer on ``route``.

    ``methods`` are those by which callers prove who they are, ``revocable`` says that tokens may end early, and ``serviced``
    is False where a policy answers before the caller or a service is asked.
    """
    found = list(_OF_EVERY_REQUEST)
    if serviced:
        found += [*_OF_EVERY_SERVICE, *_of_the_caller(route, methods, revocable=revocable), *_of_the_contract(route)]
    if isinstance(route.fallback, Respond):  # which answers in their place
        found = [fault for fault in found if fault.kind not in FALLS_BACK]
    return found


def _of_the_caller(route: Route, methods: Methods, *, revocable: bool) -> Iterator[Fault]:
    if route.allow.public:
        return
    keys = [one for one in methods if isinstance(one, ApiKeys)]
    yield bearer.MISSING
    if len(keys) < len(methods):
        yield bearer.EXPIRED
    yield bearer.CORRUPTED  # with API keys alone it is the answer to two credentials
    if revocable and len(keys) < len(methods):
        yield bearer.REVOKED
    if keys:
        yield REFUSED
    if keys or any(isinstance(one, Issuer) for one in methods):
        yield UNAVAILABLE
    yield Fault(Kind.FORBIDDEN, headers=((b"www-authenticate", route.allow.challenge),))


def _of_the_contract(route: Route) -> Iterator[Fault]:
    contract = route.contract
    if route.max_body is not None:
        yield too_large(route.max_body)
    if (refused := _another_media_type(contract)) is not None:
        yield refused
    if (unfit := _unfit(contract)) is not None:
        yield Fault(Kind.INVALID_REQUEST, errors=unfit.listed, more=unfit.omitted)
    if any(target.tls for upstream in route.upstreams for target in upstream.addresses):
        yield Fault(Kind.UPSTREAM_TLS)
    if contract.answer is not None or contract.answers or contract.rest is not None or route.after is not None:
        yield Fault(Kind.UPSTREAM_CONTRACT)
        yield Fault(Kind.UPSTREAM_TOO_LARGE)
    if route.after is not None:
        yield Fault(Kind.HOOK_FAILED)


def _another_media_type(contract: Contract) -> Fault | None:
    """Return the refusal of content without a media type."""
    refused: object = None
    if contract.body is not None:
        refused = check_body(contract.body, b"-", Head([]), None, Validations())
    elif contract.streamed is not None:
        refused = read_framing(Head([(b"content-length", b"1")]), contract, None)
    return refused if isinstance(refused, Fault) else None


def _unfit(contract: Contract) -> Violations | None:
    """Return what is wrong with a request that lacks what is declared, or has an optional parameter twice."""
    if contract.body is not None:
        read = contract.body.read(b"{" if contract.body.json else b"")
        if isinstance(read, Violations):
            return read
    if not contract.params:
        return None if contract.body is None else Violations(())
    for given in ((), ("-",), ("-", "-")):
        values: dict[ParameterLocation, dict[str, tuple[str, ...]]] = {
            "path": {},
            "query": {},
            "header": {},
            "cookie": {},
        }
        for param in contract.params:
            if given or param.location == "path":  # a path without its parameters is another one
                values[param.location].update(dict.fromkeys(param.declared_names, given or ("-",)))
        if (found := contract.check(values)) is not None:
            return found
    return Violations(())
