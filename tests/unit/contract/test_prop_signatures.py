"""The same signature in plain FastAPI and as a stub, and the same requests: both take a request or both refuse it, and the
service behind the stub reads the values that FastAPI reads of the request itself.

``STRICTER`` and ``EARLIER`` list where a stub refuses more; docs/contracts.md says why. Nothing else counts as agreed.
"""

import inspect
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path as File
from typing import Annotated, Any, Final
from urllib.parse import quote, unquote_plus

import pytest
from fastapi import Body, Cookie, Form, Header, Path, Query
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AliasChoices

from kinds import ANY_TEXT, BODIES, DOCUMENTS, KINDS
from limen.errors import Fault, Invalid
from signatures import FORM, JSON, optional_type, parameter, pick_text, signatures
from twin import Sent, Twin


def _pairs(text: str, separator: str = "&") -> list[tuple[str, str]]:
    return [(unquote_plus(name), value) for name, _, value in (one.partition("=") for one in text.split(separator))]


def _names(sent: Sent) -> list[str]:
    """Return the names that a request says, one for each time."""
    cookies = ";".join(value.decode("latin-1") for name, value in sent.headers if name == b"cookie")
    found = [
        name for text in (sent.target.partition(b"?")[2], sent.content) for name, _ in _pairs(text.decode("latin-1"))
    ]
    return [*found, *(name.strip() for name, _ in _pairs(cookies, ";")), *(name.decode() for name, _ in sent.headers)]


def _repeated(sent: Sent, error: Invalid) -> bool:
    names = [name.lower() for name in _names(sent)]
    several = re.search("one of its names, not (.*)", error.msg)
    if several is not None:
        return all(name.lower() in names for name in several[1].split(" and "))
    return names.count(str(error.loc[1]).lower()) > 1


def _undecodable(sent: Sent, _: Invalid) -> bool:
    return re.search(rb"%(?![0-9A-Fa-f]{2})|%[89A-Fa-f]", sent.target + sent.content) is not None


def _repeats_a_member(sent: Sent, _: Invalid) -> bool:
    found: list[bool] = []

    def look(pairs: list[tuple[str, object]]) -> None:
        found.append(len(dict(pairs)) < len(pairs))

    json.loads(sent.content, object_pairs_hook=look)
    return any(found)


def _of_another_type(sent: Sent, fault: Fault) -> bool:
    documented = fault.detail.split(" ")[3].removesuffix(".").encode()
    given = [value for name, value in sent.headers if name == b"content-type"]
    return given != [documented] or any(name == b"content-encoding" for name, _ in sent.headers)


STRICTER: Final[dict[str, Callable[[Sent, Invalid], bool]]] = {
    # One value is expected, and two come, or two names of one parameter.
    "repeated": _repeated,
    # A semicolon in a query or form, behind which a declared name stands; a cookie without "=".
    "ambiguous": lambda sent, _: (
        b";" in sent.target + sent.content or any(name == b"cookie" for name, _ in sent.headers)
    ),
    # Percent-encoding that is malformed, or no UTF-8.
    "bad_encoding": _undecodable,
    # Two members of one name.
    "repeated_name": _repeats_a_member,
    # NaN, infinities, and numbers that no float holds.
    "finite_number": lambda sent, _: re.search(rb"NaN|Infinity|e\d{3}", sent.content) is not None,
}

# And these are refused before anything is checked.
EARLIER: Final[dict[str, Callable[[Sent, Fault], bool]]] = {
    # Another media type than the documented one, two of them, or a content coding.
    "media_type": _of_another_type,
    # A path that two readers could read differently.
    "bad_path": lambda sent, _: re.search(rb"/(?:\.|%2e){1,2}(?:/|$)|//|%5c|%25", sent.target.lower()) is not None,
}


def _explained(fault: Fault, sent: Sent) -> bool:
    """Tell whether a fault is one that a stub has on purpose, and FastAPI does not."""
    if not fault.errors:
        return fault.kind.code in EARLIER and EARLIER[fault.kind.code](sent, fault)
    return all(one.type in STRICTER and STRICTER[one.type](sent, one) for one in fault.errors)


