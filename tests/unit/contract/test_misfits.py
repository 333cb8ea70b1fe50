"""What is told of misfits is bounded: in number, in bytes, in the log; and nothing of the input is repeated."""

import json
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, TypeAdapter

from limen.contract.answer import Answer
from limen.contract.contract import Body
from limen.contract.misfits import DEPTH, LINE, MOST, MOST_WORDED, NAME, TEXT, Misfits, misfit, together
from limen.errors import Fault, Invalid, Kind
from limen.http.replies import MOST_ERROR_BYTES, problem


class Login(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str


def unknown(count: int, name: str = "n{}") -> bytes:
    return json.dumps({"name": "", **{name.format(n): "s3cret" for n in range(count)}}).encode()


def misfits(kind: Any, content: bytes) -> Misfits:
    read = Body(TypeAdapter(kind)).read(content)
    assert isinstance(read, Misfits)
    return read


def document(found: Misfits) -> tuple[bytes, dict[str, object]]:
    body = problem(Fault(Kind.INVALID_REQUEST, errors=found.found, more=found.more), "r").body
    return body, json.loads(body)


def test_a_hundred_are_told_and_the_others_counted() -> None:
    found = misfits(Login, unknown(MOST + 34))
    assert (len(found.found), found.more) == (MOST, 34)
    body, told = document(found)
    assert len(told["errors"]) == MOST  # pyright: ignore[reportArgumentType] - a list
    assert told["errors_omitted"] == 34
    assert b"s3cret" not in body


def test_none_is_omitted_where_all_are_told() -> None:
    assert "errors_omitted" not in document(misfits(Login, unknown(MOST)))[1]


def test_of_more_than_a_thousand_only_the_number_is_told() -> None:
    found = misfits(Login, unknown(MOST_WORDED + 1))
    assert found == Misfits(
        (Invalid(("body",), "1,001 places do not fit, too many to list", "too_many_misfits"),), MOST_WORDED + 1
    )
    assert document(found)[1]["errors_omitted"] == MOST_WORDED + 1


def test_a_long_name_is_shortened() -> None:
    found = misfits(Login, unknown(1, "s3cret" + "x" * 200_000 + "{}"))
    (one,) = found.found
    assert one.loc == ("body", "s3cret" + "x" * (NAME - 9) + "...")


def test_a_deep_place_keeps_its_beginning_and_its_end() -> None:
    class Tree(BaseModel):
        below: "Tree | None" = None
        n: int = 0

    content = b'{"below":' * 100 + b'{"n":"x"}' + b"}" * 100
    (one,) = misfits(Tree, content).found
    assert len(one.loc) == DEPTH
    assert (one.loc[0], one.loc[-1]) == ("body", "n")
    assert "..." in one.loc


def test_a_message_that_repeats_much_is_shortened() -> None:
    assert len(misfit(("body",), "x" * 10_000, "t").msg) == TEXT


def test_numbers_that_are_not_finite_are_bounded_too() -> None:
    adapter: TypeAdapter[object] = TypeAdapter(list[float])
    found = Answer(adapter).made([float("nan")] * 10_000)
    assert isinstance(found, Misfits)
    assert len(found.found) == MOST


def test_several_parameters_are_bounded_together() -> None:
    one = Misfits(tuple(misfit(("query", n), "no", "t") for n in range(MOST)), 5)
    both = together([one, one])
    assert both is not None
    assert (len(both.found), both.more) == (MOST, MOST + 10)
    assert together([]) is None


def test_the_log_gets_one_short_line() -> None:
    found = misfits(Login, unknown(500, "a\n{}\u2028" + "x" * 60))
    line = found.line(("body", "name"))
    assert line == "body.*: extra_forbidden; " * 4 + "body.*: extra_forbidden; and 495 more"
    assert misfits(int, b'"x"').line(("body",)) == "body: int_parsing"
    wild = Misfits(tuple(Invalid(("a\n\u2028" * 20,) * 9, "", "x\n" * 30) for _ in range(9)))
    assert len(wild.line(("a\n\u2028" * 20,))) <= LINE
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
    found = Misfits(tuple(misfit(loc, msg, "t") for loc, msg in places) * times, more)
    body, told = document(found)
    assert len(body) < MOST_ERROR_BYTES + 1000
    listed = told["errors"]
    assert isinstance(listed, list)
    count = len(cast("list[object]", listed))
    omitted = told.get("errors_omitted", 0)
    assert isinstance(omitted, int)
    assert count + omitted == len(found.found) + more
    assert len(found.line(())) <= LINE
    assert found.line(()).isprintable()
