"""Kinds of parameters: a type as FastAPI's users declare it, and texts that it takes and does not take."""

import datetime
import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Annotated, Any, Final, Literal, NamedTuple, NewType, Required
from uuid import UUID

from pydantic import (
    AfterValidator,
    AliasChoices,
    AnyUrl,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ByteSize,
    Field,
    IPvAnyAddress,
    Json,
    NaiveDatetime,
    SecretStr,
    StringConstraints,
)
from typing_extensions import TypeAliasType, TypedDict


class Colour(enum.Enum):
    """Of texts."""

    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    """Of numbers."""

    LOW = 1
    HIGH = 2


def _even(value: int) -> int:
    if value % 2:
        raise ValueError("odd")
    return value


def _bare(value: object) -> object:
    return value.removeprefix("#") if isinstance(value, str) else value


Name = NewType("Name", str)
Alias = TypeAliasType("Alias", Annotated[int, AfterValidator(_even)])


@dataclass(frozen=True)
class Kind:
    """``arguments`` are those of ``Query()`` and the others. The first of ``texts`` fits, if any does."""

    type: Any
    texts: Sequence[str]
    default: Any = None
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])


_UUID: Final = "12345678-1234-4678-9234-567812345678"
_DATES: Final = ("2024-02-29", "2023-02-29", "2024-02-29T00:00:00", "2024-02-29T10:00:00", "1709164800", "20240229")
_DATETIMES: Final = (
    *("2024-02-29T12:00", "2024-02-29 12:00:00.123Z", "2024-02-29T12:00:00+02:00", "2024-02-29T25:00:00", "2024-02-29"),
    *("1709164800", "1709164800000", "1709164800.5", "2024-02-29T12:00:00,5"),
)
_NUMBERS: Final = ("5", "-5", "0", "3", "100", "101", "5.0", "5.5", "1e2", "1_000", "+5", "05", " 5 ", "1" * 30)
_FLOATS: Final = (*_NUMBERS, "nan", "inf", "-Infinity", "1e400", "0.1", ".5", "5.")
_BOOLS: Final = ("true", "True", "TRUE", "1", "0", "on", "OFF", "yes", "n", "t", "F", "2", "1.0", "enabled")

# What any type may meet.
ANY_TEXT: Final = ("", " ", "5", "a", "true", "null", "é", "2024-02-29", "[1,2]", '"5"', "{}", "a,b", "1.5")

