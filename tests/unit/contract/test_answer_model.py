"""A declared answer: accepted as a service with the same model writes it, and written with the options of FastAPI."""

from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    Json,
    SecretStr,
    TypeAdapter,
    computed_field,
    field_serializer,
)
from pydantic.dataclasses import dataclass

from limen.contract.answer_model import AnswerModel
from limen.contract.violations import Violations


class Computed(BaseModel):
    model_config = ConfigDict(extra="forbid")

    price: int

    @computed_field
    @property
    def gross(self) -> int:
        return self.price * 2


class Renamed(BaseModel):
    user_name: str = Field(validation_alias="userName")
    mail: str = Field("", validation_alias=AliasChoices("e-mail", "email"), serialization_alias="post")
    both: int = Field(0, alias="Both")


class Packed(BaseModel):
    payload: Json[dict[str, int]]


class Money(BaseModel):
    amount: Decimal


class Masked(BaseModel):
    card: str
    secret: SecretStr | None = None
    hidden: str = Field("", exclude=True)

    @field_serializer("card")
    def mask(self, card: str) -> str:
        return "****" + card[-4:]


@dataclass
class Plain:
    x: Annotated[int, Field(validation_alias="ex")]


class Holder(BaseModel):
    items: list[Computed]
    named: dict[str, Renamed] = {}


class First(BaseModel):
    x: int = Field(alias="X")


class Second(BaseModel):
    y: str = Field(alias="Y")


class Both(BaseModel):
    first: First
    second: Second


class CatWith(BaseModel):
    kind: Literal["cat"] = Field(alias="type")


class DogWith(BaseModel):
    kind: Literal["dog"] = Field(alias="type")


class Login(BaseModel):
    name: str
    password: str = Field(exclude=True)


SAME_MODEL: list[tuple[Any, Any]] = [
    (Computed, Computed(price=1)),
    (Renamed, Renamed.model_validate({"userName": "a", "e-mail": "b", "Both": 1})),
    (Packed, Packed(payload='{"a": 1}')),  # pyright: ignore[reportArgumentType]
    (Money, Money(amount=Decimal("12.50"))),
    (Plain, Plain(ex=1)),  # pyright: ignore[reportCallIssue]
    (Holder, Holder(items=[Computed(price=2)], named={"x": Renamed.model_validate({"userName": "b"})})),
    (list[Computed], [Computed(price=1)]),
    (Both, Both(first=First(X=1), second=Second(Y="t"))),
    (CatWith | DogWith, DogWith(type="dog")),
    (Login, Login(name="a", password="b")),
]


@pytest.mark.parametrize(("kind", "value"), SAME_MODEL, ids=[f"{n}" for n in range(len(SAME_MODEL))])
@pytest.mark.parametrize("by_alias", [True, False])
def test_what_a_service_with_the_same_model_answers_fits_and_stays(kind: Any, value: Any, *, by_alias: bool) -> None:
    adapter = TypeAdapter[Any](kind)
    sent = adapter.dump_json(value, by_alias=by_alias)
    checked = AnswerModel(adapter).check(sent)
    assert checked == adapter.dump_json(value, by_alias=True)


def test_what_is_hidden_stays_hidden() -> None:
    answer = AnswerModel(TypeAdapter(Masked))
    sent = b'{"card":"4111111111111111","secret":"hunter2","hidden":"x","more":1}'
    assert answer.check(sent) == b'{"card":"****1111","secret":"**********"}'


class User(BaseModel):
    id: int
    name: str
    email: str | None = None
    rank: int = 3


FULL = b'{"id":1,"name":"ada","email":null,"rank":3}'
OPTIONS: list[tuple[dict[str, Any], bytes]] = [
    ({}, FULL),
    ({"include": {"id", "name"}}, b'{"id":1,"name":"ada"}'),
    ({"exclude": {"name"}}, b'{"id":1,"email":null,"rank":3}'),
    ({"exclude_none": True}, b'{"id":1,"name":"ada","rank":3}'),
    ({"exclude_defaults": True}, b'{"id":1,"name":"ada"}'),
]


@pytest.mark.parametrize(("options", "written"), OPTIONS, ids=str)
def test_options_choose_what_is_written_of_an_answer_and_of_what_a_hook_makes(
    options: dict[str, Any], written: bytes
) -> None:
    answer = AnswerModel(TypeAdapter(User), **options)
    assert answer.check(FULL) == written
    assert answer.serialize({"id": 1, "name": "ada"}) == written


class Needs(BaseModel):
    id: int
    name: str
    email: str | None


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({"exclude": {"name"}}, b'{"id":1}'),
        ({"include": {"id"}}, b'{"id":1}'),
        ({"exclude_none": True}, b'{"id":1,"name":"a"}'),
    ],
)
def test_a_service_with_the_same_options_leaves_out_the_same(options: dict[str, Any], sent: bytes) -> None:
    assert AnswerModel(TypeAdapter(Needs), **options).check(sent) == sent


def test_unset_fields_stay_unset_but_of_what_a_hook_makes() -> None:
    answer = AnswerModel(TypeAdapter(User))
    assert answer.check(b'{"id":1,"name":"ada"}') == b'{"id":1,"name":"ada"}'
    assert answer.serialize(User(id=1, name="ada")) == FULL
    assert (
        AnswerModel(TypeAdapter(User), exclude_unset=True).serialize(User(id=1, name="ada")) == b'{"id":1,"name":"ada"}'
    )


def test_names_may_be_those_of_the_fields() -> None:
    answer = AnswerModel(TypeAdapter(Renamed), by_alias=False)
    assert answer.check(b'{"user_name":"a","post":"b"}') == b'{"user_name":"a","mail":"b"}'


@pytest.mark.parametrize(
    ("kind", "sent", "kinds"),
    [
        (User, b'{"id":"x","name":1}', ["int_parsing", "string_type"]),
        (Money, b'{"amount":NaN}', ["finite_number"]),
        (Packed, b'{"payload":{"a":"x"}}', ["json_type", "int_parsing"]),
        (float, b"1e999", ["finite_number"]),
    ],
)
def test_what_does_not_fit_is_told_by_its_place_and_kind(kind: Any, sent: bytes, kinds: list[str]) -> None:
    found = AnswerModel(TypeAdapter(kind)).check(sent)
    assert isinstance(found, Violations)
    assert [one.type for one in found.listed] == kinds


class OpenAndComputed(Computed):
    model_config = ConfigDict(extra="allow")


def test_what_would_be_written_twice_is_refused() -> None:
    with pytest.raises(TypeError, match='computed fields and extra="allow" would have each of them twice, as it came'):
        AnswerModel(TypeAdapter(OpenAndComputed))
