"""What a check reports: its kinds, each with a stable code, and one finding of a kind at one place.

docs/check.md has a table of the kinds, which ``make access`` writes.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Literal

Severity = Literal["error", "warning"]

DOCUMENT = "document"
"""The place of what concerns the public document as a whole."""


class Kind(Enum):
    """A kind of finding: its code, its severity, what it is, why it matters and how it is mended."""

    DECLARATION = (
        "declaration",
        "error",
        "The gateway does not compile.",
        "It does not start either.",
        "As the message says. The other checks run once the gateway compiles.",
    )
    UNRESOLVED_MODEL = (
        "unresolved-model",
        "error",
        "A type cannot be built: a name in quotes, or under `TYPE_CHECKING`, that is not there at run time.",
        "The first request, or the document, fails with a 500.",
        "Import the name for run time too, or give the class itself in place of its name.",
    )
    DOCUMENT_FAILS = (
        "document-fails",
        "error",
        "The public document cannot be built.",
        "`/openapi.json` and `/docs` answer 500, for all routes.",
        "Change what the message names, or keep the route out of it with `include_in_schema=False`.",
    )
    DOCUMENT_INCOMPLETE = (
        "document-incomplete",
        "warning",
        "FastAPI or pydantic left something out of the document, and warned.",
        "Clients that are generated from it do not know that part.",
        "As the warning says.",
    )
    DUPLICATE_OPERATION_ID = (
        "duplicate-operation-id",
        "error",
        "Two operations have one `operationId`.",
        "OpenAPI wants them unique: generated clients lose one of the two.",
        "Rename one of the functions, or give it `operation_id=`.",
    )
    COMPONENT_CLASH = (
        "component-clash",
        "warning",
        "Different models have one name.",
        "FastAPI puts their modules into their names, which generated clients show, and which change when a model moves.",
        "Rename one of the models.",
    )
    OVERLAPPING_RULES = (
        "overlapping-rules",
        "error",
        "Another route of the same service, whose rule admits more callers, takes other spellings of a route's requests: "
        "a final slash, another case, `%2F`, another method.",
        "A lenient service answers all spellings alike, and the stricter rule is not asked.",
        "Give both routes the same rule, or the other one a path or methods that leave this one out. Acknowledge it if "
        "the service tells the spellings apart.",
    )
    BYPASSED_RULE = (
        "bypassed-rule",
        "error",
        "Another route leads to the same path of the same service (`rewrite`), and its rule admits more callers.",
        "The stricter rule protects nothing.",
        "Give both routes the same rule, or take one of them out.",
    )
    UNREACHABLE_ROUTE = (
        "unreachable-route",
        "error",
        "No request is answered by this route.",
        "Its rule, contract and policies do nothing.",
        "Change its path or methods, or take it out.",
    )
    UNREACHABLE_ENDPOINT = (
        "unreachable-endpoint",
        "error",
        "A local endpoint, mount or WebSocket that something before it hides.",
        "Its requests are answered by something else, perhaps by a service.",
        "Declare it before what hides it, or give one of the two another path.",
    )
    REWRITE_DROPS_PARAMETER = (
        "rewrite-drops-parameter",
        "warning",
        "`rewrite` leaves out a parameter of the path.",
        "The service answers all values of it alike.",
        "Put `{name}` into `rewrite`. Acknowledge it if the service needs no such value.",
    )
    BODY_ON_GET = (
        "body-on-get",
        "warning",
        "A GET or HEAD declares a body.",
        "RFC 9110 gives it no meaning: browsers do not send it, and caches and proxies drop it.",
        "Take the values from the query, or declare a POST.",
    )
    MAX_ANSWER_UNUSED = (
        "max-answer-unused",
        "warning",
        "`max_answer=` on a route whose answers stream.",
        "It bounds answers that are held to be checked, and none is.",
        "Declare a model or `after=`, or take `max_answer=` out.",
    )
    MAX_BODY_UNREACHABLE = (
        "max-body-unreachable",
        "error",
        "`max_body=` is more than the memory for the bodies of all requests.",
        "A body of that size is always refused (503 `bodies_full`).",
        "Lower `max_body=`, or raise `ClientLimits(body_memory=)`.",
    )
    TIMEOUT_UNREACHABLE = (
        "timeout-unreachable",
        "warning",
        "`connect`, `first_byte` or `idle` of `Timeouts` was given, and is more than `total`.",
        "`total` always ends the call first.",
        "Lower it, raise `total`, or take it out.",
    )
    TIMEOUTS_UNUSED = (
        "timeouts-unused",
        "warning",
        "`Upstream(timeouts=)` is replaced by every route of the upstream.",
        "Whoever changes it changes nothing.",
        "Take it out, or take `timeouts=` out of the routes that should have it.",
    )
    NEVER_RETRIED = (
        "never-retried",
        "warning",
        "A route whose requests, or those with larger bodies, are never repeated, although its upstream was given `retry=` "
        "or `hedge=` of its own.",
        "A target that fails costs its clients requests that whoever wrote `retry=` thought safe.",
        "Say `idempotency_key=True` if the service honours `Idempotency-Key`, raise `Retry(body=)` or lower `max_body=`. "
        "Acknowledge it if the requests must not be repeated.",
    )
    POLICY_UNUSED = (
        "policy-unused",
        "warning",
        "A policy of a group is replaced on every route of the group by a nearer one of its kind.",
        "It applies to no request.",
        "Take it out, or take the nearer ones out.",
    )
    OPEN_ISSUER = (
        "open-issuer",
        "warning",
        "An issuer with `{tenantid}` in its name takes the tokens of every tenant.",
        "Anybody can have a tenant, and name themselves and their roles in it.",
        "Name those that count: `Issuer(tenants=)`. Acknowledge it if every rule reads the tenant.",
    )
    UNUSED_IGNORE = (
        "unused-ignore",
        "error",
        "An `--ignore` matches nothing.",
        "What it acknowledged is mended, or was renamed: a later fault at that place would be ignored unseen.",
        "Take it out of the command, or correct it.",
    )

    def __init__(self, code: str, severity: Severity, what: str, why: str, mend: str) -> None:
        """Keep the columns."""
        self.code = code
        self.severity: Severity = severity
        self.what = what
        self.why = why
        self.mend = mend

    @property
    def ignorable(self) -> bool:
        """Tell whether a finding of this kind may be acknowledged."""
        return self not in (Kind.DECLARATION, Kind.UNUSED_IGNORE)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a finding is: a route or an endpoint (methods and path), or what ``name`` says: ``Gateway``, ``document``.

    ``service`` is the name of the upstream, where there is one.
    """

    methods: tuple[str, ...] = ()
    path: str = ""
    name: str = ""
    service: str | None = None

    def __str__(self) -> str:
        """Show it as messages name it."""
        return self.name or f"{'|'.join(self.methods) or 'ANY'} {self.path}"

    @property
    def shortest(self) -> str:
        """The name by which an ``--ignore`` may call it."""
        return self.name or f"{self.methods[0] if self.methods else 'ANY'} {self.path}"

    def is_called(self, name: str) -> bool:
        """Tell whether ``name`` means this place: all of it, one of its methods with the path, or its service."""
        return name in (str(self), self.shortest, self.service) or name in {
            f"{one} {self.path}" for one in self.methods
        }


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem: what it is, here, and how to mend it. ``examples`` are requests, each with what it does."""

    kind: Kind
    place: Place
    message: str
    mend: str
    examples: tuple[tuple[str, str], ...] = ()
