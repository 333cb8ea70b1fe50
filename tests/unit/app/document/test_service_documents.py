"""The document of a service behind a forward: which of its operations are published, and under which names."""

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from openapi_spec_validator import validate
from pydantic import BaseModel

from documents import as_json, dangling
from limen import DeclarationError, Gateway, Upstream, anyone, role
from limen.app.document import service_components
from limen.app.document.service_components import ServiceComponents
from limen.app.document.service_document import DEEPEST, MOST_BYTES, ServiceDocument, ServiceDocumentError
from limen.auth import Jwt

UP = Upstream("reports", ["http://127.0.0.1:1"])
JSON = "application/json"


class Report(BaseModel):
    """What the service has."""

    id: int
    follows: "Report | None" = None


def service() -> dict[str, Any]:
    app = FastAPI(title="Reports", openapi_tags=[{"name": "all", "description": "All."}, {"name": "unused"}])

    @app.get("/reports/{id}", tags=["all"])
    def one(id: int) -> Report: ...  # noqa: A002 - the name of the parameter

    @app.delete("/reports/{id}")
    def drop(id: int) -> None: ...  # noqa: A002 - likewise

    @app.post("/reports/")
    def make(report: Report) -> Report: ...

    @app.get("/internal/state")
    def state() -> int: ...

    del one, drop, make, state
    return app.openapi()


def written(tmp_path: Path, content: object) -> str:
    file = tmp_path / "reports.json"
    file.write_bytes(content if isinstance(content, bytes) else as_json(content))
    return str(file)


def published(app: Gateway) -> dict[str, Any]:
    app.compile()
    document = app.openapi()
    validate(document)
    assert dangling(document) == set()
    return document


def operation_of(responses: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"responses": responses, **members}


def small(paths: dict[str, Any], components: dict[str, Any] | None = None, version: str = "3.1.0") -> dict[str, Any]:
    document: dict[str, Any] = {"openapi": version, "info": {"title": "t", "version": "1"}, "paths": paths}
    return document | ({"components": components} if components else {})


def answer(schema: dict[str, Any]) -> dict[str, Any]:
    return {"200": {"description": "ok", "content": {JSON: {"schema": schema}}}}


def test_what_the_forward_reaches_is_published_with_its_rules(tmp_path: Path) -> None:
    app = Gateway(auth=Jwt("k" * 32))

    @app.get("/reports/{report_id}", upstream=UP, allow=anyone)
    def own(report_id: int) -> dict[str, int]: ...

    del own
    source: dict[str, Any] = {**service(), "servers": [{"url": "https://internal"}]}
    source["paths"]["/reports/{id}"]["delete"]["security"] = [{"internal": []}]
    app.forward("/reports/{path:path}", upstream=UP, allow=role("a"), methods=["GET", "DELETE", "POST"],
                document=written(tmp_path, source))  # fmt: skip
    document = published(app)
    assert "servers" not in document
    assert sorted(document["paths"]) == ["/reports/", "/reports/{report_id}"]
    item = document["paths"]["/reports/{report_id}"]
    assert item["get"]["operationId"] == "own"  # the stub answers it
    drop = item["delete"]
    assert [one["name"] for one in drop["parameters"]] == ["report_id"]
    assert (drop["security"], drop["x-limen-allow"], drop["tags"]) == ([{"bearer": []}], "role(a)", ["reports"])
    assert {"401", "403", "422", "502"} <= drop["responses"].keys()
    assert drop["description"].endswith("**Who may call:** callers with the role `a`, with a bearer token.")


def test_a_rewrite_is_turned_round(tmp_path: Path) -> None:
    source = service()
    app = Gateway()
    app.forward("/t/{tenant}/{rest:path}", upstream=UP, allow=anyone, rewrite="/reports/{rest}",
                document=written(tmp_path, source), tags=["public"])  # fmt: skip
    document = published(app)
    assert sorted(document["paths"]) == ["/t/{tenant}/", "/t/{tenant}/{id}"]
    one = document["paths"]["/t/{tenant}/{id}"]["get"]
    assert sorted((each["name"], each["schema"]["type"]) for each in one["parameters"]) == [
        ("id", "integer"),
        ("tenant", "string"),
    ]
    assert one["tags"] == ["public"]