KINDS: Final[dict[str, Kind]] = {
    "int": Kind(int, _NUMBERS, 7),
    "int between": Kind(int, _NUMBERS, 7, {"ge": 0, "lt": 101}),
    "int multiple": Kind(int, _NUMBERS, 6, {"multiple_of": 3}),
    "int strict": Kind(int, _NUMBERS, 7, {"strict": True}),
    "float": Kind(float, _FLOATS, 1.5),
    "float finite": Kind(float, _FLOATS, 1.5, {"allow_inf_nan": False, "gt": -5}),
    "float multiple": Kind(float, _FLOATS, 1.5, {"multiple_of": 0.5}),
    "bool": Kind(bool, _BOOLS, True),
    "str": Kind(str, ("a b", "a+b", "a%20b", "é", "\U0001f600", "a;b", "a=b&c"), "a"),
    "str length": Kind(str, ("ab", "abcd", "abcde", "éé"), "ab", {"min_length": 2, "max_length": 4}),
    "str pattern": Kind(str, ("ab", "AB", "ab\t", "ba"), "ab", {"pattern": "^[ab]+$"}),
    "str strict": Kind(str, ("a",), "a", {"strict": True}),
    "str stripped": Kind(Annotated[str, StringConstraints(strip_whitespace=True, to_lower=True)], (" A ", "B"), "a"),
    "bytes": Kind(bytes, ("a", "é", "YQ=="), b"a", {"max_length": 3}),
    "secret": Kind(SecretStr, ("a", "**********"), None, {"min_length": 1}),
    "Decimal": Kind(Decimal, _FLOATS, Decimal("1.5")),
    "Decimal digits": Kind(
        Decimal, (*_FLOATS, "12.34", "12.345", "123.4"), None, {"max_digits": 4, "decimal_places": 2}
    ),
    "date": Kind(datetime.date, _DATES),
    "datetime": Kind(datetime.datetime, _DATETIMES),
    "aware": Kind(AwareDatetime, ("2024-02-29T12:00Z", *_DATETIMES)),
    "naive": Kind(NaiveDatetime, _DATETIMES),
    "time": Kind(datetime.time, ("12:30", "12:30:15.5", "12:30Z", "24:00", "12", "45000")),
    "timedelta": Kind(datetime.timedelta, ("PT1H", "P1DT2H", "-P1D", "1 day, 10:00:00", "90", "1.5", "10:20", "P1Y")),
    "UUID": Kind(UUID, (_UUID, _UUID.replace("-", ""), _UUID.upper(), f"{{{_UUID}}}", f"urn:uuid:{_UUID}", _UUID[:-1])),
    "enum": Kind(Colour, ("red", "RED", "blue", "Colour.RED"), Colour.RED),
    "int enum": Kind(Level, ("1", "2", "3", "1.0", "LOW"), Level.LOW),
    "literal": Kind(Literal["a", "b"], ("a", "b", "A", "c"), "a"),
    "literal of numbers": Kind(Literal[1, 2], ("1", "2"), 1),
    "literal of both": Kind(Literal["1", 1, True], ("1", "true"), 1),
    "int or str": Kind(int | str, ("5", "05", "a", "5.0"), "a"),
    "int or bool": Kind(int | bool, ("1", "true", "a", "2"), 1),
    "left to right": Kind(float | int | str, ("5", "5.5", "a"), "a", {"union_mode": "left_to_right"}),
    "date or int": Kind(datetime.date | int, ("2024-02-29", "5", "86400")),
    "enum or int": Kind(Colour | int, ("red", "5", "green"), 5),
    "url": Kind(AnyUrl, ("http://a/b", "http://é.example", "a", "http:", "http://a b/")),
    "address": Kind(IPvAnyAddress, ("127.0.0.1", "::1", "127.0.0.01", "1", "::1%a")),
    "size": Kind(ByteSize, ("5", "1KB", "1.5 MiB", "-1", "KB")),
    "path": Kind(PurePosixPath, ("a/b", "../a", "."), PurePosixPath("a")),
    "JSON list": Kind(Json[list[int]], ("[1,2]", "[1,", "[]", '["1"]', "[1.5]", "[1e2]")),
    "before": Kind(Annotated[int, BeforeValidator(_bare)], ("#5", "5", "##5"), 5),
    "after": Kind(Annotated[int, AfterValidator(_even)], ("4", "5"), 4),
    "new type": Kind(Name, ("a",), Name("a")),
    "alias of a type": Kind(Alias, ("4", "5"), 4),
    "any": Kind(Any, ("a",), "a"),
}


# --- JSON bodies ---


class Closed(BaseModel, extra="forbid"):
    """Refuses members that it does not name."""

    n: int
    within: "Closed | None" = None


class Open(BaseModel, extra="allow"):
    """Takes more members, as numbers."""

    __pydantic_extra__: dict[str, int]  # pyright: ignore[reportIncompatibleVariableOverride] - pydantic's own way
    d: datetime.date | None = None


class Dated(BaseModel):
    """Ignores what it does not name."""

    when: datetime.date
    more: list[Closed] = []


class Written(BaseModel):
    """Reads the same member, and one more."""

    when: str
    text: str = ""


class Cat(BaseModel):
    """One of two."""

    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel, extra="forbid"):
    """The other."""

    kind: Literal["dog"]
    name: Annotated[str, Field(alias="called", max_length=3)]


class Strict(BaseModel, strict=True):
    """Takes nothing but what its types are in Python."""

    n: int = 0
    when: datetime.date | None = None
    tags: set[str] = set()
    part: Cat | None = None


class Base64(BaseModel, val_json_bytes="base64"):
    """Decodes JSON's texts, and no others."""

    data: bytes


class Chosen(BaseModel, validate_by_name=True, validate_by_alias=True):
    """Has several names for one member."""

    a: Annotated[int, Field(validation_alias=AliasChoices("x", "y"))] = 0
    b: Annotated[str, Field(alias="z")] = ""


class Row(NamedTuple):
    """An array."""

    n: int
    text: str = ""


class Typed(TypedDict, total=False):
    """A dictionary."""

    n: Required[int]
    text: str


@dataclass
class Plain:
    """No model."""

    n: int
    text: str = ""


