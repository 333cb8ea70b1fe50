"""The stub of a handler: its path and body parameters, without ``Request`` and ``Response``, which a stub cannot take."""

import inspect
from collections.abc import Callable
from difflib import get_close_matches
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from limen.compat.mistakes import Mistake


def stub_of(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Return a stub with the name and the documentation of ``handler``. Raises Mistake for annotations that are unknown."""
    try:
        hints = get_type_hints(handler, include_extras=True)
    except NameError as error:
        raise Mistake(
            f"the handler has an annotation that is not known when it is declared: {error}; import it where the program "
            "runs, and not under TYPE_CHECKING alone"
        ) from None
    signature = inspect.signature(handler)
    kept = [
        one.replace(annotation=hints.get(one.name, one.annotation))
        for one in signature.parameters.values()
        if not _is_framework(hints.get(one.name))
    ]
    returned = hints.get("return", signature.return_annotation)

    def stub(*arguments: Any, **named: Any) -> None:
        raise AssertionError("a stub is never run")

    for name in ("__name__", "__qualname__", "__module__", "__doc__"):
        setattr(stub, name, getattr(handler, name, None) or getattr(stub, name))
    stub.__annotations__ = {one.name: one.annotation for one in kept if one.annotation is not one.empty}
    if returned is not signature.empty:
        stub.__annotations__["return"] = returned
    setattr(stub, "__signature__", signature.replace(parameters=kept, return_annotation=returned))  # noqa: B010 - functions have no such attribute, for a type checker
    return stub


def check_payload(stub: Callable[..., Any], path: str, payload_key: object) -> bool:
    """Tell whether ``stub`` has a body. Raises Mistake unless ``payload_key`` names it, or is empty where there is none."""
    names = list(inspect.signature(stub).parameters)
    bodies = [field.name for field in APIRoute(path, stub, response_model=None).dependant.body_params]
    if payload_key and payload_key not in names:
        close = get_close_matches(str(payload_key), names, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(names) or 'none'}"
        raise Mistake(f"payload_key={payload_key!r}: the handler has no argument of this name; {hint}")
    if payload_key and payload_key not in bodies:
        raise Mistake(
            f"payload_key={payload_key!r} is no body: FastAPI reads this argument from the path, the query or a header; "
            "annotate it with a pydantic model, or say payload_key=None"
        )
    if others := [name for name in bodies if name != payload_key]:
        raise Mistake(
            f"the argument {others[0]!r} is a body, and payload_key={payload_key!r} does not name it; say "
            f"payload_key={others[0]!r}, or take it from elsewhere"
        )
    return bool(bodies)


def _is_framework(hint: Any) -> bool:
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    return isinstance(hint, type) and issubclass(hint, Request | Response)
