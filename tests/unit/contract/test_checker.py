"""Checking a value: the verdict of pydantic's own validator, with bounded work."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from limen.contract.checker import MOST_SEARCHED, Checker
from limen.contract.violations import MOST_LISTED, Violations


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    names: list[str]


class Tree(BaseModel):
    model_config = ConfigDict(extra="forbid")
    type: str = ""
    items: dict[str, int] = {"type": 1}
    below: "list[Tree]" = []


@dataclass
class Point:
    x: int
    tags: set[int]


class Row(NamedTuple):
    a: int
    b: tuple[int, ...] = ()


class Loose(TypedDict):
    fields: list[int]


TYPES: tuple[Any, ...] = (
    int,
    list[int],
    list[Cat | Dog],
    list[Annotated[Cat | Dog, Field(discriminator="kind")]],
    Tree,
    dict[str, Tree | None],
    list[Point],
    list[Row],
    Loose,
    tuple[int, str],
    frozenset[int],
    Annotated[list[int], Field(max_length=2)],
)

LEAVES = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "cat", "dog", "1"])
NAMES = st.sampled_from(["kind", "lives", "names", "type", "items", "below", "x", "tags", "fields"])
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12
)


@pytest.mark.parametrize("kind", TYPES, ids=str)
@settings(max_examples=30, deadline=None)
@given(value=JSON)
def test_the_verdict_and_all_places_are_those_of_pydantic(kind: Any, value: object) -> None:
    adapter: TypeAdapter[object] = TypeAdapter(kind)
    content = TypeAdapter(object).dump_json(value)
    found = Checker(adapter).check_json(content, ())
    if isinstance(found, Violations):
        with pytest.raises(ValidationError) as caught:
            adapter.validate_json(content)
        expected = [(one["loc"], one["type"]) for one in caught.value.errors()]
        assert [(one.loc, one.type) for one in found.listed] == expected[:MOST_LISTED]
    else:
        assert found == adapter.validate_json(content)


def counted(kind: type) -> tuple[Any, Callable[[], int]]:
    """Return ``kind``, and how often a value of it was refused."""
    calls = 0

    def refuse(value: object) -> object:
        nonlocal calls
        calls += 1
        raise ValueError("no")

    return Annotated[kind, AfterValidator(refuse)], lambda: calls


def listing(item: Any, collection: Any = list) -> Any:
    """Return the type of a collection of ``item``, which is known at run time only."""
    return collection[item]


@pytest.mark.parametrize("collection", [list, set, frozenset])
def test_a_large_collection_stops_at_its_first_error(collection: Any) -> None:
    item, calls = counted(int)
    found = Checker(TypeAdapter(listing(item, collection))).check_json(b"[" + b"1," * 10_000 + b"1]", ("body",))
    assert isinstance(found, Violations)
    assert [one.loc for one in found.listed] == [("body", 0)]
    assert calls() == 1


def test_so_is_a_mapping_and_what_is_nested() -> None:
    item, calls = counted(int)

    class Deep(BaseModel):
        groups: dict[str, list[item]]  # pyright: ignore[reportInvalidTypeForm] - known at run time only

    content = b'{"groups":{' + b",".join(b'"%d":[1,1]' % n for n in range(5000)) + b"}}"
    found = Checker(TypeAdapter(list[Deep])).check_json(b"[" + content + b"]", ())
    assert isinstance(found, Violations)
    assert [one.loc for one in found.listed] == [(0, "groups", "0", 0)]
    assert calls() == 1


def test_of_a_small_one_every_violation_is_listed() -> None:
    item, calls = counted(int)
    found = Checker(TypeAdapter(listing(item))).check_json(b"[1,1,1]", ())
    assert isinstance(found, Violations)
    assert [one.loc for one in found.listed] == [(0,), (1,), (2,)]
    assert calls() == 4  # once until the first, and once more to list them


def test_values_in_python_are_bounded_alike() -> None:
    item, calls = counted(str)
    checker = Checker(TypeAdapter(listing(item)))
    many = ["a"] * (MOST_SEARCHED + 1)
    found = checker.check_python(many, ("query", "ids"), len(many))
    assert isinstance(found, Violations)
    assert calls() == 1
    found = checker.check_python(["a", "b"], ("query", "ids"), 2)
    assert isinstance(found, Violations)
    assert [one.loc for one in found.listed] == [("query", "ids", 0), ("query", "ids", 1)]


def test_a_type_that_is_no_collection_has_pydantics_own_validator() -> None:
    adapter: TypeAdapter[object] = TypeAdapter(Cat)
    assert Checker(adapter)._fail_fast is adapter.validator  # pyright: ignore[reportPrivateUsage] - it costs nothing more
