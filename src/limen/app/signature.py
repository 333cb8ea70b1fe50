"""From a FastAPI path operation to a framework-free Contract: FastAPI reads the signature, and limen keeps the result."""

from typing import Any

from fastapi.routing import APIRoute

from limen.app.form_limits import FormLimits
from limen.app.signature_answers import documented_answer, other_answers
from limen.app.signature_body import declared_body
from limen.app.signature_parameters import declared_parameter
from limen.app.unresolved import refuse_unresolved
from limen.contract.contract import Contract
from limen.contract.parameters import Parameter, ParameterLocation


def contract(
    route: APIRoute, body: object = None, *, after: bool = False, form_limits: FormLimits | None = None
) -> Contract:
    """Return the contract of ``route``.

    ``body`` is the route's option of that name, ``after`` tells whether a hook makes the answer, and ``form_limits`` are
    those of its routers. Raises TypeError for
    what a stub cannot have, and for names that are not defined.
    """
    refuse_unresolved(route)
    dependant = route.dependant
    if any(
        (
            dependant.request_param_name,
            dependant.response_param_name,
            dependant.http_connection_param_name,
            dependant.websocket_param_name,
            dependant.background_tasks_param_name,
            dependant.security_scopes_param_name,
        )
    ):
        raise TypeError(
            "a stub is never run, so it cannot take Request, WebSocket, Response, BackgroundTasks or SecurityScopes; leave "
            "them out"
        )
    fields_by_location: tuple[tuple[ParameterLocation, Any], ...] = (
        ("path", dependant.path_params),
        ("query", dependant.query_params),
        ("header", dependant.header_params),
        ("cookie", dependant.cookie_params),
    )
    params: list[Parameter] = []
    for location, fields in fields_by_location:
        for field in fields:
            converters = route.param_convertors if location == "path" else {}
            params.append(declared_parameter(location, field, converters))
            name = params[-1].name
            if location == "path" and name not in route.param_convertors:
                raise TypeError(
                    f"the path has no parameter {name!r}; give it the name that the path has, without alias="
                )
    held, streamed = declared_body(route, body, form_limits or {})
    answers, rest = other_answers(route)
    return Contract(tuple(params), held, documented_answer(route, after=after), answers, rest, streamed)