def test_a_parameter_of_both_names_stays_two(tmp_path: Path) -> None:
    app = Gateway()
    app.forward(
        "/t/{id}/{rest:path}", upstream=UP, allow=anyone, rewrite="/{rest}", document=written(tmp_path, service())
    )
    document = published(app)
    assert "/t/{id_}/reports/{id}" in document["paths"]


@pytest.mark.parametrize("base", ["https://x.example/v1/", "/v1"])
def test_the_path_of_the_server_counts_where_nothing_is_reached_without(tmp_path: Path, base: str) -> None:
    source = service() | {"servers": [{"url": base}]}
    app = Gateway()
    app.forward("/v1/reports/{path:path}", upstream=UP, allow=anyone, document=written(tmp_path, source))
    assert "/v1/reports/{id}" in published(app)["paths"]


def test_names_that_are_taken_get_the_name_of_the_upstream(tmp_path: Path) -> None:
    class Report(BaseModel):
        mine: int

    app = Gateway()

    @app.get("/mine", upstream=UP, allow=anyone, operation_id="one_reports__id__get")
    def mine() -> Report: ...

    del mine
    file = written(tmp_path, service())
    for prefix in ("/a", "/b"):
        app.forward(f"{prefix}/{{path:path}}", upstream=UP, allow=anyone, rewrite="/{path}", document=file)
    other = Upstream("other", ["http://127.0.0.1:2"])
    app.forward("/c/{path:path}", upstream=other, allow=anyone, rewrite="/{path}", document=file)
    document = published(app)
    schemas = document["components"]["schemas"]
    assert [*schemas["Report"]["properties"]] == ["mine"]
    # Both forwards to one service share its schemas; another service has its own.
    assert sorted(name for name in schemas if "Report" in name) == [
        "Report", "Report-Input", "Report-Output", "other_Report-Input", "other_Report-Output"
    ]  # fmt: skip
    ids = [one["operationId"] for item in document["paths"].values() for one in item.values()]
    assert len(set(ids)) == len(ids) == 13
    assert document["paths"]["/a/reports/{id}"]["get"]["operationId"] == "reports_one_reports__id__get"
    assert document["tags"] == [{"name": "all", "description": "All."}]


def test_every_kind_of_reference_is_followed(tmp_path: Path) -> None:
    called = operation_of({"200": {"$ref": "#/components/responses/Ok"}}, operationId="x", security=[{"s": []}])
    components = {
        "schemas": {
            "Problem": {"type": "object"},
            "Pet": {
                "oneOf": [{"$ref": "#/components/schemas/Problem"}, {"$ref": "#/components/schemas/Dog"}],
                "discriminator": {"propertyName": "kind", "mapping": {"dog": "Dog"}},
            },
            "Dog": {
                "type": "object",
                "properties": {
                    "$ref": {"type": "string"},
                    "example": {"$ref": "#/components/schemas/Problem"},
                    "deep": {"$ref": "#/components/schemas/Pet/oneOf/0"},
                    "first": {"$ref": "#/paths/~1x/get/responses/200/content/application~1json/schema"},
                },
                "default": {"$ref": "a value"},
                "additionalProperties": False,
            },
        },
        "parameters": {"Limit": {"name": "limit", "in": "query", "schema": {"type": "integer"}}},
        "responses": {
            "Ok": {
                "description": "ok",
                "headers": {"x-h": {"$ref": "#/components/headers/H"}},
                "content": {JSON: {"examples": {"e": {"$ref": "#/components/examples/E"}}}},
                "links": {
                    "self": {"operationId": "x"},
                    "gone": {"operationId": "unreached"},
                    "ref": {"operationRef": "#/paths/~1x/get"},
                },
            }
        },
        "headers": {"H": {"schema": {"$ref": "#/components/schemas/Dog"}}},
        "examples": {"E": {"value": {"$ref": "data"}}},
        "requestBodies": {"B": {"content": {JSON: {"schema": {"$ref": "#/components/schemas/Pet"}}}}},
        "callbacks": {"C": {"{$request.body#/url}": {"post": called}}},
        "securitySchemes": {"s": {"type": "http", "scheme": "basic"}},
    }  # fmt: skip
    paths = {
        "/x": {
            "parameters": [{"$ref": "#/components/parameters/Limit"}],
            "get": operation_of(
                answer({"type": "array", "items": {"$ref": "#/components/schemas/Pet"}}), operationId="x"
            ),
            "post": {
                "requestBody": {"$ref": "#/components/requestBodies/B"},
                "responses": {"200": {"$ref": "#/components/responses/Ok"}},
                "callbacks": {"c": {"$ref": "#/components/callbacks/C"}},
                "x-extension": {"$ref": "data"},
            },
        }
    }
    app = Gateway()

    @app.get("/p", upstream=UP, allow=anyone)
    def p() -> "Problem": ...

    del p
    app.forward(
        "/s/{path:path}",
        upstream=UP,
        allow=anyone,
        rewrite="/{path}",
        document=written(tmp_path, small(paths, components)),
    )
    app.compile()
    document = app.openapi()
    schemas = document["components"]["schemas"]
    get, post = (document["paths"]["/s/x"][method] for method in ("get", "post"))
    assert get["parameters"] == [components["parameters"]["Limit"]]
    assert schemas["Pet"]["oneOf"][0] == {"$ref": "#/components/schemas/reports_Problem"}
    # Without a mapping the name of the schema is the value: it is renamed, so it is mapped.
    assert schemas["Pet"]["discriminator"]["mapping"] == {
        "dog": "#/components/schemas/Dog",
        "Problem": "#/components/schemas/reports_Problem",
    }
    dog = schemas["Dog"]
    assert dog["properties"]["$ref"] == {"type": "string"}
    assert dog["default"] == {"$ref": "a value"}
    assert document["components"]["examples"]["E"] == {"value": {"$ref": "data"}}
    assert [*post["responses"]["200"]["links"]] == ["self"]
    assert post["x-extension"] == {"$ref": "data"}
    callback = document["components"]["callbacks"]["C"]["{$request.body#/url}"]["post"]
    assert not {"security", "operationId"} & callback.keys()
    assert "s" not in document["components"].get("securitySchemes", {})
    data = json.dumps(document).replace('{"$ref": "data"}', "{}").replace('{"$ref": "a value"}', "{}")
    assert dangling(json.loads(data)) == set()
    validate(json.loads(data))


