"""For any model and any body that it accepts: the service reads with the same model what the gateway has read, and the
members that the model names are the client's, byte for byte.

Types and documents are made together, so that it is known of each member whether its type names it. Documents are compared
as tokens: white space is the client's as well, but for that around what is taken out.
"""

import json
import re
from collections.abc import Callable
from dataclasses import make_dataclass
from decimal import Decimal
from functools import reduce
from typing import Annotated, Any, Literal

from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, Json, SecretStr, TypeAdapter, create_model
from typing_extensions import TypedDict

from limen.contract.json_body import JsonBody

_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')

Draw = Callable[[st.SearchStrategy[Any]], Any]
Document = tuple[str, str]  # as it is sent, and without what is ignored
Kind = tuple[Any, Callable[[Draw], Document]]

_BLANKS = st.sampled_from(["", "", " ", "\n\t"])
_NAMES = st.text("abcdefgh_", min_size=1, max_size=3)
_TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=6)


def _spelled(draw: Draw, text: str) -> str:
    """A string as JSON, one way or another."""
    return json.dumps(text, ensure_ascii=draw(st.booleans()))


def _same(text: str) -> Document:
    return text, text


_DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | _TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_NAMES, inner, max_size=2),
    max_leaves=4,
)


def _anything(draw: Draw) -> str:
    return json.dumps(draw(_DOCUMENTS))


_SCALARS: list[Kind] = [
    (int, lambda draw: _same(str(draw(st.integers(-999, 999))))),
    (bool, lambda draw: _same(draw(st.sampled_from(["true", "false"])))),
    (float, lambda draw: _same(draw(st.sampled_from(["1.50", "-0.0", "1e2", "2E-3", "7", "0.1"])))),
    (Decimal, lambda draw: _same(draw(st.sampled_from(["12.50", '"1.10"', "1e2", "3"])))),
    (str, lambda draw: _same(_spelled(draw, draw(_TEXTS)))),
    (SecretStr, lambda draw: _same(_spelled(draw, draw(_TEXTS)))),
    (Json[Any], lambda draw: _same(json.dumps(_anything(draw)))),
    (Any, lambda draw: _same(_anything(draw))),
]


def _array(kind: Kind) -> Kind:
    inner, write = kind

    def document(draw: Draw) -> Document:
        items = [write(draw) for _ in range(draw(st.integers(0, 3)))]
        return _joined(draw, "[", [one for one, _ in items], "]"), "[" + ",".join(one for _, one in items) + "]"

    return list[inner], document


def _mapping(kind: Kind) -> Kind:
    inner, write = kind

    def document(draw: Draw) -> Document:
        members = {name: write(draw) for name in draw(st.lists(_NAMES, max_size=3, unique=True))}
        return _object(draw, [(name, *made) for name, made in members.items()])

    return dict[str, inner], document


def _optional(kind: Kind) -> Kind:
    inner, write = kind
    return inner | None, lambda draw: _same("null") if draw(st.booleans()) else write(draw)


def _fields(draw: Draw, kinds: list[Kind]) -> dict[str, Kind]:
    names = draw(st.lists(_NAMES.map("f_{}".format), min_size=len(kinds), max_size=len(kinds), unique=True))
    return dict(zip(names, kinds, strict=True))


def _model(draw: Draw, kinds: list[Kind], tag: str | None = None) -> Kind:
    fields = _fields(draw, kinds)
    aliases = {name: f"as-{name}" if draw(st.booleans()) else name for name in fields}
    extra: Literal["ignore", "allow", "forbid"] = draw(st.sampled_from(["ignore", "ignore", "allow", "forbid"]))
    given: dict[str, Any] = {
        name: (kind, Field(validation_alias=aliases[name], exclude=draw(st.booleans())))
        for name, (kind, _) in fields.items()
    }
    if tag is not None:
        given["tag"] = (Literal[tag], ...)  # type: ignore[valid-type]
    made = create_model("EditedAnswer", __config__=ConfigDict(extra=extra), **given)

    def document(draw: Draw) -> Document:
        members = [(aliases[name], *write(draw)) for name, (_, write) in fields.items()]
        if tag is not None:
            members.append(("tag", f'"{tag}"', f'"{tag}"'))
        return _object(draw, _with_more(draw, members, extra))

    return made, document


