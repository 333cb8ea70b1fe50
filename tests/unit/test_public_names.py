"""What ``limen`` itself names: all of it is there at once for whoever looks, though it is imported one by one."""

import importlib
import subprocess
import sys

import pytest

import limen


def test_every_public_name_is_there_and_is_what_its_module_has() -> None:
    assert set(limen._HOMES) == set(limen.__all__)  # pyright: ignore[reportPrivateUsage]
    for name, home in limen._HOMES.items():  # pyright: ignore[reportPrivateUsage]
        assert getattr(limen, name) is getattr(importlib.import_module(home), name)
    assert set(limen.__all__) <= set(dir(limen))


def test_a_module_of_limens_is_there_without_a_line_that_imports_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import limen; print(limen.errors.DeclarationError.__name__)"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == "DeclarationError\n"


def test_another_name_is_refused_as_that_of_any_module() -> None:
    with pytest.raises(AttributeError, match="module 'limen' has no attribute 'Gatway'"):
        _ = limen.Gatway  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
    with pytest.raises(ImportError, match="cannot import name 'Gatway' from 'limen'"):
        exec("from limen import Gatway")
