"""What a type ignores of a body is taken out, at every depth; everything else reaches the service byte for byte."""

from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address
from typing import Annotated, Any, Literal, NamedTuple, Optional, cast, get_args
from uuid import UUID, uuid4

import pytest
from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    HttpUrl,
    Json,
    OnErrorOmit,
    PlainValidator,
    RootModel,
    SecretBytes,
    SecretStr,
    Tag,
    TypeAdapter,
    WrapValidator,
    computed_field,
    field_serializer,
    field_validator,
    model_validator,
)
from pydantic_core.core_schema import CoreSchemaType, no_info_plain_validator_function
from typing_extensions import TypedDict

from limen.contract.json_body import JsonBody
from limen.contract.schema_kinds import KNOWN
from limen.contract.violations import Violations


class Point(BaseModel):
    x: int
    y: int = 0


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")

    x: int = 0
    inner: Point | None = None


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Point] = Field(init=False)  # pyright: ignore[reportIncompatibleVariableOverride]

    x: int


class Tree(BaseModel):
    x: int
    kids: list["Tree"] = []


class Login(BaseModel):
    name: str
    password: SecretStr
    key: SecretBytes | None = None


class Output(BaseModel):
    """Whatever the output side of a model does plays no part."""

    hidden: str = Field("", exclude=True)
    packed: Json[dict[str, int]] = {}
    renamed: str = Field("", validation_alias="re-named", serialization_alias="other")
    amount: Decimal = Decimal(0)
    when: datetime | None = None
    card: str = ""

    @computed_field
    @property
    def double(self) -> Decimal:
        return self.amount * 2

    @field_serializer("card")
    def mask(self, card: str) -> str:
        return "*" * len(card)


class Named(BaseModel):
    model_config = ConfigDict(validate_by_name=True)

    x: int = Field(alias="ex")
    y: int = Field(0, validation_alias=AliasChoices("why", "ypsilon"))


class Record(TypedDict, total=False):
    x: int
    point: Point


@dataclass
class Plain:
    x: int
    point: Point | None = None
    made: int = field(default=0, init=False)


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"]
    age: int = 0
    friend: Optional["Pet"] = None


Pet = Annotated[Cat | Dog, Field(discriminator="kind")]
Any_pet = Cat | Dog


class Pair(NamedTuple):
    x: int
    y: int


class Points(RootModel[list[Point]]):
    pass


class Checked(BaseModel):
    x: int
    texts: list[str] = []

    @model_validator(mode="after")
    def small(self) -> "Checked":
        assert self.x < 100
        return self

    @field_validator("texts")
    @classmethod
    def few(cls, texts: list[str]) -> list[str]:
        return sorted(texts)[:3]


Recursive = Annotated[
    Annotated[Cat, Tag("cat")] | Annotated[Dog, Tag("dog")],
    Discriminator(lambda value: cast("dict[str, Any]", value)["kind"]),
]

AS_SENT = [
    (Login, '{"name":"ada","password":"hunter2-long","key":"c2VjcmV0"}'),
    (Output, '{"hidden":"a","packed":"{\\"a\\": 1}","re-named":"b","amount":12.50,"card":"4111"}'),
    (Output, '{ "when" : "2026-01-01T00:00:00+02:00", "amount":1e2, "card":"\\u00e9\\/" }'),
    (Closed, '{"x": 1}'),
    (Open, '{"x":1,"more":{"x":2}}'),
    (Named, '{"ex":1}'),
    (Named, '{"x":1,"ypsilon":2}'),
    (dict[str, Any], '{"a":[{"b":{}}],"c":1.50}'),
    (dict[str, int], '{"a":1}'),
    (Any, '[{"a":[]}]'),
    (list[int], " [1, 2,\t3]\n"),
    (tuple[int, str], '[1,"a"]'),
    (int, "7"),
    (Point | None, "null"),
    (Checked, '{"x":1,"texts":["c","b","a","d"]}'),
    (Points, '[{"x":1}]'),
    (HttpUrl, '"https://example.com"'),
    (IPv4Address, '"127.0.0.1"'),
    (Annotated[str, BeforeValidator(str.strip)], '" a "'),
    (Annotated[int, AfterValidator(abs)], "-5"),
    (Pair, "[1,2]"),
]

