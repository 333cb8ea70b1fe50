"""Fixtures of all tests."""

import gc
from collections.abc import Generator
from pathlib import Path

import pytest

from certificates import Authority
from limen.testing import flush_log


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Make an authority that nobody trusts yet."""
    return Authority(tmp_path)


@pytest.fixture(autouse=True)
def own_log() -> Generator[None]:
    """Leave no line of the access log to the next test: those of a gateway that never stopped wait for their turn."""
    yield
    flush_log()


@pytest.fixture
def own_collector() -> Generator[None]:
    """Undo what a server does to the garbage collector, for the tests that follow."""
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


@pytest.fixture
def no_collector() -> Generator[None]:
    """Let nothing be collected that is not let go of; ``gc.get_objects()`` then shows only what was made since."""
    gc.collect()
    gc.freeze()
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()
