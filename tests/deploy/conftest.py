"""What the tests of the documents share: which tests a file has."""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

# Functions of a module, and the test cases that Hypothesis makes of state machines.
_TEST = re.compile(r"^(?:(?:async )?def (test_\w+)\(|(Test\w+) = )", re.MULTILINE)


@pytest.fixture(scope="session")
def tests_in() -> Callable[[Path], frozenset[str]]:
    """Return what gives the names of the tests of a file.

    Lines are read, once for each file, and not parsed: within ``ast.parse`` what an earlier test had left to be collected
    was collected, and its exception came out there.
    """

    @cache
    def names(path: Path) -> frozenset[str]:
        return frozenset(function or machine for function, machine in _TEST.findall(path.read_text(encoding="utf-8")))

    return names
