"""From a FastAPI path operation to a framework-free Contract: FastAPI reads the signature, we keep what it found."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Union, cast, get_args, get_origin

from fastapi.datastructures import DefaultPlaceholder
from fastapi.params import Form
from fastapi.routing import APIRoute
from pydantic import AliasChoices, AliasPath, BaseModel, Json, TypeAdapter
from pydantic.fields import FieldInfo
from starlette.responses import JSONResponse, Response

from limen.contract.answer_model import AnswerModel
from limen.contract.contract import Contract
from limen.contract.form_body import FORM, MULTIPART, FormBody
from limen.contract.json_body import JsonBody
from limen.contract.parameters import GroupField, Parameter, ParameterGroup, ParameterLocation
from limen.contract.structure import takes_objects
from limen.contract.text_body import TextBody
from limen.http.headers import is_json

AS_SENT = "as sent"
_REPEATABLE: Final = (list, set, frozenset, tuple, deque, Sequence)

# What a schema may say of a part of a multipart body: that it is a text or a file, and what people read about it.
_HARMLESS: Final = frozenset(
    ("title", "description", "default", "example", "examples", "deprecated", "contentMediaType", "required")
)


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
    groups: tuple[tuple[ParameterLocation, Any], ...] = (
        ("path", found.path_params),
        ("query", found.query_params),
        ("header", found.header_params),
        ("cookie", found.cookie_params),
    )
    params = tuple(_param(location, field) for location, fields in groups for field in fields)
    for param in params:
        if param.location == "path" and param.name not in route.param_convertors:
            raise TypeError(
                f"the path has no parameter {param.name!r}; give it the name that the path has, without alias="
            )
    promised, streamed = _body(route, body)
    answers, rest = _others(route)
    return Contract(params, promised, _answer(route, answer, after=after), answers, rest, streamed)


def _param(location: ParameterLocation, field: Any) -> Parameter:
    info: FieldInfo = field.field_info
    _refuse_objects(location, field.name, info)
    model = None if _is_json_text(info) or getattr(info, "embed", None) else _model(info.annotation)
    names = [name for name, _ in _names(location, field.name, info, {}, convert=False)]
    if model is None:
        repeatable = location != "cookie" and not _is_json_text(info) and _is_repeatable(info.annotation)
        return Parameter(
            names[0], location, _adapter(info), info.is_required(), repeatable=repeatable, aliases=tuple(names[1:])
        )
    extra = model.model_config.get("extra") or "ignore"
    if location == "header" and extra == "forbid":
        raise TypeError(
            f"{model.__name__} forbids headers that it does not have, and every request has some, such as Host; "
            'let it say extra="ignore"'
        )
    convert = location == "header" and getattr(info, "convert_underscores", True)
    fields = tuple(_group_field(location, name, of, model, convert=convert) for name, of in model.model_fields.items())
    group = ParameterGroup(fields, extra, optional=info.annotation is not model)
    return Parameter(names[0], location, _adapter(info), info.is_required(), group=group)


def _group_field(
    location: ParameterLocation, name: str, info: FieldInfo, model: type[BaseModel], *, convert: bool
) -> GroupField:
    _refuse_objects(location, name, info)
    converts = location == "header" and getattr(info, "convert_underscores", convert)
    names = _names(location, name, info, cast("Mapping[str, Any]", model.model_config), convert=converts)
    return GroupField(
        tuple(names), location != "cookie" and not _is_json_text(info) and _is_repeatable(info.annotation)
    )


def _names(
    location: ParameterLocation, name: str, info: FieldInfo, config: Mapping[str, Any], *, convert: bool
) -> Iterator[tuple[str, str]]:
    """Yield the names by which a request may have this parameter, the preferred one first, each with the model's own."""

    def sent(given: str) -> str:
        given = given.replace("_", "-") if convert and given == name else given
        return given.lower() if location == "header" else given

    alias = info.validation_alias
    if isinstance(alias, AliasPath) or (
        isinstance(alias, AliasChoices) and any(isinstance(one, AliasPath) for one in alias.choices)
    ):
        raise TypeError(f"the parameter {name!r} has an AliasPath, and parameters have no parts; give it a name")
    known = [str(one) for one in alias.choices] if isinstance(alias, AliasChoices) else [alias or info.alias or name]
    by_alias = config.get("validate_by_alias") is not False
    by_name = config.get("validate_by_name") or config.get("populate_by_name") or not by_alias
    if by_alias:
        for one in known:
            # Of several choices each is a name as it stands.
            yield (sent(one) if not isinstance(alias, AliasChoices) else _cased(location, one)), one
    if by_name and (not by_alias or name not in known):
        yield sent(name), name