PRUNED = [
    (Point, '{"x":1,"z":2}', '{"x":1}'),
    (Point, '{"z":2,"x":1}', '{"x":1}'),
    (Point, '{"z":2,"x":1,"w":{"x":1},"y":3,"v":[]}', '{"x":1,"y":3}'),
    (Point, ' { "z" : 2 , "x" : 1 } ', ' { "x" : 1 } '),
    (Checked, '{"x":1,"z":{}}', '{"x":1}'),
    (Login, '{"password":"a","admin":true,"name":"b"}', '{"password":"a","name":"b"}'),
    (Output, '{"amount":12.50,"double":25,"other":"x"}', '{"amount":12.50}'),
    (list[Point], '[{"x":1,"z":2},{"x":3},{"z":[{}],"x":4}]', '[{"x":1},{"x":3},{"x":4}]'),
    (dict[str, Point], '{"a":{"x":1,"z":2}}', '{"a":{"x":1}}'),
    (OrderedDict[str, Point], '{"a":{"x":1,"z":2}}', '{"a":{"x":1}}'),
    (Mapping[str, Point], '{"a":{"x":1,"z":2}}', '{"a":{"x":1}}'),
    (Sequence[Point], '[{"x":1,"z":2}]', '[{"x":1}]'),
    (deque[Point], '[{"x":1,"z":2}]', '[{"x":1}]'),
    (tuple[int, Point], '[1,{"x":1,"z":2}]', '[1,{"x":1}]'),
    (tuple[Point, ...], '[{"x":1,"z":2},{"x":1,"z":2}]', '[{"x":1},{"x":1}]'),
    (Point | None, '{"x":1,"z":2}', '{"x":1}'),
    (int | Point, '{"x":1,"z":2}', '{"x":1}'),
    (list[Point] | Point, '{"x":1,"z":2}', '{"x":1}'),
    (list[Point] | Point, '[{"x":1,"z":2}]', '[{"x":1}]'),
    (Closed, '{"inner":{"x":1,"z":2}}', '{"inner":{"x":1}}'),
    (Open, '{"x":1,"more":{"x":2,"z":3}}', '{"x":1,"more":{"x":2}}'),
    (Tree, '{"x":1,"kids":[{"x":2,"z":0,"kids":[{"z":1,"x":3}]}]}', '{"x":1,"kids":[{"x":2,"kids":[{"x":3}]}]}'),
    (Record, '{"x":1,"z":2,"point":{"x":1,"z":2}}', '{"x":1,"point":{"x":1}}'),
    (Plain, '{"x":1,"z":2,"point":{"x":1,"z":2}}', '{"x":1,"point":{"x":1}}'),
    (Points, '[{"x":1,"z":2}]', '[{"x":1}]'),
    (Named, '{"x":5,"ex":1}', '{"ex":1}'),
    (Named, '{"ex":1,"ypsilon":1,"why":2}', '{"ex":1,"why":2}'),
    (Pet, '{"kind":"cat","age":3,"lives":7}', '{"kind":"cat","lives":7}'),
    (Any_pet, '{"kind":"cat","age":3,"lives":7}', '{"kind":"cat","lives":7}'),
    (Recursive, '{"kind":"dog","lives":7,"age":1}', '{"kind":"dog","age":1}'),
    (
        list[Pet],
        '[{"kind":"dog","lives":1,"friend":{"age":2,"kind":"cat"}},{"kind":"cat"}]',
        '[{"kind":"dog","friend":{"kind":"cat"}},{"kind":"cat"}]',
    ),
    (Point, '{"\\u0078":1,"\\u007a":2}', '{"\\u0078":1}'),
]


def body(kind: Any) -> JsonBody:
    return JsonBody(TypeAdapter(kind))


@pytest.mark.parametrize(("kind", "sent"), AS_SENT, ids=[f"{n}" for n in range(len(AS_SENT))])
def test_where_nothing_is_ignored_the_clients_own_bytes_go_on(kind: Any, sent: str) -> None:
    assert body(kind).read(sent.encode()) == sent.encode()


@pytest.mark.parametrize(("kind", "sent", "got"), PRUNED, ids=[f"{n}" for n in range(len(PRUNED))])
def test_what_the_type_ignores_is_taken_out_and_nothing_else_changes(kind: Any, sent: str, got: str) -> None:
    read = body(kind).read(sent.encode())
    assert read == got.encode()
    adapter = TypeAdapter[Any](kind)
    assert adapter.validate_json(got) == adapter.validate_json(sent)


@pytest.mark.parametrize("kind", [Point, Any, dict[str, Any], Closed], ids=str)
@pytest.mark.parametrize("sent", ['{"x":1,"x":1}', '{"x":1,"z":{"a":1,"b":2,"a":3}}', '{"x":1,"\\u0078":1}'])
def test_a_name_that_comes_twice_is_refused(kind: Any, sent: str) -> None:
    read = body(kind).read(sent.encode())
    assert isinstance(read, Violations)
    if kind is not Closed:
        assert [one.type for one in read.listed] == ["repeated_name"]


