"""Contracts: parameters, bodies, and messages that never repeat the input."""

from pydantic import BaseModel, TypeAdapter

from limen.declare.contract import Body, Contract, Param
from limen.declare.misfits import Misfits
from limen.errors import Invalid


class Item(BaseModel):
    name: str
    note: str | None = None
    tags: list[str] = []


def test_a_body_is_the_clients_without_what_its_type_ignores_and_unset_fields_stay_so() -> None:
    body = Body(TypeAdapter(Item))
    assert body.read(b'{"name": "a", "note": null, "admin": true}') == b'{"name": "a", "note": null}'


def test_a_body_that_does_not_fit_says_where_without_the_input() -> None:
    found = Body(TypeAdapter(Item)).read(b'{"name": 5, "tags": ["a", {"x": "s3cret"}]}')
    assert isinstance(found, Misfits)
    assert [e.loc for e in found.found] == [("body", "name"), ("body", "tags", 1)]
    assert "s3cret" not in repr(found)


def test_malformed_json_is_an_invalid_body() -> None:
    found = Body(TypeAdapter(Item)).read(b"{")
    assert isinstance(found, Misfits)
    assert found.found[0].type == "json_invalid"


def test_parameters_report_all_faults_at_once() -> None:
    contract = Contract(
        (
            Param("limit", "query", TypeAdapter(int), required=True),
            Param("ids", "query", TypeAdapter(list[int]), required=False, many=True),
            Param("n", "path", TypeAdapter(int), required=True),
        )
    )
    misfits = contract.check({"query": {"ids": ["1", "x"]}, "path": {"n": ["5"]}})
    assert misfits is not None
    assert [(e.loc, e.type) for e in misfits.found] == [
        (("query", "limit"), "missing"),
        (("query", "ids", 1), "int_parsing"),
    ]
    assert contract.needs("query")
    assert not contract.needs("cookie")


def test_the_last_of_repeated_single_parameters_counts() -> None:
    param = Param("limit", "query", TypeAdapter(int), required=True)
    assert param.check({"limit": ["x", "5"]}) is None


def test_a_model_takes_a_whole_group() -> None:
    adapter: TypeAdapter[object] = TypeAdapter(Item)
    fields = (("name", False), ("tags", True))
    open_model = Param("page", "query", adapter, required=True, fields=fields)
    assert open_model.check({"name": ["a"], "tags": ["x", "y"], "other": ["1"]}) is None
    assert open_model.check({}) == Misfits((Invalid(("query", "name"), "Field required", "missing"),))


def test_a_closed_model_refuses_unknown_names() -> None:
    class Closed(BaseModel, extra="forbid"):
        name: str = ""

    param = Param("page", "query", TypeAdapter(Closed), required=True, fields=(("name", False),), closed=True)
    misfits = param.check({"nmae": ["a"]})
    assert misfits is not None
    assert [e.type for e in misfits.found] == ["extra_forbidden"]
