"""Annotations as FastAPI's signatures have them: their alternatives, and pydantic's adapters for them."""

from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import TypeAdapter
from pydantic.fields import FieldInfo


def adapter_of(annotation: Any) -> TypeAdapter[object]:
    """Return the adapter of a type that is known at run time only."""
    return TypeAdapter(annotation)


def field_annotation(info: FieldInfo) -> Any:
    """Return the type of a field with its constraints, which FastAPI's FieldInfo carries."""
    annotated: Any = Annotated
    return annotated[info.annotation, info]


def field_adapter(info: FieldInfo) -> TypeAdapter[object]:
    """Return the adapter of a field with its constraints."""
    return adapter_of(field_annotation(info))


def alternatives(annotation: Any) -> Iterator[Any]:
    """Yield the types of a union, or the one type."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from alternatives(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for part in get_args(annotation):
            yield from alternatives(part)
    else:
        yield annotation
