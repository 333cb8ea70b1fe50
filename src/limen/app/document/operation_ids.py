"""Operation ids: the name of the function while that is unique, else FastAPI's own default, which has path and method."""

import re
from collections.abc import Collection, Sequence
from typing import Any

from fastapi.datastructures import DefaultPlaceholder
from fastapi.routing import APIRoute, iter_route_contexts
from fastapi.utils import generate_unique_id
from starlette.routing import BaseRoute

from limen.app.document.json_types import Json, operations

_NO_WORD = re.compile(r"\W")


class FunctionNames:
    """The ``generate_unique_id_function`` of a gateway: the first route with a name has that name as its id.

    FastAPI asks again for the same route, such as for each inclusion of its router: the same answer follows.
    """

    def __init__(self) -> None:
        """Know no route."""
        self._owners: dict[str, tuple[str, frozenset[str]]] = {}

    def __call__(self, route: APIRoute) -> str:
        """Return the id of ``route``, or of what FastAPI makes of it where its router is included."""
        owner = (route.path_format, frozenset(route.methods or ()))
        if self._owners.setdefault(route.name, owner) == owner:
            return route.name
        # As FastAPI's own, but for the order of several methods, which there differs from process to process.
        return f"{_NO_WORD.sub('_', route.name + route.path_format)}_{min(route.methods or {'get'}).lower()}"


def chosen_by_user(routes: Sequence[BaseRoute]) -> set[tuple[str, str]]:
    """Return path and method of the operations whose ids the user chose, by ``operation_id=`` or by a function."""
    chosen: set[tuple[str, str]] = set()
    for context in iter_route_contexts(routes):
        if isinstance(context.original_route, APIRoute):
            generate: Any = context.generate_unique_id_function
            generate = generate.value if isinstance(generate, DefaultPlaceholder) else generate
            ours = isinstance(generate, FunctionNames) or generate is generate_unique_id
            if context.operation_id or not ours:
                chosen |= {(str(context.path_format), method.lower()) for method in context.methods or ()}
    return chosen


def make_unique(document: Json, kept: Collection[tuple[str, str]]) -> None:
    """Give each operation of ``document`` whose id another one has an id of its own.

    ``kept`` has path and method of the operations whose ids the user chose: those stay. Of the others the first keeps its id.
    """
    found = operations(document)
    taken = {operation.get("operationId") for path, method, operation in found if (path, method) in kept}
    for path, method, operation in found:
        given = operation.get("operationId")
        if given is None or (path, method) in kept:
            continue
        operation["operationId"] = unique = free_id(given, path, method, taken)
        taken.add(unique)


def free_id(wanted: str, path: str, method: str, taken: Collection[str | None]) -> str:
    """Return ``wanted``, or if that is taken one that names the path and the method, too."""
    if wanted not in taken:
        return wanted
    tail = _NO_WORD.sub("_", f"{path}_{method}")
    base = wanted if wanted.endswith(tail) else wanted + tail
    number, unique = 1, base
    while unique in taken:
        number += 1
        unique = f"{base}_{number}"
    return unique
