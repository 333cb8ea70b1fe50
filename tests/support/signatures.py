"""Signatures of path operations, each with requests for it, as Hypothesis draws them: see ``signatures``.

Most of what is sent for a parameter fits it, so that a third of the requests are accepted.
"""

import inspect
import json
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, NamedTuple
from urllib.parse import quote, quote_plus

from fastapi import Body, Cookie, Form, Header, Query
from hypothesis import strategies as st
from pydantic import AliasChoices, BaseModel, Field, create_model

from kinds import ANY_TEXT, BODIES, DOCUMENTS, KINDS, Kind
from twin import Sent, Twin

FORM: Final = (b"content-type", b"application/x-www-form-urlencoded")
JSON: Final = (b"content-type", b"application/json")


def parameter(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def body_parameter(name: str, annotation: Any, **arguments: Any) -> inspect.Parameter:
    """Return a parameter that is a body."""
    annotated: Any = Annotated
    return parameter(name, annotated[annotation, Body(**arguments)])


def optional_type(annotation: Any) -> Any:
    return annotation if annotation is Any else annotation | None


Draw = Callable[[st.SearchStrategy[Any]], Any]
SHAPES: Final = ("one", "optional", "default", "factory", "list", "set", "tuple", "list or none", "list by default")
KEYS: Final[dict[Any, Sequence[str]]] = {
    Query: ("a", "b_c", "Dd", "e1"),
    Header: ("h", "h_i_j", "Hk"),
    Cookie: ("c", "c_d", "Ce"),
    Form: ("f", "f_g", "Fh"),
    Body: ("m", "m_n", "Mo"),
}
COLLECTIONS: Final[dict[str, Any]] = dict(zip(SHAPES[4:], (list, set, tuple, list, list), strict=True))


class Declared(NamedTuple):
    """A parameter: its name in the function, its type, its default, and what may be sent for it."""

    name: str
    annotation: Any
    info: dict[str, Any]
    default: Any
    sent_as: Sequence[str]
    texts: Sequence[str]


def _one_or_many(draw: Draw, kind: Kind, shape: str) -> tuple[Any, dict[str, Any], Any]:
    """Return a type, the arguments that go with it, and a default."""
    if shape in COLLECTIONS:
        many = COLLECTIONS[shape]
        annotation = many[kind.type, ...] if shape == "tuple" else many[kind.type]
        annotation = optional_type(annotation) if shape == "list or none" else annotation
        bounds = draw(st.sampled_from([{}, {}, {"max_length": 1}, {"min_length": 1}]))
        defaults: dict[str, Any] = {"list or none": None, "list by default": []}
        default = defaults.get(shape, inspect.Parameter.empty)
        return annotation, bounds, default
    if shape == "factory":
        return kind.type, {**kind.arguments, "default_factory": lambda: kind.default}, inspect.Parameter.empty
    if shape == "one":
        return kind.type, kind.arguments, inspect.Parameter.empty
    if shape == "default" and kind.default is not None:
        return kind.type, kind.arguments, kind.default
    return optional_type(kind.type), kind.arguments, None


def _declared(draw: Draw, name: str, place: Any) -> Declared:
    kind = KINDS[draw(st.sampled_from([one for one in KINDS if not (one.startswith("JSON") and place is not Query)]))]
    # FastAPI reads a list of cookies from no cookie, and JSON from one text.
    shape = draw(st.sampled_from(SHAPES if place is not Cookie else (*SHAPES[:4], "list or none")))
    if kind is KINDS["JSON list"] or kind.type is Any:
        shape = "optional"
    annotation, arguments, default = _one_or_many(draw, kind, shape)
    other = f"X-{name}".replace("_", "-") if place is Header else f"X.{name}"
    plain = name.replace("_", "-")
    naming, sent_as = draw(
        st.sampled_from(
            [
                ({}, [name, name.replace("_", "-")]),
                ({}, [name, name.replace("_", "-")]),
                ({"alias": other}, [other, name]),
                ({"validation_alias": other}, [other, name]),
                ({"alias": f"Y-{plain}", "validation_alias": other}, [other, f"Y-{plain}", name]),
                ({"validation_alias": AliasChoices(other, f"Z-{plain}")}, [other, f"Z-{plain}", name]),
            ]
        )
    )
    if draw(st.booleans()) and default is None:
        arguments = {**arguments, "include_in_schema": False, "deprecated": True, "title": "A", "examples": ["a"]}
    return Declared(name, annotation, {**arguments, **naming}, default, sent_as, (*kind.texts, *ANY_TEXT))


def _group(draw: Draw, fields: Sequence[Declared], place: Any) -> inspect.Parameter:
    """Return a parameter that is a model of these fields."""
    extra = draw(st.sampled_from(["ignore", "allow", "forbid"] if place is not Header else ["ignore"]))
    more = draw(
        st.sampled_from(
            [
                {},
                {"validate_by_name": True, "validate_by_alias": True},
                {"populate_by_name": True},
                {"validate_by_alias": False, "validate_by_name": True},
            ]
        )
    )
    members: dict[str, Any] = {}
    for one in fields:
        info = {key: value for key, value in one.info.items() if key != "include_in_schema"}
        default = {} if one.default is inspect.Parameter.empty else {"default": one.default}
        members[one.name] = (one.annotation, Field(**info, **default))
    config: Any = {"extra": extra, **more}
    model: type[BaseModel] = create_model("Group", __config__=config, **members)
    annotated: Any = Annotated
    if draw(st.booleans()):
        return parameter("group", annotated[model | None, place()], None)
    return parameter("group", annotated[model, place()])


def _fields(draw: Draw, place: Any) -> tuple[list[inspect.Parameter], list[Declared]]:
    fields = [
        _declared(draw, name, place) for name in draw(st.lists(st.sampled_from(KEYS[place]), max_size=3, unique=True))
    ]
    if fields and draw(st.booleans()):
        return [_group(draw, fields, place).replace(name=f"{place.__name__.lower()}_group")], fields
    annotated: Any = Annotated
    parameters = [parameter(one.name, annotated[one.annotation, place(**one.info)], one.default) for one in fields]
    return parameters, fields


def pick_text(draw: Draw, texts: Sequence[str]) -> str:
    return texts[0] if draw(st.integers(0, 5)) else draw(st.sampled_from(texts))


def _values(draw: Draw, fields: Sequence[Declared]) -> list[tuple[str, str]]:
    """Return what is sent for the fields: mostly once each by the right name, and sometimes not."""
    pairs: list[tuple[str, str]] = []
    for one in fields:
        for _ in range(draw(st.sampled_from([*[1] * 15, 0, 2]))):
            name = one.sent_as[0] if draw(st.integers(0, 9)) else draw(st.sampled_from(one.sent_as))
            pairs.append((name, pick_text(draw, one.texts)))
    if not draw(st.integers(0, 4)):
        pairs.append(("other", draw(st.sampled_from(ANY_TEXT))))
    return pairs


def _encoded(draw: Draw, pairs: Sequence[tuple[str, str]]) -> bytes:
    encode = draw(st.sampled_from([quote, quote_plus]))
    return "&".join(f"{quote(name, safe='')}={encode(text, safe='')}" for name, text in pairs).encode()


def _header_lines(draw: Draw, pairs: Sequence[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    codec = draw(st.sampled_from(["utf-8", "latin-1"]))
    return [(name.lower().encode(), text.strip().encode(codec, "replace")) for name, text in pairs]


def _cookie_line(draw: Draw, pairs: Sequence[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    parts: list[str] = []
    for name, text in pairs:
        quoted = '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace(";", "\\073").replace(",", "\\054") + '"'
        parts.append(f"{name}={quoted if draw(st.booleans()) else text.strip().replace(';', '')}")
    return [(b"cookie", draw(st.sampled_from(["; ", ";"])).join(parts).encode())] if parts else []


@st.composite
def signatures(draw: Draw) -> tuple[Twin, Callable[[Draw], Sent]]:
    """Return a signature twice, and what draws requests for it."""
    queries, in_query = _fields(draw, Query)
    headers, in_header = _fields(draw, Header)
    cookies, in_cookie = _fields(draw, Cookie)
    kind = draw(st.sampled_from(["none", "form", "form", "JSON", "JSON"]))
    forms, in_form = _fields(draw, Form) if kind == "form" else ([], [])
    bodies, members = _bodies(draw) if kind == "JSON" else ([], None)

    twin = Twin([*queries, *headers, *cookies, *forms, *bodies])

    def request(draw: Draw) -> Sent:
        query = _encoded(draw, _values(draw, in_query))
        lines = [*_header_lines(draw, _values(draw, in_header)), *_cookie_line(draw, _values(draw, in_cookie))]
        content = _encoded(draw, _values(draw, in_form)) if forms else b""
        if forms and content:
            lines.append(FORM)
        if members is not None:
            content = members(draw).encode()
            lines.append(
                (JSON[0], draw(st.sampled_from([JSON[1], b"application/a+json", b"application/json; charset=utf-8"])))
            )
        return Sent(b"/x?" + query if query else b"/x", lines, content)

    return twin, request


def _bodies(draw: Draw) -> tuple[list[inspect.Parameter], Callable[[Draw], str]]:
    """Return one body, or several, and what draws documents for them."""
    annotated: Any = Annotated
    names = draw(st.lists(st.sampled_from(KEYS[Body]), min_size=1, max_size=3, unique=True))
    embed = {"embed": True} if draw(st.booleans()) else {}
    aliases = {name: draw(st.sampled_from([{}, {}, {"alias": f"x-{name}"}])) for name in names}
    kinds = {name: BODIES[draw(st.sampled_from(sorted(BODIES)))] for name in names}
    parameters: list[inspect.Parameter] = []
    for name, kind in kinds.items():
        optional = draw(st.booleans())
        info = Body(**kind.arguments, **embed, **aliases[name])
        annotation = annotated[optional_type(kind.type) if optional else kind.type, info]
        parameters.append(parameter(name, annotation, None if optional else inspect.Parameter.empty))

    def value(draw: Draw, kind: Kind) -> str:
        if not draw(st.integers(0, 9)):
            return draw(st.sampled_from(DOCUMENTS))
        text = pick_text(draw, kind.texts)
        return text if text[0] in '{["' else json.dumps(text)

    def document(draw: Draw) -> str:
        if len(names) == 1 and not embed:
            return value(draw, kinds[names[0]])
        if not draw(st.integers(0, 9)):
            return draw(st.sampled_from(["", "null", "[]", "5", "{}"]))
        members = [
            (aliases[name].get("alias", name) if draw(st.integers(0, 15)) else name, value(draw, kind))
            for name, kind in kinds.items()
            if draw(st.integers(0, 15))
        ]
        if not draw(st.integers(0, 3)):
            members.insert(0, ("other", draw(st.sampled_from(DOCUMENTS))))
        return "{" + ", ".join(f"{json.dumps(name)}: {text}" for name, text in members) + "}"

    return parameters, document