def _record(draw: Draw, kinds: list[Kind]) -> Kind:
    fields = _fields(draw, kinds)
    made: Any = TypedDict("made", {name: kind for name, (kind, _) in fields.items()}, total=False)  # type: ignore[misc]
    made.__pydantic_config__ = ConfigDict(extra="ignore")  # or it has that of what it is in

    def document(draw: Draw) -> Document:
        members = [(name, *write(draw)) for name, (_, write) in fields.items() if draw(st.booleans())]
        return _object(draw, _with_more(draw, members, "ignore"))

    return made, document


def _data(draw: Draw, kinds: list[Kind]) -> Kind:
    fields = _fields(draw, kinds)
    made: Any = make_dataclass("EditedAnswer", [(name, kind) for name, (kind, _) in fields.items()])
    made.__pydantic_config__ = ConfigDict(extra="ignore")

    def document(draw: Draw) -> Document:
        members = [(name, *write(draw)) for name, (_, write) in fields.items()]
        return _object(draw, _with_more(draw, members, "ignore"))

    return made, document


def _either(draw: Draw, kinds: list[Kind]) -> Kind:
    models = [_model(draw, [kind], tag) for kind, tag in zip(kinds, "ab", strict=False)]
    union: Any = reduce(lambda one, other: one | other, [kind for kind, _ in models])
    if draw(st.booleans()) and len(models) > 1:
        union = Annotated[union, Field(discriminator="tag")]
    return union, lambda draw: draw(st.sampled_from(models))[1](draw)


def _with_more(draw: Draw, members: list[tuple[str, str, str]], extra: str) -> list[tuple[str, str, str | None]]:
    made: list[tuple[str, str, str | None]] = list(members)
    if extra != "forbid":
        for name in draw(st.lists(_NAMES.map("x_{}".format), max_size=2, unique=True)):
            text = _anything(draw)
            made.append((name, text, text if extra == "allow" else None))
    return draw(st.permutations(made))


def _object(draw: Draw, members: Any) -> Document:
    sent: list[str] = []
    kept: list[str] = []
    for name, text, left in members:
        spelled = _spelled(draw, name)
        sent.append(f"{spelled}{draw(_BLANKS)}:{draw(_BLANKS)}{text}")
        if left is not None:
            kept.append(f"{spelled}:{left}")
    return _joined(draw, "{", sent, "}"), "{" + ",".join(kept) + "}"


def _joined(draw: Draw, begin: str, parts: list[str], end: str) -> str:
    return begin + ",".join(draw(_BLANKS) + part + draw(_BLANKS) for part in parts) + draw(_BLANKS) + end


@st.composite
def _kinds(draw: Draw, depth: int = 3) -> Kind:
    if depth == 0:
        return draw(st.sampled_from(_SCALARS))
    inner = _kinds(depth - 1)
    shape = draw(
        st.sampled_from(["scalar", "array", "mapping", "optional", "model", "model", "record", "data", "either"])
    )
    if shape == "scalar":
        return draw(st.sampled_from(_SCALARS))
    several = draw(st.lists(inner, min_size=1, max_size=2))
    match shape:
        case "array":
            return _array(several[0])
        case "mapping":
            return _mapping(several[0])
        case "optional":
            return _optional(several[0])
        case "model":
            return _model(draw, several)
        case "record":
            return _record(draw, several)
        case "data":
            return _data(draw, several)
        case _:
            return _either(draw, several)


@given(st.data())
def test_a_body_is_the_clients_without_what_its_type_ignores(data: st.DataObject) -> None:
    kind, write = data.draw(_kinds())
    sent, expected = write(data.draw)
    adapter = TypeAdapter[Any](kind)
    read = JsonBody(adapter).read(sent.encode())
    assert isinstance(read, bytes), read
    assert _TOKENS.findall(read.decode()) == _TOKENS.findall(expected)
    assert adapter.validate_json(read) == adapter.validate_json(sent)
    if sent.count("x_") == 0:
        assert read == sent.encode()


class Anything(BaseModel):
    """Some names that are looked for below."""

    a: int = 0
    b: "list[Anything] | None" = None


@given(
    st.recursive(
        st.none() | st.integers() | st.text("ab", max_size=2),
        lambda inner: st.lists(inner) | st.dictionaries(st.text("abc", max_size=1), inner),
        max_leaves=20,
    )
)
def test_whatever_is_accepted_is_read_the_same(document: Any) -> None:
    adapter = TypeAdapter[Any](dict[str, Anything] | list[Anything] | Anything)
    sent = json.dumps(document).encode()
    read = JsonBody(adapter).read(sent)
    if isinstance(read, bytes):
        assert adapter.validate_json(read) == adapter.validate_json(sent)
        assert JsonBody(adapter).read(read) == read
