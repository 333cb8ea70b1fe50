"""Bounds the work of checking the bodies of FastAPI's own endpoints, as on the gateway's routes.

FastAPI lists every error that pydantic finds, and pydantic finds all of them: 16,000 empty objects for a model of eight
fields are 128,000 errors. So ``limen.contract.checker`` checks the fields of a body: in a large document, each collection
stops at its first error. This relies on FastAPI's calling ``validate`` of a body's fields, which
``tests/unit/app/test_local.py`` tests.

A mounted application checks its own bodies.
"""

from collections.abc import Iterator, Sequence
from typing import Any, cast

from fastapi.routing import iter_route_contexts
from pydantic import TypeAdapter, ValidationError
from starlette.routing import BaseRoute

from limen.app.declaration import Declared
from limen.contract.checker import Checker
from limen.contract.violations import MOST_WORDED


def bound_validation(routes: Sequence[BaseRoute]) -> None:
    """Bound the work on the bodies of ``routes``, those of included routers too. A field that is bounded stays as it is."""
    for context in iter_route_contexts(routes):
        dependant: Any = getattr(context, "dependant", None)
        if dependant is None or isinstance(context.original_route, Declared):
            continue
        for field in _body_fields(dependant):
            if "validate" not in vars(field):
                field.validate = _BoundedValidate(cast("TypeAdapter[object]", vars(field)["_type_adapter"]))


def _body_fields(dependant: Any) -> Iterator[Any]:
    yield from dependant.body_params
    for inner in dependant.dependencies:
        yield from _body_fields(inner)


class _BoundedValidate:
    """Replaces the ``validate`` method of one field."""

    def __init__(self, adapter: TypeAdapter[object]) -> None:
        self._checker = Checker(adapter)

    def __call__(
        self, value: object, values: object = None, *, loc: tuple[int | str, ...] = ()
    ) -> tuple[object, list[dict[str, Any]]]:
        """Return the value and no errors, or None and its errors, in FastAPI's form."""
        try:
            return self._checker.check_attributes(value), []
        except ValidationError as error:
            count = error.error_count()
            if count > MOST_WORDED:
                msg = f"{count:,} places do not fit, too many to list"
                return None, [{"type": "too_many_misfits", "loc": loc, "msg": msg, "input": None}]
            return None, [{**one, "loc": (*loc, *one["loc"])} for one in error.errors(include_url=False)]
