"""Each argument of ``Path()``, ``Query()`` and the others: it means on a stub what it means in FastAPI, or it is refused.

A new argument of FastAPI's fails the test until it has a row here.
"""

import inspect
import json
import re
import warnings
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, cast
from urllib.parse import quote

import pytest
from fastapi import Body, Cookie, File, Form, Header, Path, Query
from pydantic import AliasChoices, BaseModel

from limen import DeclarationError
from twin import Sent, Twin

FUNCTIONS: Final[tuple[Callable[..., Any], ...]] = (Path, Query, Header, Cookie, Body, Form, File)


class Cat(BaseModel):
    """One of two."""

    kind: Literal["cat"]


class Dog(BaseModel):
    """The other."""

    kind: Literal["dog"]


# For each argument: the type of a parameter, the argument's value, and texts that are sent for it.
_NUMBERS: Final = ("1", "5", "5.5", "-1", "nan", "inf", "1.234", "x", "")
_TEXTS: Final = ("a", "abc", "abcdef", "ABC", "")
ROWS: Final[dict[str, tuple[Any, Any, tuple[str, ...]]]] = {
    "default": (int, 5, ("1", "x")),
    "default_factory": (int, lambda: 5, ("1", "x")),
    "annotation": (int, str, ("1", "x")),
    "alias": (int, "other", ("1", "x")),
    "alias_priority": (int, 1, ("1", "x")),
    "validation_alias": (int, AliasChoices("other", "another"), ("1", "x")),
    "serialization_alias": (int, "other", ("1", "x")),
    "convert_underscores": (int, False, ("1", "x")),
    "embed": (int, True, ("1", "x")),
    "media_type": (int, "application/other+json", ("1", "x")),
    "title": (int, "Title", ("1",)),
    "description": (int, "Description.", ("1",)),
    "gt": (float, 1, _NUMBERS),
    "ge": (float, 1, _NUMBERS),
    "lt": (float, 5, _NUMBERS),
    "le": (float, 5, _NUMBERS),
    "min_length": (str, 3, _TEXTS),
    "max_length": (str, 3, _TEXTS),
    "pattern": (str, "^[a-z]+$", _TEXTS),
    "regex": (str, "^[a-z]+$", _TEXTS),
    "discriminator": (Cat | Dog, "kind", ("x",)),
    "strict": (int, True, ("1", "x")),
    "validate_default": (int, True, ("1", "x")),
    "union_mode": (float | str, "left_to_right", ("1", "x")),
    "fail_fast": (list[int], True, ("1", "x")),
    "multiple_of": (float, 2.5, _NUMBERS),
    "allow_inf_nan": (float, False, _NUMBERS),
    "max_digits": (Decimal, 3, _NUMBERS),
    "decimal_places": (Decimal, 1, _NUMBERS),
    "examples": (int, ["1"], ("1",)),
    "example": (int, "1", ("1",)),
    "openapi_examples": (int, {"one": {"value": 1}}, ("1",)),
    "deprecated": (int, True, ("1",)),
    "include_in_schema": (int, False, ("1",)),
    "json_schema_extra": (int, {"x-a": 1}, ("1",)),
}

# What FastAPI itself does not take, with these types.
NOT_IN_FASTAPI: Final = {(Path, "default"), (Path, "discriminator"), (Path, "fail_fast"), (Query, "discriminator")}

_STREAMS: Final = "would be documented and not checked"
REFUSED: Final[dict[tuple[Callable[..., Any], str], str]] = {
    (Path, "alias"): "the path has no parameter 'other'; give it the name that the path has",
    (Path, "validation_alias"): "the path has no parameter 'other'; give it the name that the path has",
    (Header, "convert_underscores"): "a name with '_' is dropped: give it with '-'",
    (Form, "media_type"): "leave out media_type=",
    (Form, "discriminator"): "put the fields into one model",
    (File, "media_type"): "leave out media_type=",
    **{
        (File, name): _STREAMS
        for name in (
            *("gt", "ge", "lt", "le", "min_length", "max_length", "pattern", "regex", "discriminator", "union_mode"),
            *("fail_fast", "multiple_of", "allow_inf_nan", "max_digits", "decimal_places"),
        )
    },
}

CASES: Final = [
    (function, name)
    for function in FUNCTIONS
    for name in inspect.signature(function).parameters
    if (function, name) not in NOT_IN_FASTAPI
]


def _twin(function: Callable[..., Any], name: str) -> Twin:
    annotation, value, _ = ROWS[name]
    if function is File and annotation is int:
        annotation = bytes
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of deprecated arguments
        info = function(**{name: value})
    keyword = inspect.Parameter.KEYWORD_ONLY
    annotated: Any = Annotated
    parameter = (
        inspect.Parameter("a_b", keyword, annotation=annotation, default=info)
        if name == "default"
        else inspect.Parameter("a_b", keyword, annotation=annotated[annotation, info])
    )
    return Twin([parameter], "/x/{a_b}" if function is Path else "/x")


def _requests(function: Callable[..., Any], text: str) -> list[Sent]:
    encoded = quote(text, safe="").encode()
    if function is Path:
        return [Sent(b"/x/" + encoded)]
    if function is Body:
        value = json.dumps(text)
        documents = (value, f'{{"a_b": {value}}}', '{"kind": "cat"}', f"[{value}]", text, "")
        return [Sent(b"/x", [(b"content-type", b"application/json")], one.encode()) for one in documents]
    sent: list[Sent] = [Sent(b"/x")]
    for name in (b"a_b", b"a-b", b"other", b"another"):
        pair = name + b"=" + encoded
        sent += {
            Query: [Sent(b"/x?" + pair)],
            Header: [Sent(b"/x", [(name, text.encode())])],
            Cookie: [Sent(b"/x", [(b"cookie", name + b"=" + text.encode())])],
            Form: [Sent(b"/x", [(b"content-type", b"application/x-www-form-urlencoded")], pair)],
        }[function]
    return sent


@pytest.mark.parametrize(("function", "name"), CASES)
def test_an_argument_means_the_same_or_is_refused(function: Callable[..., Any], name: str) -> None:
    if (why := REFUSED.get((function, name))) is not None:
        with pytest.raises(DeclarationError, match=re.escape(why)):
            _twin(function, name)
        return
    twin = _twin(function, name)
    documents = [
        cast("Any", app.openapi())["paths"]["/x/{a_b}" if function is Path else "/x"]["post"] for app in twin.apps
    ]
    parameters = [document.get("parameters") for document in documents]
    # OpenAPI wants all parameters of a path, also one with include_in_schema=False.
    assert parameters[0] == parameters[1] or (function, name) == (Path, "include_in_schema")
    bodies = [document.get("requestBody", {}) for document in documents]
    assert [*bodies[0].get("content", ())] == [*bodies[1].get("content", ())]
    if function is not File:
        for text in ROWS[name][2]:
            assert [twin.compare(sent) for sent in _requests(function, text)].count(None) == len(
                _requests(function, text)
            )


def test_what_works_elsewhere_is_not_listed_as_refused() -> None:
    assert set(REFUSED) <= set(CASES)
    for function, name in NOT_IN_FASTAPI:
        with pytest.raises(AssertionError):
            _twin(function, name)