def _agree(twin: Twin, sent: Sent) -> None:
    fault = twin.compare(sent)
    assert fault is None or _explained(fault, sent), f"the gateway alone refuses {sent}: {fault.kind} {fault.errors}"


# --- each kind, everywhere ---


def _sent(place: Any, text: str) -> Sent:
    encoded = quote(text, safe="").encode()
    if place is Path:
        return Sent(b"/x/" + encoded)
    if place is Query:
        return Sent(b"/x?value=" + encoded)
    if place is Form:
        return Sent(b"/x", [FORM], b"value=" + encoded)
    line = text.strip().replace(";", "").encode()
    return Sent(b"/x", [(b"value", line)] if place is Header else [(b"cookie", b"value=" + line)])


@pytest.mark.parametrize("place", [Query, Header, Cookie, Form, Path])
def test_each_kind_of_parameter_takes_the_same_texts(place: Any) -> None:
    for name, kind in KINDS.items():
        if place in (Form, Path) and name.startswith("JSON"):
            continue  # refused when they are declared
        annotated: Any = Annotated
        parameters = [parameter("value", annotated[kind.type, place(**kind.arguments)])]
        if place is not Path:
            parameters.append(parameter("value", annotated[optional_type(kind.type), place(**kind.arguments)], None))
        for one in parameters:
            twin = Twin([one], "/x/{value}" if place is Path else "/x")
            for text in dict.fromkeys((*kind.texts, *ANY_TEXT)):
                if place is Path and "/" in text:
                    continue  # within a segment it is data, and passes as it came; a FastAPI service decodes before it splits
                _agree(twin, _sent(place, text))


@pytest.mark.parametrize("optional", [False, True])
def test_each_kind_of_body_takes_the_same_documents(optional: bool) -> None:
    annotated: Any = Annotated
    for kind in BODIES.values():
        annotation = annotated[optional_type(kind.type) if optional else kind.type, Body(**kind.arguments)]
        twin = Twin([parameter("value", annotation, None if optional else inspect.Parameter.empty)])
        for text in dict.fromkeys((*kind.texts, *map(json.dumps, kind.texts), *DOCUMENTS, "")):
            _agree(twin, Sent(b"/x", [JSON], text.encode()))


@given(st.data())
def test_signatures(data: st.DataObject) -> None:
    twin, request = data.draw(signatures())
    for _ in range(8):
        _agree(twin, request(data.draw))


# --- paths ---

CONVERTERS: Final = {
    "": ("a", "a b", "é", "5", "5.5", "a+b", "a;b", "...", "%41"),
    ":str": ("a", "5"),
    ":int": ("5", "05", "-5", "5.0", "a", "٣", "1" * 30),
    ":float": ("5", "5.50", "-5.5", "5.", "1e2", "a"),
    ":uuid": (KINDS["UUID"].texts[0], KINDS["UUID"].texts[1], "a"),
}


OF_CONVERTERS: Final = {
    ":int": [
        "int",
        "int strict",
        "float",
        "Decimal",
        "str",
        "int or str",
        "int enum",
        "literal of numbers",
        "alias of a type",
    ],
    ":float": ["float", "float multiple", "Decimal", "int"],
    ":uuid": ["UUID", "str"],
}


