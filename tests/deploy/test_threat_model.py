"""The threat model names tests and modules as its proof: that they exist, and that no row is without one."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "threat-model.md").read_text()
TEST = re.compile(r"`(test_\w+\.py)::(test_\w+)`")
TestsIn = Callable[[Path], frozenset[str]]
NONE = "\N{EN DASH}"
STRIDE = {"spoofing", "tampering", "repudiation", "disclosure", "denial", "elevation"}
FILES: dict[str, list[Path]] = {}
for folder in ("tests", "kit/tests", "accounts/tests", "shop"):
    for path in (ROOT / folder).rglob("test_*.py"):
        FILES.setdefault(path.name, []).append(path)
ROWS = [line for line in TEXT.splitlines() if line.startswith(tuple(f"| {word} |" for word in STRIDE))]


def cells(row: str) -> list[str]:
    """Return the cells of a row of one of the tables."""
    return [cell.strip() for cell in row.strip("|").split("|")]


@pytest.mark.parametrize("named", sorted(set(TEST.findall(TEXT))), ids="::".join)
def test_a_test_that_is_named_exists(named: tuple[str, str], tests_in: TestsIn) -> None:
    file, test = named
    found = FILES.get(file, [])
    assert len(found) == 1, f"{file}: {len(found)} files are called so"
    assert test in tests_in(found[0])


def test_nothing_else_that_looks_like_a_test_is_named() -> None:
    assert TEXT.count("::test_") == len(TEST.findall(TEXT))


def test_modules_that_are_named_exist() -> None:
    named = set(re.findall(r"`(limen/[\w/]+\.py)`", TEXT))
    assert named
    assert not [name for name in named if not (ROOT / "src" / name).is_file()]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: cells(row)[1][:50])
def test_a_threat_is_stopped_by_something_that_a_test_shows_or_is_left(row: str) -> None:
    _, threat, _, stopped, shown, left = cells(row)
    assert threat
    assert stopped
    assert TEST.search(shown) or (shown == NONE and left != NONE), "neither a test nor a word of what is left"
    assert left


def test_every_boundary_of_the_picture_is_told() -> None:
    overview = re.findall(r"^\| (\d) ", TEXT, re.MULTILINE)
    sections = re.findall(r"^## (\d)\. ", TEXT, re.MULTILINE)
    picture = set(re.findall(r'(?:-- |-\. )"(\d)', TEXT))
    assert overview == sections == sorted(picture)
    assert len(ROWS) >= 30
