"""What the gateway passes on, a FastAPI service with the same declaration accepts, and reads the very values that the gateway
has checked; and a service that takes the first of several values reads what one reads that takes the last.

Each type has a validator that notes what it was given: in the gateway that is what was checked, in the service what was read.
"""

import re
from collections.abc import Awaitable, Callable, Iterator
from http.cookies import SimpleCookie
from typing import Annotated, Final
from urllib.parse import parse_qsl, unquote_plus

import pytest
from fastapi import Body, Cookie, FastAPI, Form, Header, Query
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, AliasChoices, BaseModel, Field, Json

from limen import Gateway, anyone
from limen.errors import Fault
from twin import LOOP, SVC, Sent, ask, pass_through

NOTED: list[object] = []


def _note(value: object) -> object:
    NOTED.append(value)
    return value


Int = Annotated[int, Field(le=100), AfterValidator(_note)]
Str = Annotated[str, Field(pattern="^[a-z ;5]*$"), AfterValidator(_note)]
Any_ = Annotated[str, AfterValidator(_note)]


class Page(BaseModel):
    """Ignores other names."""

    limit: Int = 10
    tags: list[Str] = []
    find: Str | None = Field(None, alias="q")
    x_n: Annotated[Int | None, Field(validation_alias=AliasChoices("x-n", "n"))] = None
    by_name: Annotated[Any_, Field(alias="by")] = ""

    model_config = {"validate_by_name": True, "validate_by_alias": True}


class Closed(BaseModel, extra="forbid"):
    """Refuses other names."""

    limit: Int
    tags: list[Str] = []


class Wide(BaseModel, extra="allow"):
    """Takes other names, as numbers."""

    __pydantic_extra__: dict[str, Int]  # pyright: ignore[reportIncompatibleVariableOverride] - pydantic's own way
    q: Any_ = ""


async def _single(
    limit: Annotated[Int, Query()],
    tags: Annotated[list[Str], Query()] = [],  # noqa: B006
    q: Annotated[Str | None, Query(alias="find")] = None,
    n: Annotated[Any_, Query(validation_alias=AliasChoices("x-n", "by"))] = "",
    numbers: Annotated[Json[list[Int]] | None, Query()] = None,
) -> None: ...


async def _page(page: Annotated[Page, Query()]) -> None: ...


async def _maybe(page: Annotated[Closed | None, Query()] = None, q: Annotated[Any_, Query()] = "") -> None: ...


async def _wide(page: Annotated[Wide, Query()]) -> None: ...


async def _header(
    limit: Annotated[Int, Header()],
    x_n: Annotated[Any_, Header()] = "",
    tags: Annotated[list[Str] | None, Header()] = None,
    q: Annotated[Str, Header(alias="X-Find")] = "",
) -> None: ...


async def _headers(page: Annotated[Page, Header()]) -> None: ...


async def _cookie(limit: Annotated[Int, Cookie()], q: Annotated[Any_ | None, Cookie(alias="find")] = None) -> None: ...


async def _cookies(page: Annotated[Closed, Cookie()]) -> None: ...


async def _form(
    limit: Annotated[Int, Form()],
    tags: Annotated[list[Str], Form()] = [],  # noqa: B006
    q: Annotated[Str | None, Form(alias="find")] = None,
    by: Annotated[Any_, Form()] = "",
) -> None: ...


async def _form_page(page: Annotated[Page, Form()]) -> None: ...


async def _form_closed(page: Annotated[Closed, Form()]) -> None: ...


async def _form_maybe(page: Annotated[Closed | None, Form()] = None) -> None: ...


async def _form_wide(page: Annotated[Wide, Form()]) -> None: ...


async def _form_both(page: Annotated[Page, Form()], other: Annotated[Any_, Form()] = "") -> None: ...


async def _text(text: Annotated[Str, Body(media_type="text/plain")]) -> None: ...


