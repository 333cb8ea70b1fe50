"""The operations of a service's document as a forward publishes them."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, cast

from limen.app.document.json_types import Json, operations
from limen.app.document.operation_ids import free_id
from limen.app.document.path_templates import PublicPaths, names, sample, shape
from limen.app.document.service_components import ServiceComponents
from limen.app.document.service_document import ServiceDocument, ServiceDocumentError
from limen.app.document.who_may_call import EXTENSION, without_line
from limen.runtime.route import Route

Reaches = Callable[[Route, str, bytes], bool]
"""Tells whether requests of a method and a path are those of a route."""

_DROPPED: Final = frozenset(("operationId", "parameters", "responses", "security", "servers", EXTENSION))
_NO_WORD: Final = re.compile(r"\W")


@dataclass(frozen=True, slots=True)
class PublishedOperation:
    """An operation as it stands in the gateway's document."""

    path: str
    method: str
    operation: Json


@dataclass(frozen=True, slots=True)
class _Reached:
    path: str
    method: str
    operation: Json
    item: Json
    operation_id: str


def published(
    document: Json, route: Route, components: ServiceComponents, reaches: Reaches
) -> list[PublishedOperation]:
    """Return the operations of a service that clients reach through ``route``, copied for ``document``.

    What ``document`` has already at a path and method stays. Raises ServiceDocumentError.
    """
    reached = list(_reached(document, route, components.source, reaches))
    components.operation_ids.update(
        {given: one.operation_id for one in reached if isinstance(given := one.operation.get("operationId"), str)}
    )
    known = {shape(path): path for path in document.get("paths", {})}
    copies: list[PublishedOperation] = []
    for one in reached:
        path = known.setdefault(shape(one.path), one.path)
        copies.append(PublishedOperation(path, one.method, _copied(one, components, path)))
    components.finish()
    return copies


def check(route: Route, source: ServiceDocument, version: str) -> None:
    """Raise ServiceDocumentError if ``source`` cannot be published in a document of ``version``, or is of another service."""
    published({}, route, ServiceComponents(source, "", {}, version), lambda route, method, path: True)


def _reached(document: Json, route: Route, source: ServiceDocument, reaches: Reaches) -> Iterator[_Reached]:
    taken: set[str | None] = {operation.get("operationId") for _, _, operation in operations(document)}
    there = {(shape(path), method) for path, method, _ in operations(document)}
    for path, public, method, operation, item in _mapped(route, source):
        if (shape(public), method) in there or not reaches(route, method.upper(), sample(public)):
            continue
        there.add((shape(public), method))
        given: object = operation.get("operationId")
        wanted = given if isinstance(given, str) else f"{method}{path}"
        if wanted in taken or not isinstance(given, str):
            wanted = f"{route.upstream.name}_{wanted}"
        operation_id = free_id(_NO_WORD.sub("_", wanted), public, method, taken)
        taken.add(operation_id)
        yield _Reached(public, method, operation, item, operation_id)


def _mapped(route: Route, source: ServiceDocument) -> list[tuple[str, str, str, Json, Json]]:
    """Return the operations with their paths at the service and at the gateway.

    Some write the path of their server into their paths, and some do not: what the forward reaches decides.
    """
    found = source.operations()
    paths = PublicPaths(route)
    for base in dict.fromkeys(("", source.base)):
        mapped = [
            (path, public, method, operation, item)
            for path, method, operation, item in found
            if _allows(route, method) and (public := paths.public(f"{base}{path}")) is not None
        ]
        if mapped:
            return mapped
    if found:
        path, method = found[0][:2]
        raise ServiceDocumentError(
            f"none of its {len(found)} operations is reached by {route.name}: it has {method.upper()} {path}, "
            f"and requests come to the service as {route.rewrite or route.path}"
        )
    return []


def _allows(route: Route, method: str) -> bool:
    name = method.upper()
    return name in route.methods or (name == "HEAD" and "GET" in route.methods)


def _copied(one: _Reached, components: ServiceComponents, path: str) -> Json:
    """Copy the operation to ``path``, which may name the parameters of ``one.path`` otherwise."""
    rest = {member: value for member, value in one.operation.items() if member not in _DROPPED}
    operation: Json = components.copied("operation", rest)
    operation["operationId"] = one.operation_id
    description: object = operation.get("description", "")
    tags: object = operation.get("tags", [])
    if not isinstance(description, str) or not _are_texts(tags):
        raise ServiceDocumentError(f"the description or the tags of {one.method.upper()} {one.path} are not texts")
    operation["description"] = without_line(description)  # the service may be a gateway
    renamed = dict(zip(names(one.path), names(path), strict=True))
    parameters: dict[tuple[Any, Any], Json] = {}
    for given in (*_listed(one.item), *_listed(one.operation)):
        parameter = components.copied("parameter", components.source.resolved(given))
        key = (parameter.get("in"), parameter.get("name"))
        if not _are_texts([*key]):
            raise ServiceDocumentError(
                f"a parameter of {one.method.upper()} {one.path} says no name, or not in what it is"
            )
        if key[0] == "path":
            parameter["name"] = renamed.get(str(key[1]), key[1])
        parameters[key] = parameter
    if parameters:
        operation["parameters"] = list(parameters.values())
    # Merging adds members to these, so they stand here and not in the components.
    given_responses: Any = one.operation.get("responses", {})
    if not isinstance(given_responses, dict):
        raise ServiceDocumentError(f"the responses of {one.method.upper()} {one.path} are not an object")
    operation["responses"] = {
        status: components.copied("response", components.source.resolved(response))
        for status, response in cast("Json", given_responses).items()
        if not status.startswith("x-")
    }
    return operation


def _listed(value: Json) -> list[Json]:
    parameters: object = value.get("parameters", [])
    if not isinstance(parameters, list):
        raise ServiceDocumentError("the parameters of one of its operations are not a list")
    return cast("list[Json]", parameters)


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in cast("list[object]", value))


def documented_tags(document: Json, source: ServiceDocument, used: set[str]) -> list[Json]:
    """Return what ``source`` says of the tags that are ``used``, and that ``document`` does not describe."""
    wanted = used - {tag.get("name") for tag in document.get("tags", [])}
    tags: list[Json] = source.content.get("tags", [])
    return [tag for tag in tags if tag["name"] in wanted]
