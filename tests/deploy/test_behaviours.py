"""That ``docs/http.md`` names a test for every rule, and that each test it names is there."""

import re
import sys
from collections.abc import Callable
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "http.md").read_text()
ROWS = [
    (rule.strip(), what.strip(), re.findall(r"`([^`]+)`", tests))
    for rule, what, tests in re.findall(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", PAGE, re.MULTILINE)
    if rule.strip() not in ("rule", "advisory")
]
NAMES = sorted({name for _, _, names in ROWS for name in names})
TestsIn = Callable[[Path], frozenset[str]]
RULES = {"A": 13, "B": 9, "C": 5, "D": 9, "E": 5, "F": 6, "G": 6}


@cache
def cases(name: str) -> frozenset[str]:
    """Return the names of the cases of one conformance file."""
    path = ROOT / "tests" / "conformance" / f"test_conformance_{name}.py"
    spec = spec_from_file_location(f"behaviours_{name}", path)
    assert spec is not None, path
    assert spec.loader is not None, path
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[spec.name]
    found: dict[str, object] = module.CASES
    return frozenset(found)


def test_every_rule_is_there() -> None:
    wanted = {f"{letter}{number}" for letter, most in RULES.items() for number in range(1, most + 1)}
    assert wanted == {rule for rule, _, _ in ROWS if re.fullmatch(r"[A-Z]\d+", rule)}


@pytest.mark.parametrize(("rule", "names"), [(rule, names) for rule, _, names in ROWS])
def test_every_rule_names_a_test(rule: str, names: list[str]) -> None:
    assert names, rule


@pytest.mark.parametrize("name", NAMES)
def test_every_test_that_is_named_exists(name: str, tests_in: TestsIn) -> None:
    file, _, test = name.partition("::")
    if file.startswith("tests/"):
        path = ROOT / file
        assert path.is_file(), name
        assert not test or test in tests_in(path), name
    else:
        known = cases(file) | tests_in(ROOT / "tests" / "conformance" / f"test_conformance_{file}.py")
        assert any(case.startswith(test) for case in known), name


@pytest.mark.parametrize("name", ["framing", "targets", "headers", "paths", "service", "limits", "max_forwards"])
def test_every_numbered_case_is_named(name: str) -> None:
    """A case that begins with the number of a rule is found from the rule."""
    named = tuple(test.partition("::")[2] for test in NAMES if test.startswith(f"{name}::"))
    numbered = [case for case in cases(name) if re.match(r"[A-G]\d+ ", case)]
    assert numbered
    assert [case for case in numbered if not case.startswith(named)] == []
