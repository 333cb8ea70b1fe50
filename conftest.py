"""Fixtures that the tests of every distribution share."""

import os
from collections.abc import Generator

import pytest

from limen_kit.testing import Unavailable, postgres_server


@pytest.fixture(scope="session")
def postgres() -> Generator[str]:
    """The address of a PostgreSQL server; without one the test is skipped on a laptop and fails in CI."""
    try:
        with postgres_server() as address:
            yield address
    except Unavailable as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))
