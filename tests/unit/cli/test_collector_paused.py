"""While an application is imported, the collector of cycles rests; what the application says of it stands."""

import gc
from collections.abc import Generator

import pytest

from limen.cli.load import collector_paused


@pytest.fixture(autouse=True)
def as_before() -> Generator[None]:
    """Leave the collector as it was."""
    thresholds, enabled = gc.get_threshold(), gc.isenabled()
    yield
    gc.set_threshold(*thresholds)
    (gc.enable if enabled else gc.disable)()


def test_it_rests_meanwhile() -> None:
    before = gc.get_threshold()
    with collector_paused():
        assert gc.get_threshold()[0] == 0
    assert gc.get_threshold() == before


def test_it_rests_no_longer_where_the_import_fails() -> None:
    before = gc.get_threshold()
    with pytest.raises(ImportError), collector_paused():
        raise ImportError
    assert gc.get_threshold() == before


def test_thresholds_of_the_application_stand() -> None:
    with collector_paused():
        gc.set_threshold(5, 6, 7)
    assert gc.get_threshold() == (5, 6, 7)


def test_so_does_that_it_is_off() -> None:
    with collector_paused():
        gc.disable()
    assert not gc.isenabled()
