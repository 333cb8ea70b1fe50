"""The types of all operations: whether each can be built, or names something that is not there at run time.

A stub's are built when it is declared. Those of local endpoints, and of ``responses=``, FastAPI builds when it needs them.
"""

from collections.abc import Iterator
from typing import Any, ForwardRef, cast, get_args

from fastapi.routing import RouteContext
from pydantic import BaseModel, PydanticUserError, TypeAdapter
from pydantic.errors import PydanticUndefinedAnnotation

from limen.checks.finding import Finding, Kind
from limen.checks.subject import Subject, place_of_context


def check(subject: Subject) -> Iterator[Finding]:
    """Yield a finding for each place of each operation whose type cannot be built."""
    for context in subject.contexts:
        for where, field in _fields(context):
            # FastAPI's field has its adapter in a private attribute alone; ``limen.app.local_checks`` relies on it too.
            adapter = cast("TypeAdapter[object]", vars(field)["_type_adapter"])
            try:
                adapter.rebuild(raise_errors=True)
            except (PydanticUserError, NameError) as error:
                yield Finding(
                    Kind.UNRESOLVED_MODEL,
                    place_of_context(context),
                    f"the type of {where} cannot be built: {_reason(field.field_info.annotation, error)}",
                    "import the name for run time too (not under TYPE_CHECKING alone), give the class itself in place of "
                    "its name, or call model_rebuild() once all classes are there",
                )


def _fields(context: RouteContext) -> Iterator[tuple[str, Any]]:
    """Yield the fields of an operation, each with what it is."""
    dependant: Any = getattr(context, "dependant", None)
    if dependant is not None:
        yield from _parameters(dependant)
    answer: Any = getattr(context, "response_field", None)
    if answer is not None:
        yield "the answer", answer
    answers: dict[int | str, Any] = getattr(context, "response_fields", None) or {}
    for status, field in answers.items():
        yield f"responses={{{status}: ...}}", field


def _parameters(dependant: Any) -> Iterator[tuple[str, Any]]:
    for location in ("path", "query", "header", "cookie", "body"):
        for field in getattr(dependant, f"{location}_params"):
            yield f"the {'body' if location == 'body' else f'{location} parameter'} {field.name!r}", field
    for inner in dependant.dependencies:
        yield from _parameters(inner)


def _reason(annotation: object, error: Exception) -> str:
    names = list(dict.fromkeys(_unresolved(annotation)))
    if not names:
        return str(error).partition("\n")[0]
    return f"nothing is called {' or '.join(map(repr, names))} when the gateway starts."


def _unresolved(annotation: object) -> Iterator[str]:
    """Yield the names in ``annotation``, and in the models that it holds, that lead nowhere."""
    if isinstance(annotation, str):
        yield annotation
    elif isinstance(annotation, ForwardRef):
        yield annotation.__forward_arg__
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        try:
            annotation.model_rebuild(raise_errors=True)
        except PydanticUndefinedAnnotation as error:
            yield error.name or str(error)
    for part in get_args(annotation):
        yield from _unresolved(part)
