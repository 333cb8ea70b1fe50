"""That the tables of README and docs/ are those of the code, and that what compares them sees every difference."""

import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import pytest

from doc_tables import units
from doc_tables.bounds import bounds, constant, declared, unnamed
from doc_tables.limits import by_setting, faults_named, some
from doc_tables.options import defaults, options
from doc_tables.pages import PAGES, brought_up
from doc_tables.settings import readme
from doc_tables.table import Filled, replaced, tables
from doc_tables.units import Unit

ROOT = Path(__file__).parents[2]

LIMITS = """# Limits

| limit | default | setting | at the limit |
|---|---|---|---|
| time to connect | 1 s | `Timeouts(connect=)` | 504 |

| limit | default | setting | at the limit |
|---|---|---|---|
| attempts \\| tries | 3 | fixed: `upstream.retry.MOST_AT_ONE_TARGET` | the last one |

The end.
"""
KNOWN = {"`Timeouts(connect=)`": "2 s", "fixed: `upstream.retry.MOST_AT_ONE_TARGET`": "3"}


def test_the_tables_are_those_of_the_code() -> None:
    """If this fails and the change was meant: `make access`, read what it wrote, and commit it."""
    argv = [sys.executable, "tools/tables.py", "--check"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=50)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


# --- tables ---


@pytest.mark.parametrize("page", PAGES)
def test_a_table_is_written_as_it_was_read(page: str) -> None:
    text = (ROOT / page).read_text()
    found = tables(text)
    assert found
    for table in found:
        assert replaced(text, table, table.rows) == text


def test_a_table_knows_its_heading_and_a_bar_that_is_a_cells_own() -> None:
    _, second = tables(LIMITS)
    assert second.heading == "# Limits"
    assert second.rows == (("attempts \\| tries", "3", "fixed: `upstream.retry.MOST_AT_ONE_TARGET`", "the last one"),)


def test_a_row_that_does_not_fit_its_head_is_no_row() -> None:
    with pytest.raises(ValueError, match="line 3: 1 cells under a head of 2"):
        tables("| a | b |\n|---|---|\n| c |\n")


# --- limits ---


def test_a_default_is_written_and_the_rest_is_kept() -> None:
    assert by_setting(LIMITS, KNOWN) == Filled(LIMITS.replace("1 s", "2 s"))


@pytest.mark.parametrize(
    ("text", "known", "problem"),
    [
        (LIMITS, KNOWN | {"`Limits(head=)`": "64 KiB"}, "no row is of `Limits\\(head=\\)`"),
        (LIMITS, {"`Timeouts(connect=)`": "2 s"}, "there is no fixed: `upstream.retry.MOST_AT_ONE_TARGET` in the code"),
        (
            LIMITS.replace("fixed: `upstream.retry.MOST_AT_ONE_TARGET`", "`Timeouts(connect=)`"),
            KNOWN,
            "another row is of `Timeouts",
        ),
        (
            LIMITS.replace("fixed: `upstream.retry.MOST_AT_ONE_TARGET`", "fixed"),
            KNOWN,
            "no row is of fixed: `upstream.retry.MOST_AT_ONE_TARGET`",
        ),
    ],
    ids=["a bound without a row", "a row without a bound", "two rows of one", "a row that names nothing"],
)
def test_what_has_no_other_half_is_told(text: str, known: dict[str, str], problem: str) -> None:
    assert any(re.search(problem, each) for each in by_setting(text, known).problems)


def test_every_number_and_time_that_users_declare_is_a_bound() -> None:
    @dataclass
    class Declared:
        required: int
        number: int = 4096
        bounded: int | None = None
        seconds: float = 0.5
        lifetime: timedelta = timedelta(minutes=15)
        on: bool = True
        name: str = "7"
        listed: Sequence[int] = (7,)

    module = ModuleType("declared")
    vars(module).update(Declared=Declared, text="no class", __all__=["Declared", "text"])
    assert dict(declared((module,))) == {
        "Declared(required=)": "none: required",
        "Declared(number=)": "4,096",
        "Declared(bounded=)": "none",
        "Declared(seconds=)": "0.5 s",
        "Declared(lifetime=)": "15 min",
    }


def test_a_bound_of_each_kind_is_found() -> None:
    found = bounds()
    assert found["`Timeouts(connect=)`"] == "2 s"
    assert found["`Issuer(cache=)`"] == "4,096"
    assert found["`ClientLimits(head=)`"] == "32 KiB"
    assert found["fixed: `upstream.retry.MOST_AT_ONE_TARGET`"] == "2"
    assert found["`Revocations(most=)`"] == "100,000"
    assert found["`max_body=`, where it streams"] == "none"
    assert found["`--grace`"] == "10 s"
    assert found["`Limits(lifetime=)`"] == "15 s"
    assert found["`Ejection(most=)`"] == "50 %"
    assert found["`Hedge(factor=)`"] == "3 times"
    assert found["`Retry(body=)`"] == "64 KiB"
    assert found["`Sticky(seconds=)`"] == "none"


