"""JSON has no number that is not finite (RFC 8259 section 6): none reaches a service, and none becomes null on the way."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from limen.contract.json_body import JsonBody
from limen.contract.violations import Violations


class Item(BaseModel):
    price: float
    note: str | None = None


class Order(BaseModel):
    item: Item
    weights: list[float] = []
    by_name: dict[str, float] = Field(default={}, alias="byName")
    anything: Any = None
    exact: Decimal = Decimal(0)


class Loud(BaseModel):
    model_config = ConfigDict(ser_json_inf_nan="constants")

    x: float


BODY = JsonBody(TypeAdapter(Order))


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"9" * 400])
@pytest.mark.parametrize(
    ("content", "at"),
    [
        (b'{"item": {"price": @}}', ("item", "price")),
        (b'{"item": {"price": 1}, "weights": [1, 2, @]}', ("weights", 2)),
        (b'{"item": {"price": 1}, "byName": {"a": 1, "b": @}}', ("byName", "b")),
    ],
)
def test_a_number_that_is_not_finite_does_not_fit(content: bytes, at: tuple[str | int, ...], number: bytes) -> None:
    read = BODY.read(content.replace(b"@", number))
    assert isinstance(read, Violations)
    assert [(one.loc, one.type) for one in read.listed] == [(("body", *at), "finite_number")]


@pytest.mark.parametrize("number", [b"NaN", b"-Infinity", b"1e999"])
def test_nor_does_one_where_anything_fits(number: bytes) -> None:
    read = BODY.read(b'{"item": {"price": 1}, "anything": {"deep": [[' + number + b"]]}}")
    assert isinstance(read, Violations)
    assert [one.loc for one in read.listed] == [("body", "anything", "deep", 0, 0)]


def test_all_of_them_are_told() -> None:
    read = BODY.read(b'{"item": {"price": NaN}, "weights": [1e999, 1, -1e999]}')
    assert isinstance(read, Violations)
    assert [one.loc[1:] for one in read.listed] == [("item", "price"), ("weights", 0), ("weights", 2)]


@pytest.mark.parametrize(
    "content",
    [
        b'{"item":{"price":1.7e+308,"note":null}}',
        b'{"item":{"price":1.0,"note":"NaN, null, [Infinity"}}',
        b'{"item":{"price":1.0},"anything":null}',
        b'{"item":{"price":1.0},"anything":"1e999"}',
        b'{"item":{"price":"nan"}}',  # no number of JSON's: the service reads it as it reads it from anybody
        b'{"item":{"price":1.0},"anything":{"x":[null,"NaN",1]}}',
    ],
)
def test_what_only_looks_like_one_passes(content: bytes) -> None:
    assert BODY.read(content) == content


def test_a_decimal_has_room_for_more_than_a_float() -> None:
    assert BODY.read(b'{"item":{"price":1.0},"exact":"1e999"}') == b'{"item":{"price":1.0},"exact":"1e999"}'


@pytest.mark.parametrize("content", [b'{"x": NaN}', b'{"x": -Infinity}', b'{"x": 1e999}'])
def test_a_model_that_would_write_them_is_no_exception(content: bytes) -> None:
    assert isinstance(JsonBody(TypeAdapter(Loud)).read(content), Violations)


@pytest.mark.parametrize("content", [b"NaN", b"-Infinity", b"1e999"])
def test_a_body_that_is_one_number(content: bytes) -> None:
    read = JsonBody(TypeAdapter(float)).read(content)
    assert isinstance(read, Violations)
    assert read.listed[0].loc == ("body",)


def test_a_set_of_them() -> None:
    assert isinstance(JsonBody(TypeAdapter(set[float])).read(b"[1, 1e999]"), Violations)
