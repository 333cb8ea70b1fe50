"""What holds for all tests that are run from here. Fixtures of services are those of ``limen_kit.testing.fixtures``."""

import asyncio
import functools
import inspect
import os
from collections.abc import Callable, Coroutine, Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st

from compiled import Builds
from limen.cli.version import compiled, version
from limen.pipeline import exchange as pipeline


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give a test the time that a thousand examples take; all other limits are for the examples of a laptop."""
    if settings.get_current_profile_name() == "thorough":
        for item in items:
            item.add_marker(pytest.mark.timeout(3600), append=False)


# Seconds before the time limit of a test at which its coroutine is cancelled.
_MARGIN = 5.0


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Cancel a coroutine that takes too long, in its own loop: the trace shows what it waits for.

    pytest-timeout's signal raises in whatever runs then. On uvloop that is nothing of Python's, and the exception comes up
    much later, in another test. So its thread is used, which ends the whole run, for tests that hang without a loop.
    """
    marker = pyfuncitem.get_closest_marker("timeout")
    limit = float(marker.args[0] if marker is not None else pyfuncitem.config.getini("timeout"))
    seconds = max(limit - _MARGIN, limit / 2)
    found: Any = pyfuncitem.obj
    if inspect.iscoroutinefunction(found):
        pyfuncitem.obj = _limited(found, seconds)
    elif inspect.iscoroutinefunction(inner := getattr(getattr(found, "hypothesis", None), "inner_test", None)):
        found.hypothesis.inner_test = _limited(inner, seconds)
    return (yield)


def _limited(test: Callable[..., Coroutine[Any, Any, object]], seconds: float) -> Callable[..., Any]:
    @functools.wraps(test)
    async def limited(*args: object, **named: object) -> object:
        async with asyncio.timeout(seconds):
            return await test(*args, **named)

    return limited


def pytest_collection_finish() -> None:
    """Let Hypothesis make its table of characters, once for a clone: more than a second, which no test may be blamed for."""
    st.text().validate()


def pytest_sessionstart() -> None:
    """Refuse to test the wrong one of the two, or one that was compiled from other sources (`make compiled`)."""
    asked = bool(os.environ.get("LIMEN_COMPILED"))
    if compiled() != asked:
        pytest.exit(f"{pipeline.__file__} is not what LIMEN_COMPILED asks for", returncode=4)
    if asked and Path(pipeline.__file__).resolve().parents[2] != Builds(Path(__file__).parent).ready():
        pytest.exit(f"{pipeline.__file__} was not built from these sources; `make wheel` builds them", returncode=4)


def pytest_report_header() -> str:
    """Say which of the two is tested."""
    return version()


@pytest.fixture(autouse=True)
def processes_unmeasured(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure the coverage of processes only where a test says so: it costs half as much as they do, and most do the same.

    Those of fixtures with a larger scope are measured.
    """
    if request.node.get_closest_marker("processes_measured") is None:
        monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
