"""``make check`` and ``make test`` say in one summary what became of everything, and are green only when all of it is."""

import re
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from checks import Ended, summary

ROOT = Path(__file__).parents[2]
GOOD = "...\n===== 12 passed, 1 skipped in 3.40s =====\nSKIPPED [1] tests/x.py:3: no nginx here\n"
BAD = "...\n===== 1 failed, 2 errors, 11 passed in 63.00s (0:01:03) =====\n"


def test_tests_are_counted_over_all_targets() -> None:
    ended = [Ended("lint", 0, 6.2, "All checks passed!"), Ended("tests", 0, 3.4, GOOD)]
    text, well = summary(ended, 9.6, ci=False)
    assert well
    assert [" ".join(line.split()) for line in text.splitlines()] == [
        "",
        "ok lint 6 s",
        "ok tests 3 s 12 passed, 1 skipped",
        "SKIPPED [1] tests/x.py:3: no nginx here",
        "all green after 10 s",
        "12 passed, 0 failed, 1 skipped",
    ]


def test_a_quiet_run_is_counted_too() -> None:
    assert Ended("tests", 0, 3.4, "....\n2259 passed in 31.32s\n").counts == {"passed": 2259}


def test_nothing_may_be_skipped_in_ci() -> None:
    text, well = summary([Ended("tests", 0, 3.4, GOOD)], 3.4, ci=True)
    assert not well
    assert "install what is missing" in text


@pytest.mark.parametrize("ci", [False, True])
def test_what_failed_is_named_and_counted(ci: bool) -> None:
    text, well = summary([Ended("types", 1, 20.0, "1 error"), Ended("tests", 1, 63.0, BAD)], 63.0, ci=ci)
    assert not well
    assert "FAILED: types, tests; what they said is above" in text
    assert text.endswith("not green after 63 s\n11 passed, 3 failed, 0 skipped")


def test_targets_run_side_by_side_and_the_last_only_after_success(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text(
        "a:\n\t@echo from-a > one; cat two\n"
        "b:\n\t@cat one; echo from-b > two\n"
        "bad:\n\t@echo what is wrong; exit 3\n"
        "last:\n\t@echo at the end\n"
    )
    for name in ("one", "two"):  # each waits for the other: one after the other would never end
        subprocess.run(["mkfifo", str(tmp_path / name)], check=True)
    command = [sys.executable, str(ROOT / "tools" / "checks.py"), "--last", "last"]
    done = subprocess.run([*command, "a", "b"], cwd=tmp_path, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stdout
    assert "at the end" in done.stdout
    assert "from-" not in done.stdout  # what goes well is not shown
    done = subprocess.run([*command, "bad"], cwd=tmp_path, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 1
    assert "what is wrong" in done.stdout
    assert "at the end" not in done.stdout


def _files(arguments: list[str]) -> set[Path]:
    """Return the test files that a run of pytest with such ``arguments`` takes."""
    ignored = {ROOT / one.removeprefix("--ignore=") for one in arguments if one.startswith("--ignore=")}
    named = [ROOT / one for one in arguments if not one.startswith("-")]
    found = {file for one in named for file in ([one] if one.is_file() else one.rglob("test_*.py"))}
    return {file for file in found if not ignored.intersection([file, *file.parents])}


def test_every_test_belongs_to_one_target_of_make_test() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = [name for name in re.findall(r"--last coverage (.+)", makefile)[0].split() if name.endswith("-tests")]
    told = subprocess.run(["make", "-n", *targets], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    runs = [_files(shlex.split(line.split("-m pytest ")[1])) for line in told.splitlines() if "-m pytest " in line]
    taken = Counter(file for run in runs for file in run)
    there = _files([*(str(found.relative_to(ROOT)) for found in ROOT.glob("*/tests")), "tests", "shop"])
    assert there
    assert taken == dict.fromkeys(there, 1)