def _cased(location: ParameterLocation, name: str) -> str:
    return name.lower() if location == "header" else name


def _body(route: APIRoute, how: object) -> tuple[JsonBody | FormBody | TextBody | None, str | None]:
    """Return the body that is read, and the media type of one that is declared and streams."""
    if how not in (None, AS_SENT):
        raise TypeError(f"body={how!r} is unknown; say body={AS_SENT!r}, or leave it out")
    fields = route.dependant.body_params
    if not fields:
        if how is not None:
            raise TypeError(f"body={how!r} is for a declared body, and there is none; leave it out")
        return None, None
    of_forms = [field for field in fields if isinstance(field.field_info, Form)]
    if of_forms and len(of_forms) == len(fields):
        return _form(of_forms, how)
    if len(fields) > 1 or getattr(fields[0].field_info, "embed", None):
        raise TypeError("a stub takes one body; put the fields into one model")
    info: FieldInfo = fields[0].field_info
    media_type: str = getattr(info, "media_type", "application/json")
    if is_json(media_type.encode()):
        return JsonBody(_adapter(info), info.is_required(), how is not None, media_type), None
    return _text(info, media_type, how), None


def _text(info: FieldInfo, media_type: str, how: object) -> TextBody:
    kinds = set(_alternatives(info.annotation)) - {NoneType}
    if "*" in media_type or not kinds or not kinds <= {str, bytes}:
        raise TypeError(
            f"a body of {media_type} is read as str or bytes, and of one media type; declare it so, as JSON, or leave it out "
            "of the signature, so that it streams to the service"
        )
    if how is not None:
        raise TypeError(f"body={how!r} is for what a type ignores, and of {media_type} nothing is; leave it out")
    essence = media_type.partition(";")[0].strip().lower()
    return TextBody(_adapter(info), essence, info.is_required(), binary=kinds == {bytes})


def _form(fields: Sequence[Any], how: object) -> tuple[FormBody | None, str | None]:
    kinds = {field.field_info.media_type for field in fields}
    if not kinds <= {FORM, MULTIPART}:
        raise TypeError(f"a form comes as {FORM} or {MULTIPART}; leave out media_type=")
    if kinds == {FORM}:
        for field in fields:
            choices = set(_alternatives(field.field_info.annotation)) - {NoneType}
            if len(choices) > 1 and any(isinstance(one, type) and issubclass(one, BaseModel) for one in choices):
                raise TypeError(f"the form {field.name!r} is one of several types; put the fields into one model")
        return FormBody(tuple(_param("form", field) for field in fields), as_sent=how is not None), None
    if how is None:
        for field in fields:
            schema = _adapter(field.field_info).json_schema()
            if (promise := _promise(schema, schema.get("$defs", {}))) is not None:
                raise TypeError(
                    f"{MULTIPART} streams to the service unread, so that of {field.name!r} {promise} would be documented and "
                    "not checked; declare a plain str, bytes or UploadFile, put it into the query or a header, or say "
                    f"body={AS_SENT!r}, which leaves it to the service"
                )
    return None, MULTIPART


