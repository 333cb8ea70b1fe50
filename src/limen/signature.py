"""From a FastAPI path operation to a framework-free Contract: FastAPI reads the signature, we keep what it found."""

from collections.abc import Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from fastapi.datastructures import DefaultPlaceholder
from fastapi.params import File, Form
from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo
from starlette.responses import JSONResponse, Response

from limen.declare.answer import Answer
from limen.declare.contract import Body, Contract, Param, Where
from limen.http.headers import is_json

AS_SENT = "as sent"
_MANY = (list, set, frozenset, tuple, Sequence)


def contract(route: APIRoute, answer: object, body: object = None, *, after: bool = False) -> Contract:
    """Return the contract of ``route``.

    ``answer`` is the stub's return annotation or its ``response_model``, ``body`` what the route says of its body, and
    ``after`` tells whether a hook makes the answer. Raises TypeError for what a stub cannot have.
    """
    found = route.dependant
    if found.dependencies or route.dependencies:
        raise TypeError("dependencies are not available on a stub; say who may call with allow=")
    if any(
        (
            found.request_param_name,
            found.response_param_name,
            found.http_connection_param_name,
            found.websocket_param_name,
            found.background_tasks_param_name,
        )
    ):
        raise TypeError("a stub is never run, so it cannot take Request, Response or BackgroundTasks; leave them out")
    groups: tuple[tuple[Where, Any], ...] = (
        ("path", found.path_params),
        ("query", found.query_params),
        ("header", found.header_params),
        ("cookie", found.cookie_params),
    )
    params = tuple(_param(where, field) for where, fields in groups for field in fields)
    answers, rest = _others(route)
    return Contract(params, _body(route, body), _answer(route, answer, after=after), answers, rest)


def _param(where: Where, field: Any) -> Param:
    info: FieldInfo = field.field_info
    name: str = field.alias
    model = info.annotation
    if isinstance(model, type) and issubclass(model, BaseModel):
        fields = tuple((f.alias or n, _is_many(f.annotation)) for n, f in model.model_fields.items())
        closed = model.model_config.get("extra") == "forbid"
        return Param(name, where, TypeAdapter(model), True, fields=fields, closed=closed)
    return Param(name, where, _adapter(info), info.is_required(), many=_is_many(model))


def _body(route: APIRoute, how: object) -> Body | None:
    if how not in (None, AS_SENT):
        raise TypeError(f"body={how!r} is unknown; say body={AS_SENT!r}, or leave it out")
    fields = route.dependant.body_params
    if not fields or any(isinstance(field.field_info, (Form, File)) for field in fields):
        if how is not None:
            raise TypeError(f"body={how!r} is for a declared JSON body, and there is none; leave it out")
        return None
    if len(fields) > 1 or getattr(fields[0].field_info, "embed", None):
        raise TypeError("a stub takes one body; put the fields into one model")
    info: FieldInfo = fields[0].field_info
    return Body(_adapter(info), info.is_required(), as_sent=how is not None)


def _adapter(info: FieldInfo) -> TypeAdapter[object]:
    # FastAPI's FieldInfo carries the constraints; the annotation is known at run time only.
    annotated: Any = Annotated
    return _schema(annotated[info.annotation, info])


def _answer(route: APIRoute, annotation: Any, *, after: bool) -> Answer | None:
    """Return what is declared of the documented status; None where answers pass through unread."""
    options: dict[str, Any] = {
        "include": route.response_model_include,
        "exclude": route.response_model_exclude,
        "by_alias": route.response_model_by_alias,
        "exclude_unset": route.response_model_exclude_unset,
        "exclude_defaults": route.response_model_exclude_defaults,
        "exclude_none": route.response_model_exclude_none,
    }
    given = [f"response_model_{name}" for name, value in options.items() if value is not _USUAL[name]]
    if _is_nothing(annotation):
        if given:
            raise TypeError(
                f"{given[0]}= is for an answer with a model, and there is none: give it one, or leave it out"
            )
        return None
    given_class: Any = route.response_class
    kind: type[Response] = given_class.value if isinstance(given_class, DefaultPlaceholder) else given_class
    if not _makes_json(kind):
        if after:
            raise TypeError(f"after= makes JSON, and response_class={kind.__name__} is none; leave out one of them")
        if given or annotation not in (str, bytes):
            raise TypeError(
                f"response_class={kind.__name__} has no JSON that could be checked; give response_model=None, and the "
                "service's answer passes as it is"
            )
        return None
    return Answer(_schema(annotation), **options)


# Options of FastAPI's as they are unless given.
_USUAL: dict[str, object] = {
    "include": None,
    "exclude": None,
    "by_alias": True,
    "exclude_unset": False,
    "exclude_defaults": False,
    "exclude_none": False,
}


def _others(route: APIRoute) -> tuple[dict[int, Answer], Answer | None]:
    """Return what ``responses=`` declares of success statuses, by status, and of ``2XX``."""
    found: dict[int, Answer] = {}
    rest: Answer | None = None
    for status, response in route.responses.items():
        model = response.get("model")
        if _is_nothing(model):
            continue
        if str(status).upper() == "2XX":
            rest = Answer(_schema(model))
        elif str(status).isdigit() and 200 <= int(status) < 300:
            found[int(status)] = Answer(_schema(model))
    return found, rest


def _is_nothing(annotation: Any) -> bool:
    if annotation is None or annotation is Any or annotation is object or annotation is NoneType:
        return True
    return isinstance(annotation, type) and issubclass(annotation, Response)


def _makes_json(kind: type[Response]) -> bool:
    return issubclass(kind, JSONResponse) or (kind.media_type is not None and is_json(kind.media_type.encode()))


def _schema(annotation: Any) -> TypeAdapter[object]:
    return TypeAdapter(annotation)


def _is_many(annotation: Any) -> bool:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _is_many(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return any(_is_many(part) for part in get_args(annotation))
    return (origin or annotation) in _MANY
