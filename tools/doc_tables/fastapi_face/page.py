"""The places where FastAPI has parameters, and the tables of docs/fastapi.md, one for each place."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any, Final

from fastapi import APIRouter, FastAPI, param_functions
from fastapi.dependencies.models import Dependant

from doc_tables.fastapi_face import application, methods, parameters, routes
from doc_tables.fastapi_face.row import VERDICTS, Row
from doc_tables.table import Filled, replaced, under


@dataclass(frozen=True, slots=True)
class Place:
    """A table: its ``heading``, its ``rows``, and what FastAPI itself ``has`` there, by name."""

    name: str
    heading: str
    rows: tuple[Row, ...]
    has: Callable[[], set[str]]
    code: str = "`{}=`"


def taken(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names of the parameters of ``function``, without ``self``."""
    return tuple(name for name in inspect.signature(function).parameters if name != "self")


def _all_of(*functions: Callable[..., Any]) -> Callable[[], set[str]]:
    return lambda: {name for function in functions for name in taken(function)}


def public_methods() -> set[str]:
    """Return the names of the public methods of FastAPI."""
    return {name for name in dir(FastAPI) if not name.startswith("_") and callable(getattr(FastAPI, name))}


def _classes() -> set[str]:
    found = {one.name for one in fields(Dependant)}
    return {name.removesuffix("_param_name") for name in found if name.endswith("_param_name")}


_FUNCTIONS: Final = ("Path", "Query", "Header", "Cookie", "Body", "Form", "File")
_VERBS: Final = (FastAPI.get, FastAPI.put, FastAPI.post, FastAPI.delete, FastAPI.patch)

PLACES: Final = (
    Place("Gateway", "## Arguments of `Gateway`", application.ROWS, _all_of(FastAPI.__init__)),
    Place("operation", "## Options of a decorator", routes.OPERATIONS, _all_of(*_VERBS)),
    Place("signature", "## Classes in a signature", parameters.CLASSES, _classes, "`{}`"),
    Place(
        "parameter",
        "## `Path`, `Query`, `Header`, `Cookie`, `Body`, `Form` and `File`",
        parameters.FUNCTIONS,
        _all_of(*(getattr(param_functions, name) for name in _FUNCTIONS)),
    ),
    Place(
        "dependency",
        "## `Depends` and `Security`",
        parameters.DEPENDENCIES,
        _all_of(param_functions.Depends, param_functions.Security),
    ),
    Place(
        "method",
        "## Methods of the application",
        methods.ROWS,
        lambda: public_methods() | methods.ATTRIBUTES,
        "`app.{}`",
    ),
    Place(
        "include",
        "## Arguments of `include_router`",
        routes.INCLUDE,
        _all_of(FastAPI.include_router, APIRouter.include_router),
    ),
    Place("router", "## Arguments of a router", routes.ROUTER, _all_of(APIRouter.__init__)),
)

NOTHING: Final = "\N{EN DASH}"

# What FastAPI's dependant calls a class, and what people write.
_CLASSES: Final = {
    "request": "Request",
    "websocket": "WebSocket",
    "http_connection": "HTTPConnection",
    "response": "Response",
    "background_tasks": "BackgroundTasks",
    "security_scopes": "SecurityScopes",
}


def face(text: str) -> Filled:
    """Write the tables of docs/fastapi.md."""
    text = replaced(text, under(text, "## What the words mean"), ((word, said) for word, said in VERDICTS.items()))
    for place in PLACES:
        text = replaced(text, under(text, place.heading), map(_cells_of(place), place.rows))
    return Filled(text, tuple(problems()))


def problems() -> Iterator[str]:
    """Yield what is wrong with the rows: parameters of FastAPI's without one, and rows of none."""
    for place in PLACES:
        names = [row.parameter for row in place.rows]
        has = place.has()
        yield from (
            f"{place.name}: FastAPI has {name}, and no row says what it does" for name in sorted(has - {*names})
        )
        yield from (
            f"{place.name}: FastAPI has no {name} any more; take the row out" for name in sorted({*names} - has)
        )
        yield from (f"{place.name}: {name} has two rows" for name in sorted({*names}) if names.count(name) > 1)
    for row in methods.ROWS:
        if row.parameter not in methods.ATTRIBUTES and hasattr(FastAPI, row.parameter):
            real = taken(getattr(FastAPI, row.parameter))
            yield from (f"app.{row.parameter} takes {name} in FastAPI" for name in sorted({*real} - {*row.takes}))
            yield from (f"app.{row.parameter} takes no {name} any more" for name in sorted({*row.takes} - {*real}))


def _cells_of(place: Place) -> Callable[[Row], tuple[str, ...]]:
    def of(row: Row) -> tuple[str, ...]:
        name = _CLASSES[row.parameter] if place.name == "signature" else row.parameter
        written = place.code.format(name)
        cells = (written, row.verdict, row.on_a_stub or NOTHING, row.instead or NOTHING)
        return tuple(cell.replace("|", "\\|") for cell in cells)

    return of