def test_as_sent_passes_what_is_ignored_and_checks_all_the_same() -> None:
    lenient = JsonBody(TypeAdapter(Annotated[Point, BeforeValidator(lambda value: value)]), as_sent=True)
    assert lenient.read(b'{"x":1,"z":[2]}') == b'{"x":1,"z":[2]}'
    assert isinstance(lenient.read(b'{"z":2}'), Violations)
    assert isinstance(lenient.read(b'{"x":1,"x":2}'), Violations)


class Before(BaseModel):
    x: int

    @model_validator(mode="before")
    @classmethod
    def see(cls, value: Any) -> Any:
        return value


class Wrapped(BaseModel):
    x: int

    @model_validator(mode="wrap")
    @classmethod
    def see(cls, value: Any, handler: Callable[[Any], "Wrapped"]) -> "Wrapped":
        return handler(value)


class EditedAnswer(BaseModel):
    x: int

    def __init__(self, **given: Any) -> None:
        super().__init__(x=given.pop("y", 0), **given)


class Holds(BaseModel):
    deep: list[Before]


class Lazy(BaseModel):
    items: Iterable[Point]


class Within(BaseModel):
    x: int = 0
    text: "Json[Within] | None" = None


class Link(BaseModel):
    x: int = 0
    named: "LinkTuple | None" = None


class LinkTuple(NamedTuple):
    link: Link | None


class Shut(BaseModel):
    model_config = ConfigDict(extra="forbid")

    within: "Annotated[Outer | None, BeforeValidator(lambda value: value)]" = None


class Outer(BaseModel):
    x: int = 0
    shut: Shut | None = None


Shut.model_rebuild()


class Either(BaseModel):
    x: int
    one: "Either | Other | None" = None


class Other(BaseModel):
    y: int
    one: "Either | Other | None" = None


Either.model_rebuild()


class ClosedOutside(BaseModel):
    model_config = ConfigDict(extra="forbid")

    inner: Before


class OfPath(BaseModel):
    x: int = Field(validation_alias=AliasPath("a", 0))


class Own:
    """A type with a schema of its own."""

    @classmethod
    def __get_pydantic_core_schema__(cls, *_: Any) -> Any:
        return no_info_plain_validator_function(dict)


UNKNOWN = [
    (Before, "the body"),
    (Wrapped, "the body"),
    (EditedAnswer, "the body"),
    (Holds, "the body.deep.[]"),
    (ClosedOutside, "the body.inner"),
    (OfPath, "the body.x"),
    (Own, "the body"),
    (list[Own], "the body.[]"),
    (Annotated[Point, BeforeValidator(lambda value: value)], "the body"),
    (Annotated[Point, WrapValidator(lambda value, handler: handler(value))], "the body"),
    (Annotated[dict[str, int], BeforeValidator(lambda value: value)], "the body"),
    (Annotated[Any, PlainValidator(lambda value: value)], "the body"),
    (Json[Point], "the body"),
    (Lazy, "the body.items"),
    (list[OnErrorOmit[Point]], "the body.[]"),
    (list[OnErrorOmit[int]], "the body.[]"),
    (Annotated[Any, PlainValidator(TypeAdapter(Point).validate_python)], "the body"),
    (Annotated[Any, PlainValidator(Point.model_validate)], "the body"),
    (Within, "the body.text"),
    (Link, "the body.named"),
    (Outer, "the body.shut.within"),
    (Annotated[str, BeforeValidator(str)] | Point, "the body"),
    (Either | Other, "the body.one.one"),
]


@pytest.mark.parametrize(("kind", "place"), UNKNOWN, ids=[f"{n}" for n in range(len(UNKNOWN))])
def test_where_it_cannot_be_known_what_is_ignored_it_is_refused_with_the_place(kind: Any, place: str) -> None:
    with pytest.raises(TypeError) as raised:
        body(kind)
    assert str(raised.value).startswith(f"{place}: ")
    assert body_as_sent(kind).read(b"{") is not None


def body_as_sent(kind: Any) -> JsonBody:
    return JsonBody(TypeAdapter(kind), as_sent=True)


class Loose(BaseModel):
    x: int


class Tight(BaseModel):
    model_config = ConfigDict(extra="forbid")

    x: int
    y: int = 0


class ClosedBefore(Before):
    model_config = ConfigDict(extra="forbid")


class ClosedWithOwn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    own: Own