QUERIES: Final = (_single, _page, _maybe, _wide)
HEADERS: Final = (_header, _headers, _cookie, _cookies)
FORMS: Final = (_form, _form_page, _form_closed, _form_maybe, _form_wide, _form_both)
STUBS: Final[tuple[Callable[..., Awaitable[None]], ...]] = (*QUERIES, *HEADERS, *FORMS, _text)

GATEWAY: Final = Gateway()
PLAIN: Final = FastAPI()
for _stub in STUBS:
    GATEWAY.post(f"/{_stub.__name__}", upstream=SVC, allow=anyone)(_stub)
    PLAIN.post(f"/{_stub.__name__}")(_stub)
GATEWAY.compile()  # which checks defaults


def _agree(stub: str, query: bytes, headers: list[tuple[bytes, bytes]], content: bytes) -> Sent | None:
    """Let the request through both; return what was passed on, if anything was."""
    target = f"/{stub}".encode() + (b"?" + query if query else b"")
    NOTED.clear()
    sent = pass_through(GATEWAY, Sent(target, headers, content))
    if isinstance(sent, Fault):
        return None
    checked = sorted(map(repr, NOTED))
    NOTED.clear()
    assert LOOP.run_until_complete(ask(PLAIN, sent)) == 200, sent
    assert sorted(map(repr, NOTED)) == checked, sent
    return sent


NAMES = ["limit", "tags", "q", "find", "x-n", "x_n", "n", "by", "by_name", "numbers", "page", "other"]
SPELLED = [*NAMES, "Limit", "%6cimit", "li%6Dit", "limit%00", "+limit", "by%5Fname", "%ff", ""]
VALUES = st.sampled_from(
    [
        *(
            "",
            "5",
            "5",
            "101",
            "abc",
            "a b",
            "a+b",
            "a%20b",
            "%35",
            "a;limit=9",
            ";q",
            "%3B",
            "%zz",
            "%",
            "%ff",
            "%EF%BF%BD",
        ),
        *("[1,2]", "[1,101]", "1,2", '"5"', "null", "=", "%26limit=101"),
    ]
)


def _joined(separators: list[str]) -> st.SearchStrategy[str]:
    pair = st.tuples(st.sampled_from(SPELLED), st.sampled_from(["=", "=", "=", ""]), VALUES).map("".join)
    parts = st.lists(st.tuples(pair, st.sampled_from(separators)), max_size=5)
    first = st.sampled_from(["limit=5&", "limit=5&", "limit=5", "", "&"])
    return st.tuples(first, parts).map(lambda made: made[0] + "".join(pair + end for pair, end in made[1]))


def _readings(text: str, separators: str) -> Iterator[list[tuple[str, str]]]:
    """Yield the pairs as services read them that end one at ``;`` as well, and those that do not."""
    yield parse_qsl(text, keep_blank_values=True)
    if ";" in separators:
        parts = (part.partition("=") for part in re.split("[&;]", text) if part)
        yield [(unquote_plus(name), unquote_plus(value)) for name, _, value in parts]


SINGLE: Final = {
    "_single": ["limit", "find", "numbers"],
    "_page": ["limit", "q"],
    "_maybe": ["limit", "q"],
    "_form": ["limit", "find", "by"],
    "_form_page": ["limit", "q"],
    "_form_closed": ["limit"],
    "_form_both": ["limit", "q", "other"],
    "_header": ["limit", "x-n", "x-find"],
    "_headers": ["limit", "q"],
    "_cookie": ["limit", "find"],
    "_cookies": ["limit"],
}


def _read_alike(readings: list[list[tuple[str, str]]], names: list[str]) -> None:
    """Each name has one value, whichever of several a service takes."""
    for name in names:
        found = {value for reading in readings for key, value in reading if key == name}
        assert len(found) <= 1, (name, found)


@pytest.mark.parametrize("stub", [one.__name__ for one in QUERIES])
@settings(max_examples=200, deadline=None)
@given(query=_joined(["&", "&", "&", ";"]))
def test_queries(stub: str, query: str) -> None:
    sent = _agree(stub, query.replace(" ", "+").encode(), [], b"")
    if sent is not None:
        _read_alike(list(_readings(query.replace(" ", "+"), "&;")), SINGLE.get(stub, []))