def test_a_constant_that_says_it_is_a_bound_has_to_be_named(tmp_path: Path) -> None:
    (tmp_path / "http").mkdir()
    source = "from a import MOST_KEYS\n_MOST_LINES: Final[int] = 3\nMOST = 5\nMOSTLY = 1\nif True:\n    MOST_X = 1\n"
    (tmp_path / "http" / "via.py").write_text(source)
    assert list(unnamed(tmp_path, {"http.via.MOST"})) == ["http.via._MOST_LINES"]


def test_a_constant_that_has_moved_is_told() -> None:
    with pytest.raises(ValueError, match=r"there is no limen\.pipeline\.MOST_OF_IT; has it moved"):
        constant("pipeline.MOST_OF_IT")
    with pytest.raises(ValueError, match=r"there is no limen\.nowhere\.MOST; has it moved"):
        constant("nowhere.MOST")


def test_answers_that_the_page_names_are_those_of_the_table_of_faults() -> None:
    assert faults_named("504 `connect_timeout`; 503 `pool_exhausted`") == []
    assert len(faults_named("503 `connect_timeout`; 504 `no_such_code`")) == 2


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [
        (units.count, 10_000, "10,000"),
        (units.count, None, "none"),
        (units.size, 8192, "8 KiB"),
        (units.size, 1400, "1,400 bytes"),
        (units.size, 3 << 20, "3 MiB"),
        (units.size, None, "none"),
        (units.seconds, 0.5, "0.5 s"),
        (units.seconds, 60, "60 s"),
        (units.seconds, 90, "90 s"),
        (units.seconds, timedelta(minutes=15), "15 min"),
        (units.seconds, 86400.0, "24 h"),
        (units.seconds, None, "none"),
        (units.share, 0.5, "50 %"),
        (units.factor, 3.0, "3 times"),
    ],
)
def test_a_number_is_written_with_its_unit(unit: Unit, value: object, text: str) -> None:
    assert unit(value) == text


def test_a_page_of_a_feature_has_the_bounds_that_it_names() -> None:
    page = "| what | default | setting |\n|---|---|---|\n| head | ? | `Limits(head=)` |\n| a | ? | `Gone(a=)` |\n\n"
    other = "| what | default |\n|---|---|\n| ready | ? |\n"
    done = some(page + other)
    assert done.text == (page + other).replace("| ? | `Limits", "| 64 KiB | `Limits")
    (problem,) = done.problems
    assert "there is no `Gone(a=)` in the code" in problem


# --- settings and options ---


def test_defaults_of_options_are_those_of_the_command() -> None:
    serve = defaults("serve")
    assert (serve["--grace"], serve["--uds"], serve["--reload"]) == (10, None, False)


def test_a_row_may_be_of_several_options_and_each_must_be_there() -> None:
    heading = "## Up"
    page = f"{heading}\n\n| option | default |\n|---|---|\n| `--file`, `--data` | ? |\n| `--reload`, `--gone` | ? |\n"
    done = options(page, "up", heading)
    assert "| `--file`, `--data` | `limen.toml`, `.limen/data` |\n| `--reload`, `--gone` | off |\n" in done.text
    unknown, missing = done.problems
    assert "there is no --gone in the code" in unknown
    assert "no row is of --port" in missing


def test_a_setting_stands_with_who_has_it() -> None:
    text = (ROOT / "README.md").read_text()
    assert readme(text).problems == ()
    moved = text.replace("| users | `DEMO` |", "| gateway | `DEMO` |")
    unknown, missing = readme(moved).problems
    assert "there is no DEMO (gateway) in the code" in unknown
    assert "no row is of DEMO (users)" in missing


# --- the command ---


def fill(text: str) -> Filled:
    return Filled(text.replace("old", "new"), ("mend it by hand",))


def refuse(text: str) -> Filled:
    raise ValueError(f"{len(text)} characters are none")


def test_a_comparison_shows_the_difference_and_writes_nothing(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("old\n")
    told = list(brought_up(page, "page.md", (fill, refuse), check=True))
    assert {"page.md: mend it by hand", "page.md: 4 characters are none", "-old", "+new"} <= set(told)
    assert page.read_text() == "old\n"


def test_a_page_is_written_and_what_is_left_to_do_is_told(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("old\n")
    assert list(brought_up(page, "page.md", (fill,), check=False)) == ["page.md: mend it by hand"]
    assert page.read_text() == "new\n"