def _promise(schema: Mapping[str, Any], defined: Mapping[str, Any]) -> str | None:
    """Return what ``schema`` says of a part of a multipart body besides that it is a text or a file; None for nothing."""
    within: list[Mapping[str, Any]] = []
    for key, value in schema.items():
        if key in _HARMLESS or key == "$defs" or key.startswith("x-"):
            continue
        if key == "type" and value in ("string", "array", "null", "object"):
            continue
        if key == "format" and value == "binary":
            continue
        if key == "$ref":
            name = value.rpartition("/")[2]
            if name in defined:  # else this is within it
                rest = {one: schema for one, schema in defined.items() if one != name}
                if (found := _promise(defined[name], rest)) is not None:
                    return found
        elif key == "properties":
            within += value.values()
        elif key == "items":
            within.append(value)
        elif key == "anyOf":
            within += value
        else:
            return f"{key}={value!r}"
    return next((found for one in within if (found := _promise(one, defined)) is not None), None)


def _adapter(info: FieldInfo) -> TypeAdapter[object]:
    # FastAPI's FieldInfo carries the constraints; the annotation is known at run time only.
    annotated: Any = Annotated
    return _schema(annotated[info.annotation, info])


def _answer(route: APIRoute, annotation: Any, *, after: bool) -> AnswerModel | None:
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
    return AnswerModel(_schema(annotation), **options)


# Options of FastAPI's as they are unless given.
_USUAL: dict[str, object] = {
    "include": None,
    "exclude": None,
    "by_alias": True,
    "exclude_unset": False,
    "exclude_defaults": False,
    "exclude_none": False,
}


def _others(route: APIRoute) -> tuple[dict[int, AnswerModel], AnswerModel | None]:
    """Return what ``responses=`` declares of success statuses, by status, and of ``2XX``."""
    found: dict[int, AnswerModel] = {}
    rest: AnswerModel | None = None
    for status, response in route.responses.items():
        model = response.get("model")
        if _is_nothing(model):
            continue
        if str(status).upper() == "2XX":
            rest = AnswerModel(_schema(model))
        elif str(status).isdigit() and 200 <= int(status) < 300:
            found[int(status)] = AnswerModel(_schema(model))
    return found, rest


def _is_nothing(annotation: Any) -> bool:
    if annotation is None or annotation is Any or annotation is object or annotation is NoneType:
        return True
    return isinstance(annotation, type) and issubclass(annotation, Response)


def _makes_json(kind: type[Response]) -> bool:
    return issubclass(kind, JSONResponse) or (kind.media_type is not None and is_json(kind.media_type.encode()))


def _schema(annotation: Any) -> TypeAdapter[object]:
    return TypeAdapter(annotation)


def _is_repeatable(annotation: Any) -> bool:
    """Tell whether FastAPI reads every value of a parameter of this type."""
    return any(
        isinstance(one, type) and issubclass(one, _REPEATABLE) and not issubclass(one, str | bytes)
        for one in (get_origin(part) or part for part in _alternatives(annotation))
    )


def _refuse_objects(location: ParameterLocation, name: str, info: FieldInfo) -> None:
    """Refuse JSON in a parameter that may hold objects: it passes as text, with whatever is repeated or ignored in it."""
    if location == "form" or not _is_json_text(info):  # of a form, all JSON is refused
        return
    left: list[Any] = [_adapter(info).core_schema]
    while left:
        one = left.pop()
        if one["type"] == "json":
            if takes_objects(one.get("schema", {"type": "any"})):
                raise TypeError(
                    f"the {location} parameter {name!r} is JSON that may hold objects, and what is repeated or ignored in "
                    "them would reach the service; take a list of plain values, or send it as a body"
                )
        elif "schema" in one:
            left.append(one["schema"])


def _is_json_text(info: FieldInfo) -> bool:
    return any(type(one) is cast("Any", Json) for one in info.metadata)


def _model(annotation: Any) -> type[BaseModel] | None:
    """Return the model that takes a group of parameters, perhaps none of them."""
    choices = [one for one in _alternatives(annotation) if one is not NoneType]
    only = choices[0] if len(choices) == 1 else None
    return only if isinstance(only, type) and issubclass(only, BaseModel) else None


def _alternatives(annotation: Any) -> Iterator[Any]:
    """Yield the types of a union, or the one type."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _alternatives(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for part in get_args(annotation):
            yield from _alternatives(part)
    else:
        yield annotation
