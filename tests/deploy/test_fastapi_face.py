"""That every parameter of FastAPI's has one row in docs/fastapi.md, and every row a test of what it says."""

import re
from collections.abc import Callable
from pathlib import Path

import fastapi
import fastapi.requests
import fastapi.security
import pytest
from fastapi import FastAPI

from doc_tables.fastapi_face import page
from doc_tables.fastapi_face.page import PLACES, Place, problems
from doc_tables.fastapi_face.row import VERDICTS, Row

ROOT = Path(__file__).parents[2]
ROWS = [(place, row) for place in PLACES for row in place.rows]


def test_every_parameter_of_fastapi_has_one_row_and_no_row_is_stale() -> None:
    """If a new FastAPI fails this: find out what the parameter does on a stub, and write its row and its test."""
    assert [*problems()] == []


@pytest.mark.parametrize(("place", "row"), ROWS, ids=[f"{place.name}-{row.parameter}" for place, row in ROWS])
def test_every_row_names_a_test_that_exists(place: Place, row: Row, tests_in: Callable[[Path], frozenset[str]]) -> None:
    assert row.verdict in VERDICTS
    assert bool(row.instead) or row.verdict != "refused"
    file, _, name = row.test.partition("::")
    assert (ROOT / file).is_file(), row
    assert name in tests_in(ROOT / file), row


def test_the_page_writes_methods_and_classes_as_one_writes_them() -> None:
    text = (ROOT / "docs" / "fastapi.md").read_text()
    for name in re.findall(r"^\| `app\.(\w+)`", text, re.MULTILINE):
        assert hasattr(FastAPI(), name), name
    section = text.partition("## Classes in a signature")[2].partition("\n## ")[0]
    for name in re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE):
        assert any(hasattr(module, name) for module in (fastapi, fastapi.requests, fastapi.security)), name


def test_a_parameter_without_a_row_and_a_row_without_a_parameter_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    first = PLACES[0]
    known = first.rows[1:]
    changed = Place(first.name, first.heading, (*known, known[0], Row("gone", "works")), first.has)
    monkeypatch.setattr(page, "PLACES", (changed,))
    assert [*problems()] == [
        "Gateway: FastAPI has telemetry, and no row says what it does",
        "Gateway: FastAPI has no gone any more; take the row out",
        "Gateway: debug has two rows",
    ]


def test_a_method_that_takes_something_new_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "PLACES", ())
    monkeypatch.setattr(page.methods, "ROWS", (Row("mount", "works", takes=("path", "app", "old")),))
    assert [*problems()] == ["app.mount takes name in FastAPI", "app.mount takes no old any more"]
