"""Names in a stub's signature that stand for nothing when it is declared.

FastAPI takes such a signature, and fails when the first request comes or the document is asked for.
"""

import inspect
from collections.abc import Iterator
from typing import Any, cast

from fastapi.routing import APIRoute
from pydantic import PydanticUndefinedAnnotation, TypeAdapter

from limen.app.annotations import field_annotation


def refuse_unresolved(route: APIRoute) -> None:
    """Raise TypeError for a name that a parameter, the body or an answer of ``route`` needs, and which is not defined.

    What is not needed is not looked at, such as a return annotation beside ``response_model=``.
    """
    for what, annotation in _needed(route):
        adapter: TypeAdapter[object] = TypeAdapter(annotation)
        if adapter.pydantic_complete:
            continue
        if (name := _undefined_name(adapter, route.endpoint)) is None:
            raise TypeError(f"{what} has a model that is not fully defined; call its model_rebuild() before the stub")
        raise TypeError(
            f"{what} needs {name!r}, which is not defined when the stub is declared; import it outside of "
            "`if TYPE_CHECKING:`, at the top of the module, or define it above the stub"
        )


def _needed(route: APIRoute) -> Iterator[tuple[str, Any]]:
    of = route.dependant
    for field in (*of.path_params, *of.query_params, *of.header_params, *of.cookie_params, *of.body_params):
        yield f"the parameter {field.name!r}", field_annotation(field.field_info)
    if route.response_model is not None:
        yield "the answer", route.response_model
    for status, response in route.responses.items():
        if (model := response.get("model")) is not None:
            yield f"the answer {status}", model


def _undefined_name(adapter: TypeAdapter[object], stub: object) -> str | None:
    # A text is looked up among the names of the stub's module, as FastAPI does; what a model names, among those of its own.
    names: dict[str, Any] = getattr(inspect.unwrap(cast("Any", stub)), "__globals__", {})
    for namespace in (names, None):
        try:
            adapter.rebuild(force=True, _types_namespace=namespace)
        except PydanticUndefinedAnnotation as error:
            return error.name
    return None