@pytest.mark.parametrize(
    ("kind", "sent"),
    [(ClosedBefore, '{"x":1}'), (ClosedWithOwn, '{"own":{"any":1}}'), (Json[Tight], '"{\\"x\\": 1}"')],
)
def test_unless_the_model_refuses_what_it_does_not_name(kind: Any, sent: str) -> None:
    assert body(kind).read(sent.encode()) == sent.encode()


def test_a_validator_that_sees_the_document_first_sees_no_member_that_its_model_would_refuse() -> None:
    """What it ignored of one could not be known."""
    read = body(ClosedBefore).read(b'{"x":1,"admin":true}')
    assert isinstance(read, Violations)
    assert [one.type for one in read.listed] == ["extra_forbidden"]


class Colour(Enum):
    RED = "red"
    OTHER = "other"

    @classmethod
    def _missing_(cls, value: object) -> "Colour":
        return cls.OTHER


class Painted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    colour: Colour
    text: Annotated[str, BeforeValidator(str)] = ""


def test_nothing_that_takes_any_value_takes_an_object() -> None:
    painted = body(Painted)
    assert painted.read(b'{"colour":"blue","text":5}') == b'{"colour":"blue","text":5}'
    for sent in (b'{"colour":{"admin":1}}', b'{"colour":[{"a":1}]}', b'{"colour":"red","text":{"a":1}}'):
        assert isinstance(painted.read(sent), Violations)


class Stamped(BaseModel):
    a: int
    id: UUID = Field(default_factory=uuid4)


def test_types_are_told_apart_by_what_was_chosen_and_not_by_what_they_made() -> None:
    assert body(Stamped | Point).read(b'{"a":1,"more":1}') == b'{"a":1}'


def test_a_tag_is_read_from_the_text_however_large_it_is() -> None:
    inner = b'{"kind":"cat","lives":1}'
    for _ in range(6):
        inner = b'{"kind":"dog","friend":' + inner + b"}"
    large = inner[:-1] + b',"z":"' + b"a" * 200_000 + b'"}'
    assert body(Pet).read(large) == inner


def test_every_kind_of_core_schema_has_its_place() -> None:
    assert set(get_args(CoreSchemaType)) <= KNOWN


class Stripped(BaseModel):
    text: Annotated[str, BeforeValidator(lambda value: value if isinstance(value, str) else str(value))]
    many: Annotated[
        list[str], BeforeValidator(lambda value: value.split(",") if isinstance(value, str) else value)
    ] = []


def test_a_validator_on_a_plain_value_stays_and_sees_no_object() -> None:
    stripped = body(Stripped)
    for sent in (b'{"text":5,"many":"a,b"}', b'{"text":[1],"many":["a"]}'):
        assert stripped.read(sent) == sent
    for sent in (b'{"text":{"a":1}}', b'{"text":[[{}]]}'):
        read = stripped.read(sent)
        assert isinstance(read, Violations)
        assert [(one.loc, one.type) for one in read.listed] == [(("body", "text"), "object_not_taken")]


def test_what_would_be_read_as_another_type_is_refused() -> None:
    """``Tight`` comes first and refuses ``z``; without it, it would be taken."""
    either = body(Annotated[Tight | Loose, Field(union_mode="left_to_right")])
    assert either.read(b'{"x":1}') == b'{"x":1}'
    read = either.read(b'{"x":1,"z":2}')
    assert isinstance(read, Violations)
    assert [one.type for one in read.listed] == ["ambiguous_type"]


class And(BaseModel):
    both: list["Expression"]


class Not(BaseModel):
    one: "Expression"


Expression = And | Not | Loose
And.model_rebuild()
Not.model_rebuild()


def test_types_within_one_another_are_read_again_only_so_often() -> None:
    nested = body(And)
    sent = b'{"both":[' + b'{"one":' * 50 + b'{"x":1,"z":2}' + b"}" * 50 + b"]}"
    assert nested.read(sent) == sent.replace(b',"z":2', b"")
    fat = b'{"both":[' + b'{"one":' * 50 + b'{"x":1,"z":"' + b"a" * 100_000 + b'"}' + b"}" * 50 + b"]}"
    read = nested.read(fat)
    assert isinstance(read, Violations)
    assert [one.type for one in read.listed] == ["ambiguous_type"]


def test_a_large_body_is_left_between_steps() -> None:
    steps = body(list[Point]).read_in_steps(b"[" + b",".join([b'{"x":1,"z":2}'] * 10_000) + b"]")
    made: list[bytes | Violations] = []

    def whole() -> Generator[None]:
        made.append((yield from steps))

    assert sum(1 for _ in whole()) > 10
    assert made == [b"[" + b",".join([b'{"x":1}'] * 10_000) + b"]"]