class Problem(BaseModel):
    """A user's model whose name a service has, too."""

    mine: int


def test_openapi_3_0_is_written_as_3_1(tmp_path: Path) -> None:
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": "string", "nullable": True, "enum": ["x"]},
            "b": {"type": "integer", "minimum": 1, "exclusiveMinimum": True, "maximum": 9, "exclusiveMaximum": False},
            "c": {"$ref": "#/components/schemas/C", "description": "ignored in 3.0"},
            "nullable": {"type": "boolean"},
        },
    }
    source = small({"/x": {"get": operation_of(answer(schema))}}, {"schemas": {"C": {"type": "string"}}}, "3.0.3")
    app = Gateway()
    app.forward("/{path:path}", upstream=UP, allow=anyone, document=written(tmp_path, source))
    document = published(app)
    found = document["paths"]["/x"]["get"]["responses"]["200"]["content"][JSON]["schema"]["properties"]
    assert found == {
        "a": {"type": ["string", "null"], "enum": ["x", None]},
        "b": {"type": "integer", "exclusiveMinimum": 1, "maximum": 9},
        "c": {"$ref": "#/components/schemas/C"},
        "nullable": {"type": "boolean"},
    }
    assert document["paths"]["/x"]["get"]["operationId"] == "reports_get_x"


