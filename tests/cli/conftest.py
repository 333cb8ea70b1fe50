"""Fixtures of the tests that run ``limen serve``."""

from pathlib import Path

import pytest

from shop_processes import free_ports
from slow import PLAIN


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a folder to serve from, with a plain application in it."""
    (tmp_path / "plain.py").write_text(PLAIN)
    return tmp_path


@pytest.fixture
def port() -> int:
    """Find a port that is free now."""
    return free_ports(1)[0]
