"""Violations are bounded in number, in bytes and in the log, and repeat nothing of the input."""

import json
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, TypeAdapter

from limen.contract.answer_model import AnswerModel
from limen.contract.json_body import JsonBody
from limen.contract.violations import (
    LINE_LENGTH,
    MESSAGE_LENGTH,
    MOST_LISTED,
    MOST_WORDED,
    NAME_LENGTH,
    PATH_STEPS,
    Violations,
    merged,
    violation,
)
from limen.errors import Fault, Invalid, Kind
from limen.http.replies import MOST_ERROR_BYTES, problem


class Login(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str


def unknown(count: int, name: str = "n{}") -> bytes:
    return json.dumps({"name": "", **{name.format(n): "s3cret" for n in range(count)}}).encode()


def violations(kind: Any, content: bytes) -> Violations:
    read = JsonBody(TypeAdapter(kind)).read(content)
    assert isinstance(read, Violations)
    return read


def document(found: Violations) -> tuple[bytes, dict[str, object]]:
    body = problem(Fault(Kind.INVALID_REQUEST, errors=found.listed, more=found.omitted), "r").body
    return body, json.loads(body)


def test_a_hundred_are_listed_and_the_others_counted() -> None:
    found = violations(Login, unknown(MOST_LISTED + 34))
    assert (len(found.listed), found.omitted) == (MOST_LISTED, 34)
    body, told = document(found)
    assert len(told["errors"]) == MOST_LISTED  # pyright: ignore[reportArgumentType] - a list
    assert told["errors_omitted"] == 34
    assert b"s3cret" not in body


def test_none_is_omitted_if_all_are_listed() -> None:
    assert "errors_omitted" not in document(violations(Login, unknown(MOST_LISTED)))[1]


def test_more_than_a_thousand_are_only_counted() -> None:
    found = violations(Login, unknown(MOST_WORDED + 1))
    assert found == Violations(
        (Invalid(("body",), "1,001 places do not fit, too many to list", "too_many_misfits"),), MOST_WORDED + 1
    )
    assert document(found)[1]["errors_omitted"] == MOST_WORDED + 1


def test_a_long_name_is_shortened() -> None:
    found = violations(Login, unknown(1, "s3cret" + "x" * 200_000 + "{}"))
    (one,) = found.listed
    assert one.loc == ("body", "s3cret" + "x" * (NAME_LENGTH - 9) + "...")


def test_a_deep_place_keeps_its_beginning_and_its_end() -> None:
    class Tree(BaseModel):
        below: "Tree | None" = None
        n: int = 0

    content = b'{"below":' * 100 + b'{"n":"x"}' + b"}" * 100
    (one,) = violations(Tree, content).listed
    assert len(one.loc) == PATH_STEPS
    assert (one.loc[0], one.loc[-1]) == ("body", "n")
    assert "..." in one.loc


def test_a_message_that_repeats_much_is_shortened() -> None:
    assert len(violation(("body",), "x" * 10_000, "t").msg) == MESSAGE_LENGTH


def test_numbers_that_are_not_finite_are_bounded_too() -> None:
    adapter: TypeAdapter[object] = TypeAdapter(list[float])
    found = AnswerModel(adapter).serialize([float("nan")] * 10_000)
    assert isinstance(found, Violations)
    assert len(found.listed) == MOST_LISTED


def test_several_parameters_are_bounded_together() -> None:
    one = Violations(tuple(violation(("query", n), "no", "t") for n in range(MOST_LISTED)), 5)
    both = merged([one, one])
    assert both is not None
    assert (len(both.listed), both.omitted) == (MOST_LISTED, MOST_LISTED + 10)
    assert merged([]) is None


def test_the_log_gets_one_short_line() -> None:
    found = violations(Login, unknown(500, "a\n{}\u2028" + "x" * 60))
    line = found.line(("body", "name"))
    assert line == "body.*: extra_forbidden; " * 4 + "body.*: extra_forbidden; and 495 more"
    assert violations(int, b'"x"').line(("body",)) == "body: int_parsing"
    wild = Violations(tuple(Invalid(("a\n\u2028" * 20,) * 9, "", "x\n" * 30) for _ in range(9)))
    assert len(wild.line(("a\n\u2028" * 20,))) <= LINE_LENGTH
    assert wild.line(("a\n\u2028" * 20,)).isprintable()


PLACES = st.lists(st.integers(0, 10**6) | st.text(max_size=200), max_size=40)


@settings(max_examples=60, deadline=None)
@given(
    places=st.lists(st.tuples(PLACES, st.text(max_size=600)), min_size=1, max_size=20),
    times=st.integers(1, 20),
    more=st.integers(0, 10**6),
)
def test_whatever_is_found_its_document_and_its_line_are_bounded_and_count_right(
    places: list[tuple[list[str | int], str]], times: int, more: int
) -> None:
    found = Violations(tuple(violation(loc, msg, "t") for loc, msg in places) * times, more)
    body, told = document(found)
    assert len(body) < MOST_ERROR_BYTES + 1000
    listed = told["errors"]
    assert isinstance(listed, list)
    count = len(cast("list[object]", listed))
    omitted = told.get("errors_omitted", 0)
    assert isinstance(omitted, int)
    assert count + omitted == len(found.listed) + more
    assert len(found.line(())) <= LINE_LENGTH
    assert found.line(()).isprintable()
