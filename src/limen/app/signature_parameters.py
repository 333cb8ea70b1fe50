"""The parameters of a stub's signature, and the fields of its form."""

import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType, NoneType
from typing import Any, Final, cast, get_origin

from pydantic import AliasChoices, AliasPath, BaseModel, Json, ValidationError
from pydantic.fields import FieldInfo
from starlette.convertors import Convertor, PathConvertor, StringConvertor

from limen.app.annotations import alternatives, field_adapter
from limen.contract.parameters import GroupField, Parameter, ParameterGroup, ParameterLocation
from limen.contract.structure import may_hold_objects

_SEQUENCES: Final = (list, set, frozenset, tuple, deque, Sequence)
_TEXTS: Final = (StringConvertor, PathConvertor)
_NONE: Final[Mapping[str, Convertor[Any]]] = MappingProxyType({})


def declared_parameter(
    location: ParameterLocation, field: Any, converters: Mapping[str, Convertor[Any]] = _NONE
) -> Parameter:
    """Return the parameter that FastAPI's ``field`` declares; ``converters`` are those of the path, by name.

    Raises TypeError for what a stub cannot have.
    """
    info: FieldInfo = field.field_info
    _refuse_objects(location, field.name, info)
    refuse_unfit_default(field.name, info)
    model = None if _is_json_text(info) or getattr(info, "embed", None) else _group_model(info.annotation)
    names = [name for name, _ in _names(location, field.name, info, {}, convert=False)]
    if model is None:
        converter = converters.get(names[0])
        return Parameter(
            names[0],
            location,
            field_adapter(info),
            info.is_required(),
            repeatable=_is_repeatable(location, info),
            aliases=tuple(names[1:]),
            empty_is_missing=_is_missing_if_empty(location, info),
            convert=None if converter is None or isinstance(converter, _TEXTS) else partial(_converted, converter),
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
    return Parameter(names[0], location, field_adapter(info), info.is_required(), group=group)


def _group_field(
    location: ParameterLocation, name: str, info: FieldInfo, model: type[BaseModel], *, convert: bool
) -> GroupField:
    _refuse_objects(location, name, info)
    converts = location == "header" and getattr(info, "convert_underscores", convert)
    names = _names(location, name, info, cast("Mapping[str, Any]", model.model_config), convert=converts)
    return GroupField(tuple(names), _is_repeatable(location, info), _is_missing_if_empty(location, info))


def _names(
    location: ParameterLocation, name: str, info: FieldInfo, config: Mapping[str, Any], *, convert: bool
) -> Iterator[tuple[str, str]]:
    """Yield the names that this parameter may have in a request, the preferred one first, each with the model's own."""

    def cased(given: str) -> str:
        return given.lower() if location == "header" else given

    def sent(given: str) -> str:
        return cased(given.replace("_", "-") if convert and given == name else given)

    refuse_alias_path(name, info)
    alias = info.validation_alias
    aliases = (
        [str(one) for one in alias.choices]
        if isinstance(alias, AliasChoices)
        else [alias if alias and isinstance(alias, str) else info.alias or name]
    )
    by_alias = config.get("validate_by_alias") is not False
    by_name = config.get("validate_by_name") or config.get("populate_by_name") or not by_alias
    if by_alias:
        for one in aliases:
            # Underscores of alias choices are not converted.
            yield (cased(one) if isinstance(alias, AliasChoices) else sent(one)), one
    if by_name and (not by_alias or name not in aliases):
        yield sent(name), name


def refuse_alias_path(name: str, info: FieldInfo) -> None:
    """Refuse a name that is a path into a value."""
    alias = info.validation_alias
    if isinstance(alias, AliasPath) or (
        isinstance(alias, AliasChoices) and any(isinstance(one, AliasPath) for one in alias.choices)
    ):
        raise TypeError(f"the parameter {name!r} has an AliasPath, and parameters have no parts; give it a name")


def _is_repeatable(location: ParameterLocation, info: FieldInfo) -> bool:
    """Tell whether FastAPI reads every value of this parameter."""
    return location != "cookie" and not _is_json_text(info) and _is_sequence(info)


def _is_missing_if_empty(location: ParameterLocation, info: FieldInfo) -> bool:
    """Tell whether FastAPI reads an empty text as no value: in a form, and where a sequence is read from one text."""
    return location == "form" or (_is_sequence(info) and not _is_repeatable(location, info))


def _is_sequence(info: FieldInfo) -> bool:
    return any(
        isinstance(one, type) and issubclass(one, _SEQUENCES) and not issubclass(one, str | bytes)
        for one in (get_origin(part) or part for part in alternatives(info.annotation))
    )


def _converted(converter: Convertor[Any], text: str) -> object:
    # FastAPI answers 404 for what does not fit the path, and so does the routing table where it knows of converters.
    if re.fullmatch(converter.regex, text) is None:
        raise ValueError(text)
    return converter.convert(text)


def refuse_unfit_default(name: str, info: FieldInfo) -> None:
    """Refuse a default that FastAPI would check, in each request without the parameter, and find unfit."""
    if info.validate_default and not info.is_required() and info.default_factory is None:
        try:
            field_adapter(info).validate_python(info.default)
        except ValidationError:
            raise TypeError(
                f"the default of {name!r} does not fit its type, and with validate_default=True a request without it is "
                "refused; give another default, or none"
            ) from None


def _refuse_objects(location: ParameterLocation, name: str, info: FieldInfo) -> None:
    """Refuse JSON in a parameter that may hold objects: it passes as text, with whatever is repeated or ignored in it."""
    if location == "form" or not _is_json_text(info):  # FormBody refuses all JSON in a form
        return
    left: list[Any] = [field_adapter(info).core_schema]
    while left:
        one = left.pop()
        if one["type"] == "json":
            if may_hold_objects(one.get("schema", {"type": "any"})):
                raise TypeError(
                    f"the {location} parameter {name!r} is JSON that may hold objects, and what is repeated or ignored in "
                    "them would reach the service; take a list of plain values, or send it as a body"
                )
        elif "schema" in one:
            left.append(one["schema"])


def _is_json_text(info: FieldInfo) -> bool:
    return any(type(one) is cast("Any", Json) for one in info.metadata)


def _group_model(annotation: Any) -> type[BaseModel] | None:
    """Return the model that reads a group of parameters, which may be optional; None if the type is no model."""
    choices = [one for one in alternatives(annotation) if one is not NoneType]
    only = choices[0] if len(choices) == 1 else None
    return only if isinstance(only, type) and issubclass(only, BaseModel) else None
