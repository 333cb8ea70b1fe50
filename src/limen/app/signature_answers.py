"""The answers of a stub: its return annotation or ``response_model``, and those that ``responses=`` declares."""

from types import NoneType
from typing import Any, Final

from fastapi.datastructures import DefaultPlaceholder
from fastapi.routing import APIRoute
from starlette.responses import JSONResponse, Response

from limen.app.annotations import adapter_of
from limen.contract.answer_model import AnswerModel
from limen.http.headers import is_json

# FastAPI's options, and their defaults.
_DEFAULTS: Final[dict[str, object]] = {
    "include": None,
    "exclude": None,
    "by_alias": True,
    "exclude_unset": False,
    "exclude_defaults": False,
    "exclude_none": False,
}


def documented_answer(route: APIRoute, *, after: bool) -> AnswerModel | None:
    """Return the model of the documented status; None if its answers pass through unread.

    It is that of ``response_model=``, else of the stub's return annotation, as FastAPI has read them. ``after`` tells
    whether a hook makes the answer. Raises TypeError for options that would have no effect.
    """
    annotation: Any = route.response_model
    options: dict[str, Any] = {name: getattr(route, f"response_model_{name}") for name in _DEFAULTS}
    given = [f"response_model_{name}" for name, value in options.items() if value is not _DEFAULTS[name]]
    if route.is_json_stream or route.is_sse_stream:
        unused = ["after"] * after + ["response_model"] * (annotation is not None) + given
        if unused:
            raise TypeError(
                f"the stub yields, so its answer is documented as a stream, which passes as it comes, and {unused[0]}= would "
                "read it whole; leave out one of them"
            )
        return None
    if _has_no_model(annotation):
        if given:
            raise TypeError(
                f"{given[0]}= is for an answer with a model, and there is none: give it one, or leave it out"
            )
        return None
    declared_class: Any = route.response_class
    placeholder = isinstance(declared_class, DefaultPlaceholder)
    response_class: type[Response] = declared_class.value if placeholder else declared_class
    if not _makes_json(response_class):
        name = response_class.__name__
        if after:
            raise TypeError(f"after= makes JSON, and response_class={name} is none; leave out one of them")
        if given or annotation not in (str, bytes):
            raise TypeError(
                f"response_class={name} has no JSON that could be checked; give response_model=None, and the "
                "service's answer passes as it is"
            )
        return None
    return AnswerModel(adapter_of(annotation), **options)


def other_answers(route: APIRoute) -> tuple[dict[int, AnswerModel], AnswerModel | None]:
    """Return the models that ``responses=`` declares for success statuses, by status, and the one for ``2XX``."""
    by_status: dict[int, AnswerModel] = {}
    rest: AnswerModel | None = None
    for status, response in route.responses.items():
        model = response.get("model")
        if _has_no_model(model):
            continue
        if str(status).upper() == "2XX":
            rest = AnswerModel(adapter_of(model))
        elif str(status).isdigit() and 200 <= int(status) < 300:
            by_status[int(status)] = AnswerModel(adapter_of(model))
    return by_status, rest


def _has_no_model(annotation: Any) -> bool:
    if annotation is None or annotation is Any or annotation is object or annotation is NoneType:
        return True
    return isinstance(annotation, type) and issubclass(annotation, Response)


def _makes_json(response_class: type[Response]) -> bool:
    if issubclass(response_class, JSONResponse):
        return True
    return response_class.media_type is not None and is_json(response_class.media_type.encode())
