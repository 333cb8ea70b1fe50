"""Contracts: parameters, bodies, and messages that never repeat the input."""

from typing import Annotated

from pydantic import BaseModel, Field, TypeAdapter

from limen.contract.contract import Contract
from limen.contract.json_body import JsonBody
from limen.contract.parameters import GroupField, Parameter, ParameterGroup
from limen.contract.text_body import TextBody
from limen.contract.violations import Violations
from limen.errors import Invalid


class Item(BaseModel):
    name: str
    note: str | None = None
    tags: list[str] = []


def test_a_body_is_the_clients_without_what_its_type_ignores_and_unset_fields_stay_so() -> None:
    body = JsonBody(TypeAdapter(Item))
    assert body.read(b'{"name": "a", "note": null, "admin": true}') == b'{"name": "a", "note": null}'


def test_a_body_that_does_not_fit_says_where_without_the_input() -> None:
    found = JsonBody(TypeAdapter(Item)).read(b'{"name": 5, "tags": ["a", {"x": "s3cret"}]}')
    assert isinstance(found, Violations)
    assert [e.loc for e in found.listed] == [("body", "name"), ("body", "tags", 1)]
    assert "s3cret" not in repr(found)


def test_malformed_json_is_an_invalid_body() -> None:
    found = JsonBody(TypeAdapter(Item)).read(b"{")
    assert isinstance(found, Violations)
    assert found.listed[0].type == "json_invalid"


def test_parameters_report_all_faults_at_once() -> None:
    contract = Contract(
        (
            Parameter("limit", "query", TypeAdapter(int), required=True),
            Parameter("ids", "query", TypeAdapter(list[int]), required=False, repeatable=True),
            Parameter("n", "path", TypeAdapter(int), required=True),
        )
    )
    violations = contract.check({"query": {"ids": ["1", "x"]}, "path": {"n": ["5"]}})
    assert violations is not None
    assert [(e.loc, e.type) for e in violations.listed] == [
        (("query", "limit"), "missing"),
        (("query", "ids", 1), "int_parsing"),
    ]
    assert contract.needs("query")
    assert not contract.needs("cookie")


def kinds(found: Violations | None) -> list[tuple[tuple[str | int, ...], str]]:
    return [] if found is None else [(one.loc, one.type) for one in found.listed]


def test_a_single_parameter_that_comes_twice_is_refused_and_one_that_takes_several_is_checked_in_each() -> None:
    single = Parameter("limit", "query", TypeAdapter(int), required=True)
    assert kinds(single.check({"limit": ["5", "5"]})) == [(("query", "limit"), "repeated")]
    several = Parameter("ids", "query", TypeAdapter(list[int]), required=True, repeatable=True)
    assert several.check({"ids": ["1", "2"]}) is None
    assert kinds(several.check({"ids": ["x", "2"]})) == [(("query", "ids", 0), "int_parsing")]


def test_a_parameter_has_one_of_its_names() -> None:
    param = Parameter("a", "query", TypeAdapter(int), required=True, aliases=("b",))
    assert param.check({"b": ["1"]}) is None
    assert kinds(param.check({"b": ["x"]})) == [(("query", "b"), "int_parsing")]
    assert kinds(param.check({"a": ["1"], "b": ["1"]})) == [(("query", "a"), "repeated")]
    assert kinds(param.check({})) == [(("query", "a"), "missing")]


def test_a_model_takes_a_whole_group() -> None:
    fields = (GroupField((("x-name", "name"),)), GroupField((("tags", "tags"),), repeatable=True))
    page = Parameter("page", "header", TypeAdapter(Item), required=True, group=ParameterGroup(fields))
    assert page.check({"x-name": ["a"], "tags": ["x", "y"], "other": ["1", "2"]}) is None
    assert page.check({}) == Violations((Invalid(("header", "name"), "Field required", "missing"),))
    assert kinds(page.check({"x-name": ["a", "b"]})) == [(("header", "x-name"), "repeated")]
    maybe = Parameter(
        "page", "query", TypeAdapter(Item | None), required=False, group=ParameterGroup(fields, optional=True)
    )
    assert maybe.check({"other": ["1"]}) is None
    assert kinds(maybe.check({"tags": ["1"]})) == [(("query", "name"), "missing")]


def test_what_a_model_refuses_is_told_by_the_name_that_the_client_wrote() -> None:
    class Numbers(BaseModel):
        x_n: int

    param = Parameter(
        "n", "header", TypeAdapter(Numbers), required=True, group=ParameterGroup((GroupField((("x-n", "x_n"),)),))
    )
    assert kinds(param.check({"x-n": ["?"]})) == [(("header", "x-n"), "int_parsing")]


def test_a_closed_model_refuses_unknown_names() -> None:
    class Closed(BaseModel, extra="forbid"):
        name: str = ""

    group = ParameterGroup((GroupField((("name", "name"),)),), "forbid")
    param = Parameter("page", "query", TypeAdapter(Closed), required=True, group=group)
    assert kinds(param.check({"nmae": ["a"]})) == [(("query", "nmae"), "extra_forbidden")]


def test_json_begins_without_a_byte_order_mark() -> None:
    for mark in (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\xff\xfe\x00\x00"):
        found = JsonBody(TypeAdapter(object), as_sent=True).read(mark + b"{}")
        assert isinstance(found, Violations)
        assert kinds(found) == [(("body",), "byte_order_mark")]


def test_a_text_is_read_as_text_and_strictly_too() -> None:
    text = TextBody(TypeAdapter(Annotated[str, Field(strict=True, max_length=3)]), "text/plain", binary=False)
    assert text.read("é".encode()) == "é".encode()
    for content, kind in ((b"abcd", "string_too_long"), (b"\xff", "string_unicode")):
        found = text.read(content)
        assert isinstance(found, Violations)
        assert [one.type for one in found.listed] == [kind]
