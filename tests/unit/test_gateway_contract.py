"""What a stub's signature becomes: the contract that requests of its route are held to."""

from typing import Annotated, Any

from fastapi import Cookie, File, Form, Path, Query
from pydantic import BaseModel

from limen import Gateway, Upstream, anyone
from limen.declare.parameters import Where

Given = dict[Where, dict[str, list[str]]]
SVC = Upstream("svc", ["http://127.0.0.1:1"])


class Item(BaseModel):
    name: str


def test_every_kind_of_parameter_is_part_of_the_contract_and_a_form_is_none() -> None:
    app = Gateway()
    one = app.group("/one", upstream=SVC, allow=anyone)

    @one.post("/form")
    def form(name: Annotated[str, Form()], file: Annotated[bytes, File()]) -> None: ...

    @one.get("/all/{a}")
    def every(
        a: Annotated[int, Path(ge=1)],
        b: Annotated[list[int] | None, Query()] = None,
        c: Annotated[str, Cookie()] = "",
        d: Annotated[tuple[int, ...], Query()] = (),
    ) -> Any: ...

    @one.post("/optional")
    def optional(a: Item | None = None) -> object: ...

    del form, every, optional
    of_form, of_every, of_optional = (route.contract for route in app.declared())
    # A form is documented, and passes through unread.
    assert (of_form.params, of_form.body) == ((), None)
    assert [*app.openapi()["paths"]["/one/form"]["post"]["requestBody"]["content"]] == ["multipart/form-data"]
    assert {(one.name, one.where, one.required, one.many) for one in of_every.params} == {
        ("a", "path", True, False),
        ("b", "query", False, True),
        ("c", "cookie", False, False),
        ("d", "query", False, True),
    }
    right: Given = {"path": {"a": ["1"]}, "query": {}, "cookie": {}}
    wrong: Given = {"path": {"a": ["0"]}, "query": {"b": ["1", "x"], "d": ["y", "2"]}, "cookie": {}}
    misfits = of_every.check(wrong)
    assert misfits is not None
    assert {error.loc for error in misfits.found} == {("path", "a"), ("query", "b", 1), ("query", "d", 0)}
    assert of_every.check(right) is None
    assert of_every.body is None
    assert of_optional.body is not None
    assert not of_optional.body.required
    assert of_optional.body.read(b'{"name": "a", "more": 1}') == b'{"name": "a"}'
    assert of_optional.body.read(b"null") == b"null"
