"""What one operation of the document gets from the gateway: its refusals, who may call, the headers of its answers.

Whatever the user says of an operation wins, member by member: this adds what is not there.
"""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from fastapi.routing import APIRoute

from limen.app.document.json_types import Json
from limen.app.document.problem import PROBLEM_JSON
from limen.app.document.refusals import REQUEST_ID_HEADER, faults, refusals
from limen.app.document.who_may_call import EXTENSION, line, requirements, with_line
from limen.auth.method import Methods
from limen.policies.redirect import Redirect
from limen.policies.respond import Respond
from limen.runtime.declared_policies import effective_policies
from limen.runtime.route import Route


@dataclass(frozen=True, slots=True)
class Addition:
    """What the operations of one route get.

    ``security`` None is that of the whole document, which is none unless the user declares it. ``fixed`` is the status of a
    policy that answers in the service's place, which ``replaces`` the documented one.
    """

    responses: dict[str, Json]
    sentence: str
    allow: str
    security: list[dict[str, list[str]]] | None
    fixed: int | None = None
    replaces: int | None = None


def addition(route: Route, methods: Methods, *, revocable: bool = False) -> Addition:
    """Return what the operations of ``route`` get.

    ``methods`` are those by which its callers prove who they are; ``revocable`` says that tokens may end early.
    """
    policies = [policy for _, policy in effective_policies(route.policies)]
    local = next((one for one in policies if isinstance(one, Respond | Redirect)), None)  # the first that answers
    found = faults(route, methods, revocable=revocable, serviced=local is None)
    responses = refusals(found)
    if route.contract.streamed:
        # FastAPI would document a 422 of its own, but the gateway does not read the form.
        responses.setdefault("422", {"description": "The service may refuse the form, which it alone reads."})
    return Addition(
        responses,
        line(route.allow, methods),
        str(route.allow),
        None if route.allow.public else requirements(methods),
        None if local is None else local.status,
        None if local is None or local.status == route.status else route.status,
    )


def describe(registered: APIRoute, added: Addition) -> None:
    """Add to a stub that FastAPI documents. This is what ``get_openapi(routes=app.routes)`` has of the gateway."""
    keys = {str(status): status for status in registered.responses}  # FastAPI finds the models by these
    declared: dict[str, Json] = {str(status): response for status, response in registered.responses.items()}
    joined = _responses(added.responses, declared)
    registered.responses = {keys.get(status, status): response for status, response in joined.items()}
    registered.description = with_line(registered.description or "", added.sentence)
    security = {} if added.security is None else {"security": added.security}
    registered.openapi_extra = {EXTENSION: added.allow, **security, **(registered.openapi_extra or {})}


def complete_operation(operation: Json, added: Addition) -> None:
    """Add to ``operation`` what is not there yet."""
    responses: dict[str, Json] = operation.setdefault("responses", {})
    replaced = responses.get(str(added.replaces))
    if replaced is not None and replaced.get("description") == "Successful Response":  # FastAPI's own, and never given
        del responses[str(added.replaces)]
    if added.fixed is not None:
        responses.setdefault(str(added.fixed), {"description": "The gateway's own answer."})
    completed = _responses(deepcopy(added.responses), {**responses})  # of several methods, one addition
    responses.clear()
    responses.update(completed)
    for response in responses.values():
        if "$ref" not in response:
            response["headers"] = {**REQUEST_ID_HEADER, **response.get("headers", {})}
    operation["description"] = with_line(operation.get("description", ""), added.sentence)
    operation.setdefault(EXTENSION, added.allow)
    if added.security is not None:
        operation.setdefault("security", added.security)


def _responses(own: dict[str, Json], declared: dict[str, Json]) -> dict[str, Json]:
    """Join the gateway's ``own`` responses and those that are ``declared``, which come first and win."""
    joined = {status: _response(own[status], one) if status in own else one for status, one in declared.items()}
    return {**joined, **{status: response for status, response in own.items() if status not in declared}}


def _response(own: Json, declared: Json) -> Json:
    if "$ref" in declared:
        return declared
    response: Json = {**own, **declared}
    for member in ("headers", "content"):
        if member in own:
            response[member] = {**own[member], **declared.get(member, {})}
    ours: Any = own.get("content", {}).get(PROBLEM_JSON)
    theirs: Any = declared.get("content", {}).get(PROBLEM_JSON)
    if ours is not None and theirs is not None and theirs.get("schema", ours["schema"]) == ours["schema"]:
        response["content"][PROBLEM_JSON] = {**ours, **theirs}
        if "example" in theirs:
            response["content"][PROBLEM_JSON].pop("examples", None)  # there may be one of the two
        elif "examples" in theirs:
            response["content"][PROBLEM_JSON]["examples"] = {**ours.get("examples", {}), **theirs["examples"]}
    return response
