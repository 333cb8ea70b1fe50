"""The body of a stub's signature: JSON, a form or a text that is held, or a form with files that streams."""

from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Any, Final, cast

from fastapi.datastructures import DefaultPlaceholder
from fastapi.params import Form
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from limen.app.annotations import alternatives, field_adapter
from limen.app.form_limits import FormLimits
from limen.app.signature_parameters import declared_parameter, refuse_alias_path, refuse_unfit_default
from limen.contract.form_body import FORM, MOST_FIELDS, MULTIPART, FormBody
from limen.contract.json_body import JsonBody
from limen.contract.text_body import TextBody
from limen.http.headers import is_json

AS_SENT = "as sent"

# Keys of a JSON schema that check nothing, besides that a part of a multipart body is a text or a file.
_ANNOTATIONS: Final = frozenset(
    ("title", "description", "default", "example", "examples", "deprecated", "contentMediaType", "required")
)


def declared_body(
    route: APIRoute, option: object, router_limits: FormLimits
) -> tuple[JsonBody | FormBody | TextBody | None, str | None]:
    """Return the body that is held and checked, and the media type of one that is declared and streams.

    ``option`` is the route's ``body=``, and ``router_limits`` are the ``form_limits`` of its routers. Raises TypeError for a
    body that a stub cannot have.
    """
    if option not in (None, AS_SENT):
        raise TypeError(f"body={option!r} is unknown; say body={AS_SENT!r}, or leave it out")
    fields: Sequence[Any] = route.dependant.body_params
    limits = _form_limits(route, router_limits)
    forms = [isinstance(field.field_info, Form) for field in fields]
    if _own_form_limits(route) and not any(forms):
        raise TypeError("form_limits= is for a declared form, and there is none; leave it out")
    if not fields:
        if option is not None:
            raise TypeError(f"body={option!r} is for a declared body, and there is none; leave it out")
        return None, None
    if all(forms):
        return _form(fields, option, limits)
    if any(forms):
        raise TypeError(
            "a body is a form or it is JSON, and cannot be both; declare all fields of it with Form(), or none"
        )
    for field in fields:
        refuse_unfit_default(field.name, field.field_info)
    info: FieldInfo = fields[0].field_info
    members = len(fields) > 1 or getattr(info, "embed", None)
    if members:
        # FastAPI has put them into one model, of which each is a member.
        for field in fields:
            refuse_alias_path(field.name, field.field_info)
        assert route.body_field is not None
        info = route.body_field.field_info
    media_type: str = getattr(info, "media_type", "application/json")
    if is_json(media_type.encode()):
        given = route.strict_content_type
        strict = given.value if isinstance(given, DefaultPlaceholder) else given
        return JsonBody(
            field_adapter(info), info.is_required(), option is not None, media_type, untyped=not strict
        ), None
    if members:
        raise TypeError(f"several fields, and those with embed=True, are members of JSON, and {media_type} has none")
    return _text(info, media_type, option), None


def _text(info: FieldInfo, media_type: str, option: object) -> TextBody:
    kinds = set(alternatives(info.annotation)) - {NoneType}
    if "*" in media_type or not kinds or not kinds <= {str, bytes}:
        raise TypeError(
            f"a body of {media_type} is read as str or bytes, and of one media type; declare it so, as JSON, or leave it out "
            "of the signature, so that it streams to the service"
        )
    if option is not None:
        raise TypeError(f"body={option!r} is for what a type ignores, and of {media_type} nothing is; leave it out")
    essence = media_type.partition(";")[0].strip().lower()
    return TextBody(field_adapter(info), essence, info.is_required(), binary=kinds == {bytes})


def _form_limits(route: APIRoute, of_routers: FormLimits) -> FormLimits:
    """Return the bounds of a form that ``route`` has, else its routers, and else its application."""
    app: Any = route.dependency_overrides_provider
    inherited: FormLimits = {} if app is None else app.router.form_limits
    return {**inherited, **of_routers, **_own_form_limits(route)}


def _own_form_limits(route: APIRoute) -> FormLimits:
    original: Any = getattr(route, "original_route", route)
    return cast("FormLimits", original.form_limits)


def _form(fields: Sequence[Any], option: object, limits: FormLimits) -> tuple[FormBody | None, str | None]:
    media_types = {field.field_info.media_type for field in fields}
    if not media_types <= {FORM, MULTIPART}:
        raise TypeError(f"a form comes as {FORM} or {MULTIPART}; leave out media_type=")
    if media_types == {FORM}:
        for field in fields:
            choices = set(alternatives(field.field_info.annotation)) - {NoneType}
            if len(choices) > 1 and any(isinstance(one, type) and issubclass(one, BaseModel) for one in choices):
                raise TypeError(f"the form {field.name!r} is one of several types; put the fields into one model")
        return FormBody(
            tuple(declared_parameter("form", field) for field in fields),
            as_sent=option is not None,
            max_fields=limits.get("max_fields", MOST_FIELDS),
            max_field_size=limits.get("max_part_size"),
        ), None
    if option is None:
        if limits:
            raise TypeError(
                f"form_limits= cannot hold here: {MULTIPART} streams to the service unread; let the service say it, and the "
                f"route body={AS_SENT!r}"
            )
        for field in fields:
            schema = field_adapter(field.field_info).json_schema()
            if (keyword := _checking_keyword(schema, schema.get("$defs", {}))) is not None:
                raise TypeError(
                    f"{MULTIPART} streams to the service unread, so that of {field.name!r} {keyword} would be documented and "
                    "not checked; declare a plain str, bytes or UploadFile, put it into the query or a header, or say "
                    f"body={AS_SENT!r}, which leaves it to the service"
                )
    return None, MULTIPART


def _checking_keyword(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str | None:
    """Return a keyword of the JSON ``schema`` that checks more than text or file; None if there is none."""
    inner: list[Mapping[str, Any]] = []
    for key, value in schema.items():
        if key in _ANNOTATIONS or key == "$defs" or key.startswith("x-"):
            continue
        if key == "type" and value in ("string", "array", "null", "object"):
            continue
        if key == "format" and value == "binary":
            continue
        if key == "$ref":
            name = value.rpartition("/")[2]
            if name in definitions:  # else this schema is within it
                others = {one: schema for one, schema in definitions.items() if one != name}
                if (keyword := _checking_keyword(definitions[name], others)) is not None:
                    return keyword
        elif key == "properties":
            inner += value.values()
        elif key == "items":
            inner.append(value)
        elif key == "anyOf":
            inner += value
        else:
            return f"{key}={value!r}"
    return next((keyword for one in inner if (keyword := _checking_keyword(one, definitions)) is not None), None)
