"""Whatever documents services have, the gateway's own is valid: all references lead somewhere, and all ids are different."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from openapi_spec_validator import validate

from documents import as_json, dangling
from examples import part
from limen import Upstream, anyone
from limen.app.document.public_document import Facts, PublicDocument
from limen.app.document.service_document import ServiceDocument, ServiceDocumentError
from limen.app.document.service_operations import check
from limen.app.document.sources import FileSource
from limen.app.options import ForwardOptions
from limen.auth.method import Methods
from limen.runtime.route import Route

NAMES = st.sampled_from(["Item", "Problem", "A.b", "x-1"])
JSON = "application/json"


def _reference(section: str) -> st.SearchStrategy[dict[str, Any]]:
    return NAMES.map(lambda name: {"$ref": f"#/components/{section}/{name}"})


SCHEMAS: st.SearchStrategy[dict[str, Any]] = st.recursive(
    _reference("schemas")
    | st.fixed_dictionaries({"type": st.sampled_from(["string", "integer"])}, optional={"nullable": st.booleans()}),
    lambda inner: (
        st.fixed_dictionaries({"type": st.just("array"), "items": inner})
        | st.fixed_dictionaries({"type": st.just("object"), "properties": st.dictionaries(NAMES, inner, max_size=2)})
        | st.fixed_dictionaries({"oneOf": st.lists(inner, min_size=1, max_size=2)})
    ),
    max_leaves=4,
)
CONTENT = SCHEMAS.map(lambda schema: {JSON: {"schema": schema}})
RESPONSES = _reference("responses") | st.fixed_dictionaries(
    {"description": st.just("d")}, optional={"content": CONTENT}
)
BODIES = _reference("requestBodies") | st.fixed_dictionaries({"content": CONTENT})
PATHS = st.sampled_from(["/", "/items", "/items/{id}", "/items/{id}/parts/{part}", "/{name}.json"])
OPERATIONS = st.fixed_dictionaries(
    {
        "responses": st.dictionaries(
            st.sampled_from(["200", "401", "503", "default"]), RESPONSES, min_size=1, max_size=2
        )
    },
    optional={"requestBody": BODIES, "tags": st.just(["t"])},
)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    paths: dict[str, Any] = draw(
        st.dictionaries(PATHS, st.dictionaries(st.sampled_from(["get", "post"]), OPERATIONS, min_size=1), min_size=1)
    )
    for path, item in paths.items():
        item["parameters"] = [
            {"name": piece[: piece.index("}")], "in": "path", "required": True, "schema": draw(SCHEMAS)}
            for piece in path.split("{")[1:]
        ]
    for number, operation in enumerate(item[name] for item in paths.values() for name in item if name != "parameters"):
        if draw(st.booleans()):
            operation["operationId"] = draw(st.sampled_from(["a", "b"])) + str(number)
    every = ["Item", "Problem", "A.b", "x-1"]
    whole = st.fixed_dictionaries({"description": st.just("d")}, optional={"content": CONTENT})
    components = {
        "schemas": {name: draw(SCHEMAS.filter(lambda schema: "$ref" not in schema)) for name in every},
        "responses": {name: draw(whole) for name in every},
        "requestBodies": {name: {"content": draw(CONTENT)} for name in every},
    }
    version = draw(st.sampled_from(["3.0.3", "3.1.0"]))
    return {
        "openapi": version,
        "info": {"title": "t", "version": "1"},
        "paths": paths,
        "components": components,
        "security": [{"no": []}],
    }


VALUES = st.sampled_from(
    [None, True, 7, "text", [], {}, [7], ["#/no"], {"$ref": 7}, {"$ref": "#/components/schemas/Item"}]
)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    for key in list(value) if isinstance(value, dict) else range(len(value)):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


RICH: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "t", "version": "1"},
    "servers": [{"url": "/v1"}],
    "tags": [{"name": "t", "description": "d"}],
    "paths": {
        "/a/{id}": {
            "parameters": [{"$ref": "#/components/parameters/P"}],
            "get": {
                "operationId": "a",
                "description": "d",
                "tags": ["t"],
                "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
                "requestBody": {"content": {JSON: {"schema": {"$ref": "#/components/schemas/Item"}, "examples": {"e": {}}}}},
                "callbacks": {"c": {"{$url}": {"post": {"responses": {"200": {"description": "d"}}}}}},
                "responses": {
                    "200": {
                        "description": "d",
                        "headers": {"h": {"schema": {"type": "string"}}},
                        "content": {JSON: {"schema": {"oneOf": [{"$ref": "#/components/schemas/Item"}],
                                                      "discriminator": {"propertyName": "p", "mapping": {"i": "Item"}}}}},
                        "links": {"l": {"operationId": "a"}},
                    }
                },
            },
        }
    },
    "components": {
        "parameters": {"P": {"name": "q", "in": "query", "schema": {"type": "string", "minimum": 1}}},
        "schemas": {"Item": {"type": "object", "properties": {"x": {"$ref": "#/components/schemas/Item"}}}},
    },
}  # fmt: skip


@settings(max_examples=part(60))
@given(data=st.data(), version=st.sampled_from(["3.0.3", "3.1.0"]))
def test_what_is_wrong_with_a_document_is_told(data: st.DataObject, version: str) -> None:
    """Some of it is replaced by something else: that is published, or there is a sentence about it."""
    content = deepcopy(RICH | {"openapi": version})
    for _ in range(data.draw(st.integers(1, 2))):
        place, key = data.draw(st.sampled_from(list(_places(content))))
        place[key] = deepcopy(data.draw(VALUES))  # a part of it may be replaced next
    up = Upstream("svc", ["http://127.0.0.1:1"])
    route = Route(methods=("GET",), path="/s/{rest:path}", upstream=up, allow=anyone, rewrite="/{rest}")
    public = PublicDocument()
    source = public.sources.of("x.json", up)
    assert isinstance(source, FileSource)
    document: dict[str, Any] = {"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": {}}
    try:
        source.document = ServiceDocument.parse(as_json(content))
        check(route, source.document, "3.1.0")
    except ServiceDocumentError:
        pass
    if source.document is not None:
        options: ForwardOptions = {"upstream": up, "allow": anyone, "document": "x.json"}
        public.set_forwards([(route, options)], "3.1.0")
        public.complete(document, Facts([route], lambda _: Methods(), lambda route, method, path: True))
        assert not {one for one in dangling(document) if one.startswith("#/components/")}


@settings(max_examples=part(12))
@given(several=st.lists(documents(), min_size=1, max_size=2), rewrite=st.sampled_from(["/{rest}", "/items/{rest}"]))
def test_a_merged_document_is_valid(several: list[dict[str, Any]], rewrite: str) -> None:
    public = PublicDocument()
    routes: list[Route] = []
    forwards: list[tuple[Route, ForwardOptions]] = []
    for number, content in enumerate(several):
        up = Upstream(f"svc{number}", ["http://127.0.0.1:1"])
        for prefix in ("a", "b"):  # each service twice, by the same document
            route = Route(
                methods=("GET", "POST"),
                path=f"/{prefix}{number}/{{rest:path}}",
                upstream=up,
                allow=anyone,
                rewrite=rewrite,
            )
            routes.append(route)
            forwards.append((route, {"upstream": up, "allow": anyone, "document": f"{number}.json"}))
        source = public.sources.of(f"{number}.json", up)
        assert isinstance(source, FileSource)
        source.document = ServiceDocument.of(content)
    public.set_forwards(forwards, "3.1.0")
    own: dict[str, Any] = {"properties": {"mine": {"type": "string"}}}
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "t", "version": "1"},
        "components": {"schemas": {"Item": own, "Problem": own}},
        "paths": {},
    }
    public.complete(document, Facts(routes, lambda _: Methods(), lambda route, method, path: True))
    validate(document)
    assert dangling(document) == set()
    assert document["components"]["schemas"]["Item"] == document["components"]["schemas"]["Problem"] == own
    ids = [one["operationId"] for item in document["paths"].values() for one in item.values()]
    assert len(set(ids)) == len(ids)
    assert all(
        "x-limen-allow" in one and "security" not in one for item in document["paths"].values() for one in item.values()
    )