Pet = Annotated[Cat | Dog, Field(discriminator="kind")]
_OBJECTS: Final = (
    *('{"n":1}', '{"n":"1","within":{"n":2}}', '{"n":1,"more":1}', '{"n":1,"within":{"n":2,"x":1}}', '{"n":1.5}'),
    *('{"when":"2024-02-29"}', '{"when":"2024-02-29","text":"a"}', '{"when":"x","text":"a","more":[]}'),
    *('{"when":"2024-02-29","more":[{"n":1}]}', '{"when":5,"more":[{"n":1,"x":2}]}', '{"d":"2024-02-29","k":"5"}'),
    *('{"kind":"cat","lives":"7","name":"a"}', '{"kind":"dog","called":"abc"}', '{"kind":"dog","called":"abcd"}'),
    *('{"kind":"cow"}', '{"data":"YQ=="}', '{"data":"é"}', '{"x":1,"z":"a"}', '{"y":1,"b":"a"}', '{"a":1,"x":2}'),
    *('{"x":1,"y":2}', '{"b":"1","z":"2"}', '{"n":1,"tags":["a","a"]}', '{"n":"1"}', '{"part":{"kind":"cat"}}', "{}"),
)
_ARRAYS: Final = ("[]", "[1]", "[1,2]", '["1","2"]', "[1,1]", '[1,"a"]', "[1.0]", '[{"n":1}]', "[[1]]", "[null]")
_SCALARS: Final = (
    *(
        "5",
        "5.0",
        "5.5",
        "-0.0",
        "1e2",
        "0.1",
        "1.10",
        "12.345",
        "true",
        "null",
        '""',
        '"5"',
        '"a"',
        '"é"',
        '"\\u00e9"',
    ),
    *(
        "100",
        "101",
        "123456789012345678901234567890",
        "0.30000000000000004",
        '"true"',
        '"nan"',
        '" 5 "',
        '"\\ud83d\\ude00"',
    ),
)
DOCUMENTS: Final = (*_OBJECTS, *_ARRAYS, *_SCALARS)

BODIES: Final[dict[str, Kind]] = {
    "closed": Kind(Closed, ('{"n":1}',)),
    "open": Kind(Open, ('{"d":"2024-02-29","k":"5"}',)),
    "dated": Kind(Dated, ('{"when":"2024-02-29","more":[{"n":1}]}',)),
    "dates and texts": Kind(
        Dated | Written, ('{"when":"2024-02-29","text":"a"}', '{"when":"2024-02-29","more":[{"n":1}]}')
    ),
    "texts and dates": Kind(
        Written | Dated, ('{"when":"2024-02-29","text":"a"}', '{"when":"2024-02-29","more":[{"n":1}]}')
    ),
    "pets": Kind(list[Pet], ('[{"kind":"cat","lives":"7","name":"a"}]', '[{"kind":"dog","called":"abc"}]')),
    "pet": Kind(Pet, ('{"kind":"cat","lives":"7","name":"a"}',)),
    "untagged": Kind(Cat | Dog | Closed, ('{"kind":"dog","called":"abc"}', '{"n":1}')),
    "strict": Kind(Strict, ('{"n":1,"tags":["a"]}', '{"when":"2024-02-29"}', '{"part":{"kind":"cat"}}')),
    "strict date": Kind(datetime.date, ('"2024-02-29"',), None, {"strict": True}),
    "strict UUID": Kind(UUID, (f'"{_UUID}"',), None, {"strict": True}),
    "base64": Kind(Base64, ('{"data":"YQ=="}', '{"data":"é"}')),
    "chosen": Kind(Chosen, ('{"x":1,"z":"a"}',)),
    "row": Kind(Row, ('[1,"a"]', '{"n":1}', "[1]")),
    "typed": Kind(Typed, ('{"n":1}', '{"n":1,"text":"a","more":1}')),
    "dataclass": Kind(Plain, ('{"n":1}', '{"n":1,"text":"a","more":1}')),
    "dict": Kind(dict[str, int], ('{"a":1,"x":2}',)),
    "dict of numbers": Kind(dict[int, Closed], ('{"1":{"n":1}}', '{"a":{"n":1}}')),
    "dict of dates": Kind(dict[datetime.date, int], ('{"2024-02-29":1}',)),
    "list": Kind(list[int], ("[1,2]",), None, {"min_length": 1, "max_length": 2}),
    "set": Kind(set[int], ("[1,1]",), None, {"max_length": 1}),
    "tuple": Kind(tuple[int, str], ('[1,"a"]',)),
    "tuples": Kind(tuple[int, ...], ("[1,2]",)),
    "JSON in JSON": Kind(Json[list[int]], ('"[1,2]"', '"[1,"', "[1,2]")),
    "anything": Kind(Any, ("[1]", '{"a":1}')),
    "list or dict": Kind(list[int] | dict[str, int], ("[1]", '{"a":1}')),
    **{name: kind for name, kind in KINDS.items() if name not in ("JSON list",)},
}
