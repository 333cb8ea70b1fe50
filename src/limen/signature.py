"""From a FastAPI path operation to a framework-free Contract: FastAPI reads the signature, we keep what it found."""

from collections.abc import Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from fastapi.params import File, Form
from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo
from starlette.responses import Response

from limen.declare.contract import Body, Contract, Param, Where

AS_SENT = "as sent"
_MANY = (list, set, frozenset, tuple, Sequence)


def contract(route: APIRoute, answer: object, body: object = None) -> Contract:
    """Return the contract of ``route``.

    ``answer`` is the stub's return annotation or its ``response_model``, ``body`` what the route says of its body. Raises
    TypeError for what a stub cannot have.
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
    return Contract(params, _body(route, body), _answer(answer))


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


def _answer(annotation: Any) -> TypeAdapter[object] | None:
    if annotation is None or annotation is Any or annotation is object or annotation is NoneType:
        return None
    if isinstance(annotation, type) and issubclass(annotation, Response):
        return None
    return _schema(annotation)


def _schema(annotation: Any) -> TypeAdapter[object]:
    return TypeAdapter(annotation)


def _is_many(annotation: Any) -> bool:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _is_many(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return any(_is_many(part) for part in get_args(annotation))
    return (origin or annotation) in _MANY
