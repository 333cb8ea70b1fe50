"""Paths that a route answers, made up from its pattern and from what its contract takes for a parameter."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from limen.contract.parameters import Parameter
from limen.routing.pattern import Pattern
from limen.runtime.route import Route

# What most parameters take, whatever their type, and what those of a path take.
_VALUES = (
    "1",
    "77",
    "a",
    "abc",
    "1.5",
    "00000000-0000-4000-8000-000000000000",
    "2026-01-31",
    "2026-01-31T12:00:00",
    "true",
)
_TAILS = ("a", "", "a/b")


@dataclass(frozen=True, slots=True)
class Sample:
    """A path, and the values of its parameters."""

    path: str
    values: Mapping[str, str]


def samples(route: Route) -> Iterator[Sample]:
    """Yield paths of ``route``, of which the table may still give some to more specific routes; plain ones first."""
    pattern = Pattern.parse(route.path)
    names = pattern.names
    choices = {name: _accepted(route, name, _TAILS if name == pattern.rest else _VALUES) for name in names}
    made: set[str] = set()
    for number in range(max(map(len, choices.values()), default=1)):
        values = {name: fitting[number % len(fitting)] for name, fitting in choices.items()}
        path = filled(pattern, values)
        if path not in made:
            made.add(path)
            yield Sample(path, values)


def filled(pattern: Pattern, values: Mapping[str, str]) -> str:
    """Return the path of ``pattern`` with ``values``, which are percent-encoded where they need it."""
    between = zip(pattern.names, pattern.literals[1:], strict=True)
    return pattern.literals[0] + "".join(values[name] + text for name, text in between)


def fits_contract(route: Route, values: Mapping[str, str]) -> bool:
    """Tell whether the contract of ``route`` takes these decoded ``values`` of its path."""
    return all(
        param.check({name: [value] for name, value in values.items()}) is None
        for param in route.contract.params
        if param.location == "path"
    )


def _accepted(route: Route, name: str, values: tuple[str, ...]) -> list[str]:
    param = next((one for one in route.contract.params if one.location == "path" and name in one.declared_names), None)
    if param is None or param.group is not None:
        return list(values)
    fitting = [value for value in (*_listed(param), *values) if param.check({name: [value]}) is None]
    return fitting or list(values)


def _listed(param: Parameter) -> list[str]:
    """Return the values that the type itself names: of an enum or a literal, and examples."""
    try:
        schema = param.adapter.json_schema()
    except Exception:  # of a type without a schema; another check reports it
        return []
    schemas = [schema, *schema.get("$defs", {}).values()]
    found = [value for one in schemas for key in ("enum", "examples") for value in one.get(key, ())]
    found += [one["const"] for one in schemas if "const" in one]
    return [str(value) for value in found if isinstance(value, str | int)]