@pytest.mark.parametrize("stub", [one.__name__ for one in FORMS])
@settings(max_examples=200, deadline=None)
@given(content=_joined(["&", "&", "&", ";"]), kind=st.sampled_from(["", "; charset=utf-8"]))
def test_forms(stub: str, content: str, kind: str) -> None:
    headers = [(b"content-type", b"application/x-www-form-urlencoded" + kind.encode())] if content else []
    sent = _agree(stub, b"", headers, content.encode())
    if sent is not None:
        _read_alike(list(_readings(sent.content.decode(), "&;")), SINGLE.get(stub, []))
        kept = sent.content.split(b"&")
        assert [one for one in content.encode().split(b"&") if one in kept] == kept or not sent.content


def _lines(readings: Sent, name: bytes) -> list[bytes]:
    return [value for key, value in readings.headers if key == name]


@pytest.mark.parametrize("stub", [one.__name__ for one in HEADERS])
@settings(max_examples=200, deadline=None)
@given(
    lines=st.lists(st.tuples(st.sampled_from([*NAMES, "x-find", "connection"]), VALUES | st.just("limit")), max_size=4),
    cookies=st.lists(_joined([";", "; ", ",", "&"]).map(lambda text: text.replace("&", ";")), max_size=2),
    first=st.sampled_from([[("limit", "5")], []]),
)
def test_headers_and_cookies(
    stub: str, lines: list[tuple[str, str]], cookies: list[str], first: list[tuple[str, str]]
) -> None:
    given_lines = [*first, *lines, *(("cookie", text) for text in cookies)]
    headers = [(name.encode(), value.strip().encode()) for name, value in given_lines]
    sent = _agree(stub, b"", headers, b"")
    if sent is None:
        return
    if stub.startswith("_header"):
        readings = [[(name.decode(), value.decode()) for name, value in sent.headers]]
    else:
        parts = (part.partition("=") for line in _lines(sent, b"cookie") for part in line.decode().split(";"))
        readings = [[(name.strip(), SimpleCookie().value_decode(value.strip())[0]) for name, _, value in parts]]
    _read_alike(readings, SINGLE[stub])


@settings(max_examples=200, deadline=None)
@given(content=st.binary(max_size=3) | st.sampled_from([b"abc", b"a;5", b"", b"ABC", b"\xef\xbb\xbfa"]))
def test_texts(content: bytes) -> None:
    sent = _agree("_text", b"", [(b"content-type", b"text/plain; charset=utf-8")], content)
    assert sent is None or sent.content == content


@pytest.mark.parametrize(
    ("stub", "query", "passes"),
    [
        ("_single", "limit=5", True),
        ("_single", "limit=5&limit=5", False),
        ("_single", "%6cimit=9&limit=1", False),
        ("_single", "limit=5;limit=9", False),
        ("_single", "limit=5&other=1;limit=9", False),
        ("_single", "limit=5&other=a;b&other=2", True),
        ("_single", "limit=5&find=a;b", False),
        ("_single", "limit=5&find=a%3Bb", True),
        ("_single", "limit=5&tags=a+b&tags=c", True),
        ("_single", "limit=5&tags=a&tags=C", False),
        ("_single", "limit=5&x-n=1&by=1", False),
        ("_single", "limit=5&by=%ff", False),
        ("_single", "limit=5&by=100%", False),
        ("_single", "limit=5&other=%ff", True),
        ("_single", "limit=5&by=", True),
        ("_single", "limit=", False),
        ("_single", "limit=5&Limit=500", True),
        ("_maybe", "q=1", False),
        ("_maybe", "", True),
        ("_wide", "q=a&b=101", False),
        ("_wide", "q=a&b=1&b=2", False),
    ],
)
def test_some_queries(stub: str, query: str, passes: bool) -> None:
    assert (_agree(stub, query.encode(), [], b"") is not None) is passes
