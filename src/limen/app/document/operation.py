"""What one operation of the document gets from the gateway: its refusals, who may call, the headers of its answers.

Whatever the user says of an operation wins, member by member: this adds what is not there.
"""

from dataclasses import dataclass
from typing import Any

from fastapi.routing import APIRoute

from limen.app.document.dependencies import has_schemes
from limen.app.document.json_types import Json
from limen.app.document.path_templates import names
from limen.app.document.problem import PROBLEM_JSON, problem_schema, problems
from limen.app.document.refusals import faults
from limen.app.document.shared import Shared
from limen.app.document.who_may_call import EXTENSION, line, requirements, with_line
from limen.auth.method import Methods
from limen.errors import Fault
from limen.http.replies import title
from limen.policies.redirect import Redirect
from limen.policies.respond import Respond
from limen.runtime.declared_policies import effective_policies
from limen.runtime.route import Route
from limen.upstream.retry import IDEMPOTENT


@dataclass(frozen=True, slots=True)
class Addition:
    """What the operations of one route get.

    ``refused`` has the gateway's own answers by status. ``security`` None is that of the whole document, which is none
    unless the user declares it, or that of dependencies, to which what the rule asks for is added at the end. ``unread``
    says that the service alone reads the form. ``fixed`` is the status of a policy that answers in the service's place, and
    ``never`` the documented status that is never given then. ``fallback`` is the status of a fixed answer while the service
    fails. ``takes_key`` says that the service honours ``Idempotency-Key``.
    """

    refused: dict[int, tuple[Fault, ...]]
    sentence: str
    allow: str
    security: list[dict[str, list[str]]] | None
    unread: bool = False
    fixed: int | None = None
    never: int | None = None
    fallback: int | None = None
    takes_key: bool = False


def addition(route: Route, methods: Methods, *, revocable: bool = False) -> Addition:
    """Return what the operations of ``route`` get.

    ``methods`` are those by which its callers prove who they are; ``revocable`` says that tokens may end early.
    """
    policies = [policy for _, policy in effective_policies(route.policies)]
    local = next((one for one in policies if isinstance(one, Respond | Redirect)), None)  # the first that answers
    refused: dict[int, tuple[Fault, ...]] = {}
    for fault in faults(route, methods, revocable=revocable, serviced=local is None):
        status = fault.kind.status
        refused[status] = (*refused.get(status, ()), fault)
    return Addition(
        dict(sorted(refused.items())),
        line(route.allow, methods),
        str(route.allow),
        None if route.allow.public or has_schemes(route) else requirements(methods),
        unread=route.contract.streamed is not None,
        fixed=None if local is None else local.status,
        never=None if local is None or local.status == route.status else route.status,
        fallback=route.fallback.status if local is None and isinstance(route.fallback, Respond) else None,
        takes_key=local is None and route.idempotency_key,
    )


def describe(registered: APIRoute, added: Addition) -> None:
    """Add to a stub that FastAPI documents. This is what ``get_openapi(routes=app.routes)`` has of the gateway.

    FastAPI copies all of it for each operation, so it is short; ``complete_operation`` adds the rest.
    """
    declared = {str(status) for status in registered.responses}
    own: dict[int | str, dict[str, Any]] = {status: {"description": title(status)} for status in added.refused}
    if 422 in own:
        own |= problems(422)  # else FastAPI documents a 422 of its own
    if added.unread:
        own.setdefault(422, dict(_UNREAD))
    registered.responses = {
        **registered.responses,
        **{status: response for status, response in own.items() if str(status) not in declared},
    }
    registered.description = with_line(registered.description or "", added.sentence)
    security = {} if added.security is None else {"security": added.security}
    registered.openapi_extra = {EXTENSION: added.allow, **security, **(registered.openapi_extra or {})}


_UNREAD: Json = {"description": "The service may refuse the form, which it alone reads."}


_KEY: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A text of the client's choice, another for each request: with it, the request may safely be repeated.",
    "schema": {"type": "string"},
}


def complete_operation(path: str, method: str, operation: Json, added: Addition, shared: Shared) -> None:
    """Add to ``operation``, which is ``method`` of ``path``, what is not there yet."""
    if added.takes_key and method.upper().encode() not in IDEMPOTENT:
        given = [str(one.get("name")).lower() for one in operation.get("parameters", []) if one.get("in") == "header"]
        if "idempotency-key" not in given:
            operation.setdefault("parameters", []).append(dict(_KEY))
    declared_names = {one.get("name") for one in operation.get("parameters", []) if one.get("in") == "path"}
    for name in names(path):
        if name not in declared_names:  # a stub need not declare what it does not check
            parameter = {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            operation.setdefault("parameters", []).append(parameter)
    responses: dict[str, Json] = operation.setdefault("responses", {})
    never = responses.get(str(added.never))
    if never is not None and never.get("description") == "Successful Response":  # FastAPI's own
        del responses[str(added.never)]
    if added.fixed is not None:
        responses.setdefault(str(added.fixed), {"description": "The gateway's own answer."})
    if added.fallback is not None:
        responses.setdefault(str(added.fallback), {"description": "The gateway's own answer, while the service fails."})
    if added.unread and 422 not in added.refused:
        responses.setdefault("422", dict(_UNREAD))
    for status, several in added.refused.items():
        declared = responses.get(str(status))
        if declared is None or declared == {"description": title(status)}:
            responses[str(status)] = shared.refusal(status, several)
        else:
            responses[str(status)] = _merged(shared.response(status, several), declared)
    for response in responses.values():
        if "$ref" not in response:
            response["headers"] = {**shared.request_id(), **response.get("headers", {})}
    operation["description"] = with_line(operation.get("description", ""), added.sentence)
    operation.setdefault(EXTENSION, added.allow)
    if added.security is not None:
        operation.setdefault("security", added.security)


def _merged(own: Json, declared: Json) -> Json:
    """Return what is ``declared``, with what the gateway's ``own`` response has besides."""
    if "$ref" in declared:
        return declared
    merged: Json = {**own, **declared}
    for member in ("headers", "content"):
        merged[member] = {**own[member], **declared.get(member, {})}
    ours: Json = own["content"][PROBLEM_JSON]
    theirs: Any = declared.get("content", {}).get(PROBLEM_JSON)
    if theirs is not None and theirs.get("schema", problem_schema()) in (problem_schema(), ours["schema"]):
        media: Json = {**ours, **theirs, "schema": ours["schema"]}
        if "example" in theirs:
            media.pop("examples", None)  # there may be one of the two
        else:
            media["examples"] = {**ours["examples"], **theirs.get("examples", {})}
        merged["content"][PROBLEM_JSON] = media
    return merged