# What does not fit a converter is 404 in FastAPI. The contract says 422, as long as the routing table takes any segment for
# it: both refuse, and that is all that ``Twin.compare`` asks. Once the table knows converters, ``pass_through`` gets None of
# ``find`` here; a path with a converter whose parameter the function does not declare can then be drawn as well, and
# ``_converted`` (app/signature_parameters.py) needs no match of its own.
@given(st.data())
def test_paths(data: st.DataObject) -> None:
    draw = data.draw
    annotated: Any = Annotated
    path, places = "", list[tuple[str, Sequence[str]]]()
    parameters: list[inspect.Parameter] = []
    for name in draw(st.lists(st.sampled_from(["a", "b_c", "d"]), min_size=1, max_size=3, unique=True)):
        converter = draw(st.sampled_from(["", *CONVERTERS]))
        kinds = OF_CONVERTERS.get(converter, []) if draw(st.integers(0, 4)) else []
        kind = KINDS[draw(st.sampled_from(kinds or [one for one in KINDS if not one.startswith("JSON")]))]
        named: Any = [
            (name, {}),
            (name, {"description": "A."}),
            (f"{name}_", {"validation_alias": AliasChoices("no", name)}),
        ]
        called, alias = draw(st.sampled_from(named))
        path += f"/{{{name}{converter}}}"
        plain = kind.texts if converter in ("", ":str") else ()
        places.append((name, [one for one in (*plain, *CONVERTERS[converter]) if "/" not in one]))
        parameters.append(parameter(called, annotated[kind.type, Path(**kind.arguments, **alias)]))
    tail = draw(st.sampled_from(["", "/end", "/{rest:path}"]))
    if tail.startswith("/{"):
        parameters.append(parameter("rest", annotated[str, Path(max_length=4)]))
    twin = Twin(parameters, path + tail)
    for _ in range(8):
        texts = [pick_text(draw, choices) for _, choices in places]
        end = draw(st.sampled_from(["/a", "/a/b", "/", "/ab/cd"])) if tail.startswith("/{") else tail
        _agree(twin, Sent("/".join(["", *(quote(text, safe="") for text in texts)]).encode() + end.encode()))


# --- what a stub refuses on purpose, and FastAPI takes ---

_NUMBER: Final = parameter("a", Annotated[int, Query()])
_CHOICES: Final = parameter("a", Annotated[int, Query(validation_alias=AliasChoices("a", "b"))])
_TEXT: Final = parameter("a", Annotated[str, Query()])
_COOKIE: Final = parameter("a", Annotated[str, Cookie()], "")
_FIELD: Final = parameter("a", Annotated[str | None, Form()], None)
_BODY: Final = parameter("a", Annotated[Any, Body()])
_BYTES: Final = parameter("a", Annotated[bytes, Body()])
_SEGMENT: Final = parameter("p", Annotated[str, Path()])


@pytest.mark.parametrize(
    ("declared", "sent", "code"),
    [
        (_NUMBER, Sent(b"/x?a=1&a=1"), "repeated"),
        (_CHOICES, Sent(b"/x?a=1&b=1"), "repeated"),
        (_COOKIE, Sent(b"/x", [(b"cookie", b"a=1; a=1")]), "repeated"),
        (_FIELD, Sent(b"/x", [FORM], b"a=1&a=2"), "repeated"),
        (_TEXT, Sent(b"/x?a=1&b=2;a=3"), "ambiguous"),
        (_COOKIE, Sent(b"/x", [(b"cookie", b"a")]), "ambiguous"),
        (_TEXT, Sent(b"/x?a=%ff"), "bad_encoding"),
        (_TEXT, Sent(b"/x?a=100%"), "bad_encoding"),
        (_BODY, Sent(b"/x", [JSON], b'{"a":1,"a":2}'), "repeated_name"),
        (_BODY, Sent(b"/x", [JSON], b"[NaN]"), "finite_number"),
        (_BODY, Sent(b"/x", [JSON], b"1e400"), "finite_number"),
        (_BYTES, Sent(b"/x", [(b"content-type", b"text/plain")], b"a"), "media_type"),
        (_BYTES, Sent(b"/x", [], b"a"), "media_type"),
        (_BODY, Sent(b"/x", [JSON, (b"content-encoding", b"gzip")], b"1"), "media_type"),
        (_FIELD, Sent(b"/x", [JSON], b"{}"), "media_type"),
        (_SEGMENT, Sent(b"/x/%5C"), "bad_path"),
    ],
)
def test_where_a_stub_is_stricter(declared: inspect.Parameter, sent: Sent, code: str) -> None:
    fault = Twin([declared], "/x/{p}" if declared is _SEGMENT else "/x").compare(sent)
    assert fault is not None
    assert code in {fault.kind.code, *(one.type for one in fault.errors)}
    assert _explained(fault, sent)


def test_each_difference_is_documented() -> None:
    text = (File(__file__).parents[3] / "docs/contracts.md").read_text()
    assert [code for code in (*STRICTER, *EARLIER) if f"`{code}`" not in text] == []
