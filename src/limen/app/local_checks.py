"""Checks the bodies of FastAPI's own endpoints with as much work as those of the gateway's routes, and no more.

FastAPI lists every error that pydantic finds, and pydantic finds all of them: 16,000 empty objects for a model of eight
fields are 128,000 errors. So the fields of a body are checked by ``limen.contract.checker``, which stops at the first misfit
of each collection in a large document. ``tests/unit/app/test_local.py`` relies on what is FastAPI's here: that a path
operation asks the ``validate`` of its fields.

An application that is mounted checks for itself.
"""

from collections.abc import Iterator, Sequence
from typing import Any, cast

from fastapi.routing import iter_route_contexts
from pydantic import TypeAdapter, ValidationError
from starlette.routing import BaseRoute

from limen.app.local import Registered
from limen.contract.checker import Checker
from limen.contract.misfits import MOST_WORDED


def bound(routes: Sequence[BaseRoute]) -> None:
    """Bound the work on the bodies of ``routes``, of included routers too; once for each field."""
    for found in iter_route_contexts(routes):
        dependant: Any = getattr(found, "dependant", None)
        if dependant is None or isinstance(found.original_route, Registered):
            continue
        for field in _fields(dependant):
            if "validate" not in vars(field):
                field.validate = _Check(cast("TypeAdapter[object]", vars(field)["_type_adapter"]))


def _fields(dependant: Any) -> Iterator[Any]:
    yield from dependant.body_params
    for inner in dependant.dependencies:
        yield from _fields(inner)


class _Check:
    """Stands where the method of a field is."""

    def __init__(self, adapter: TypeAdapter[object]) -> None:
        self._checker = Checker(adapter)

    def __call__(
        self, value: object, values: object = None, *, loc: tuple[int | str, ...] = ()
    ) -> tuple[object, list[dict[str, Any]]]:
        """Return the value and no errors, or none and its errors, as FastAPI has them."""
        try:
            return self._checker.attributes(value), []
        except ValidationError as error:
            count = error.error_count()
            if count > MOST_WORDED:
                said = f"{count:,} places do not fit, too many to list"
                return None, [{"type": "too_many_misfits", "loc": loc, "msg": said, "input": None}]
            return None, [{**one, "loc": (*loc, *one["loc"])} for one in error.errors(include_url=False)]
