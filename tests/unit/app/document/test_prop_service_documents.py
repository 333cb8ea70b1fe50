"""Whatever documents services have, the gateway's own is valid: all references lead somewhere, and all ids are different."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from openapi_spec_validator import validate

from documents import dangling
from examples import part
from limen import Upstream, anyone
from limen.app.document.public_document import Facts, PublicDocument
from limen.app.document.service_document import ServiceDocument
from limen.app.document.sources import FileSource
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


@settings(max_examples=part(25))
@given(several=st.lists(documents(), min_size=1, max_size=2), rewrite=st.sampled_from(["/{rest}", "/items/{rest}"]))
def test_a_merged_document_is_valid(several: list[dict[str, Any]], rewrite: str) -> None:
    public = PublicDocument()
    routes: list[Route] = []
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
            public.add_forward(route, {"document": f"{number}.json"})
        source = public.sources.of(f"{number}.json", up)
        assert isinstance(source, FileSource)
        source.document = ServiceDocument.of(content)
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
