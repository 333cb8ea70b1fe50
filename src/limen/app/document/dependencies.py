"""What dependencies ask of a request. FastAPI documents it for stubs and endpoints; of a ``forward`` it knows nothing."""

from dataclasses import dataclass, field
from typing import Any, Final, cast

from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from limen.app.dependencies import DependencyGuard
from limen.app.document.json_types import Json
from limen.app.document.problem import problems
from limen.app.document.shared import free_name
from limen.runtime.route import Route

_SCHEMAS: Final = "#/components/schemas/"


def has_schemes(route: Route) -> bool:
    """Tell whether the document has what credentials the dependencies of ``route`` ask for."""
    return isinstance(route.guard, DependencyGuard) and route.guard.schemes_documented


@dataclass(frozen=True, slots=True)
class Asked:
    """``parameters`` besides those of the path, ``security`` requirements, and the ``schemes`` that these name."""

    parameters: tuple[Json, ...] = ()
    security: tuple[dict[str, list[str]], ...] = ()
    schemes: dict[str, Json] = field(default_factory=dict[str, Json])

    @classmethod
    def by(cls, guard: object) -> "Asked":
        """Return what the dependencies of ``guard`` ask for; without dependencies, nothing."""
        if not isinstance(guard, DependencyGuard):
            return cls()
        route = APIRoute("/", _nothing)
        route.dependant = guard.dependant
        document = get_openapi(title="-", version="-", routes=[route])
        operation: Json = document["paths"]["/"]["get"]
        components: Json = document.get("components", {})
        parameters = [one for one in operation.get("parameters", []) if one["in"] != "path"]
        return cls(
            tuple(_whole(parameters, components.get("schemas", {}), ())),
            tuple(operation.get("security", [])),
            components.get("securitySchemes", {}),
        )

    def add_to(self, operation: Json, components: Json) -> None:
        """Add to the ``operation`` of a forward, and to the ``components`` of its document, what is not there yet."""
        there = {(one.get("name"), one.get("in")) for one in operation.get("parameters", [])}
        more = [dict(one) for one in self.parameters if (one["name"], one["in"]) not in there]
        if more:
            operation.setdefault("parameters", []).extend(more)
            for status, response in problems(422).items():
                operation.setdefault("responses", {}).setdefault(str(status), response)
        if self.security:
            known = components.setdefault("securitySchemes", {})
            names = {name: free_name(name, scheme, known) for name, scheme in self.schemes.items()}
            known.update({names[name]: scheme for name, scheme in self.schemes.items()})
            operation["security"] = [{names[name]: scopes for name, scopes in one.items()} for one in self.security]


def _whole(value: Any, schemas: Json, within: tuple[str, ...]) -> Any:
    """Return ``value`` with the schemas that it refers to in their places. One that is within itself may be anything."""
    if isinstance(value, list):
        return [_whole(one, schemas, within) for one in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    given = cast("Json", value)
    reference = given.get("$ref")
    if isinstance(reference, str):
        name = reference.removeprefix(_SCHEMAS)
        whole: Json = {} if name in within else _whole(schemas[name], schemas, (*within, name))
        return {**whole, **{key: one for key, one in given.items() if key != "$ref"}}
    return {key: _whole(one, schemas, within) for key, one in given.items()}


def _nothing() -> None:
    """Stand for the service, of which FastAPI documents nothing here."""