WRONG: dict[str, tuple[object, str]] = {
    "yaml": (b"openapi: 3.1.0\n", "it is not JSON; a document in YAML has to be converted"),
    "a list": ([], "it is not a JSON object"),
    "swagger": ({"swagger": "2.0"}, "it does not say openapi=; convert a document of Swagger 2.0"),
    "another version": ({"openapi": "4.0.0"}, "it is not OpenAPI 3.0, 3.1 or 3.2: it says openapi='4.0.0'"),
    "too large": (b" " * (MOST_BYTES + 1), "it has more than 1048576 bytes"),
    "too deep": (b"[" * 100_000, "it is not JSON"),
    "deep": (small({"/x": json.loads("[" * DEEPEST + "]" * DEEPEST)}), "it is nested deeper than 100 levels"),
    "paths": ({"openapi": "3.1.0", "paths": []}, "its paths are not an object"),
    "a path": (small({"x": {}}), "its path 'x' does not begin with '/'"),
    "an item": (small({"/x": 1}), "its path '/x' is not an object"),
    "an operation": (small({"/x": {"get": 1}}), "GET /x is not an object"),
    "responses": (small({"/x": {"get": {"responses": []}}}), "the responses of GET /x are not an object"),
    "parameters": (small({"/x": {"get": {"parameters": {}}}}), "the parameters of one of its operations are not a list"),
    "a parameter": (small({"/x": {"get": {"parameters": [7]}}}), "where an object should be, it has int"),
    "a nameless one": (small({"/x": {"get": {"parameters": [{"in": "query"}]}}}), "a parameter of GET /x says no name"),
    "tags": (small({}) | {"tags": [{}]}, "its tags are not a list of objects with names"),
    "NaN": (b'{"openapi": "3.1.0", "x-n": NaN}', "it holds what JSON has not"),
    "half a character": (b'{"openapi": "3.1.0", "x-n": "\\ud800"}', "it holds what JSON has not"),
    "where none may be": (small({"/x": {"get": {"$ref": "#/paths/~1x"}}}), "stands where none may stand"),
    "dangling": (small({"/x": {"get": operation_of(answer({"$ref": "#/components/schemas/No"}))}}),
                 "the reference '#/components/schemas/No' leads nowhere"),
    "outside": (small({"/x": {"get": operation_of(answer({"$ref": "other.json#/A"}))}}), "leads out of it"),
    "an anchor": (small({"/x": {"get": operation_of(answer({"$ref": "#A"}))}}), "is an anchor"),
    "a circle": (small({"/x": {"$ref": "#/paths/~1y"}, "/y": {"$ref": "#/paths/~1x"}}), "refers to itself"),
    "no object": (small({"/x": {"get": operation_of({"200": {"description": "", "content": 1}})}}), "'content' is int"),
    "a text": (small({"/x": {"get": operation_of(answer({"$ref": "#/info/title"}))}}), "does not lead to an object"),
    "elsewhere": (small({"/y": {"trace": operation_of({})}}), "none of its 1 operations is reached by GET /x"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "said"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_with_a_file_is_a_declaration_error(tmp_path: Path, content: object, said: str) -> None:
    app = Gateway()
    file = written(tmp_path, content)
    app.forward("/x", upstream=UP, allow=anyone, methods=["GET"], document=file)
    with pytest.raises(DeclarationError) as caught:
        app.compile()
    (line,) = caught.value.problems
    assert line.startswith(f"GET /x: document={file!r}: ")
    assert said in line


def test_options_of_no_use_are_declaration_errors(tmp_path: Path) -> None:
    app = Gateway()
    file = written(tmp_path, service())
    given: list[tuple[dict[str, Any], str]] = [
        ({"document": str(tmp_path / "none.json")}, "it cannot be read: No such file or directory"),
        ({"document": 7}, "document=int(...) is neither a path nor an address"),
        ({"document": ""}, "document='' names no file"),
        ({"document": "ftp://x/y"}, "must begin with https://"),
        ({"document": "http://me:pw@x/y"}, "must not hold a user name or a password"),
        ({"document": file, "summary": "s"}, "summary= is for a service without a document"),
        ({"document": file, "include_in_schema": False}, "so document= says nothing"),
        ({"include_in_schema": False, "tags": ["a"]}, "so tags= says nothing"),
        ({"tags": "a"}, "tags='a' is no list"),
        ({"sumary": "s"}, "forward() has no option sumary="),
    ]
    for number, (options, _) in enumerate(given):
        app.forward(f"/{number}/{{path:path}}", upstream=UP, allow=anyone, rewrite="/{path}", **options)
    with pytest.raises(DeclarationError) as caught:
        app.compile()
    told = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == len(given)
    assert "pw" not in told
    for _, said in given:
        assert said in told


def test_references_cannot_make_a_small_document_a_large_one() -> None:
    """Each level holds the one below twice, and is referred to by itself."""
    level: dict[str, Any] = {"type": "string"}
    for _ in range(20):
        level = {"type": "object", "properties": {"a": level}}
    pointers = ["#/components/schemas/S" + "/properties/a" * depth for depth in range(20)]
    source = small(
        {"/x": {"get": operation_of(answer({"allOf": [{"$ref": one} for one in pointers * 50]}))}},
        {"schemas": {"S": level}},
    )
    components: dict[str, Any] = {}
    copier = ServiceComponents(ServiceDocument.of(source), "s", components, "3.1.0")
    copier.copied("operation", source["paths"]["/x"]["get"])
    copier.finish()
    copier.commit()
    assert len(components["schemas"]) == 20


def test_a_document_that_its_references_make_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_components, "MOST_OBJECTS", 9)
    source = ServiceDocument.of(small({"/x": {"get": operation_of(answer({"allOf": [{}] * 9}))}}))
    with pytest.raises(ServiceDocumentError, match="more than 9 objects"):
        ServiceComponents(source, "s", {}, "3.1.0").copied("path_item", source.content["paths"]["/x"])


def test_a_newer_document_is_not_published_in_an_older_one(tmp_path: Path) -> None:
    app = Gateway()
    app.openapi_version = "3.0.2"
    app.forward("/{path:path}", upstream=UP, allow=anyone, document=written(tmp_path, service()))
    with pytest.raises(DeclarationError, match="and this gateway publishes 3"):
        app.compile()


def test_a_forward_without_a_document_has_an_operation_for_each_method() -> None:
    app = Gateway(auth=Jwt("k" * 32))
    app.forward("/a/{path:path}", upstream=UP, allow=role("a"))
    app.forward("/b/{x}/{path:path}", upstream=UP, allow=anyone, methods=["GET", "OPTIONS"], name="raw_files",
                summary="Files", description="As they are.", tags=["files"])  # fmt: skip
    app.forward("/c", upstream=UP, allow=anyone, include_in_schema=False)
    document = published(app)
    assert sorted(document["paths"]) == ["/a/{path}", "/b/{x}/{path}"]
    item = document["paths"]["/a/{path}"]
    assert sorted(item) == ["delete", "get", "patch", "post", "put"]
    assert (item["put"]["tags"], item["put"]["security"]) == (["reports"], [{"bearer": []}])
    assert {"default", "401", "502"} <= item["put"]["responses"].keys()
    assert "requestBody" in item["put"]
    assert "requestBody" not in item["get"]
    (files,) = document["paths"]["/b/{x}/{path}"].values()
    assert [files[name] for name in ("summary", "operationId", "tags")] == ["Files", "raw_files_get", ["files"]]
    assert files["description"] == "As they are.\n\n**Who may call:** anyone."
    assert [one["name"] for one in files["parameters"]] == ["x", "path"]


def test_a_catch_all_and_a_stub_of_one_shape_are_one_path() -> None:
    app = Gateway()

    @app.get("/a/{number}", upstream=UP, allow=anyone)
    def own(number: int) -> dict[str, int]: ...

    del own
    app.forward("/a/{path:path}", upstream=UP, allow=anyone, methods=["GET", "PUT"])
    document = published(app)
    (item,) = document["paths"].values()
    assert (item["get"]["operationId"], item["put"]["operationId"]) == ("own", "reports_put")
    assert [one["name"] for one in item["put"]["parameters"]] == ["number"]


def test_a_rewrite_that_names_a_parameter_twice_and_a_schema_of_its_own(tmp_path: Path) -> None:
    own = {"$id": "https://x.example/s", "$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}}
    source = small({"/a/a/x": {"get": operation_of(answer(own))}, "/a/b/x": {"get": operation_of({})}})
    app = Gateway()
    app.forward(
        "/{t}/{path:path}", upstream=UP, allow=anyone, rewrite="/{t}/{t}/{path}", document=written(tmp_path, source)
    )
    app.compile()
    paths = app.openapi()["paths"]
    assert [*paths] == ["/a/x"]
    assert paths["/a/x"]["get"]["responses"]["200"]["content"][JSON]["schema"] == own


def test_a_service_that_is_a_gateway_does_not_say_who_may_call(tmp_path: Path) -> None:
    said = {"description": "Says.\n\n**Who may call:** anyone.", "x-limen-allow": "anyone"}
    app = Gateway(auth=Jwt("k" * 32))
    app.forward(
        "/x", upstream=UP, allow=role("a"), document=written(tmp_path, small({"/x": {"get": operation_of({}, **said)}}))
    )
    operation = published(app)["paths"]["/x"]["get"]
    assert operation["x-limen-allow"] == "role(a)"
    assert operation["description"] == "Says.\n\n**Who may call:** callers with the role `a`, with a bearer token."


def test_a_reference_that_is_wrong_says_which() -> None:
    document = ServiceDocument.of(small({"/x": {}}))
    with pytest.raises(ServiceDocumentError, match="leads nowhere"):
        document.target("#/paths/~1x/get")
