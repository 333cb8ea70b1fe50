"""The project in the form of the article, and its gateway."""

import sys
from collections.abc import AsyncGenerator, Generator
from importlib import import_module
from pathlib import Path

import pytest

from article_gateway import PROJECT, Article, Project, running


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch) -> Generator[Project]:
    """Return what imports a module of the project, which is on the path for one test."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", [str(PROJECT), *sys.path])
    yield import_module
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None)
        if file and Path(file).is_relative_to(PROJECT):
            del sys.modules[name]


@pytest.fixture(params=["own functions", "limen's"])
async def article(request: pytest.FixtureRequest, project: Project) -> AsyncGenerator[Article]:
    """The gateway, once with the project's decoder and header generator, and once with those of Limen."""
    async with running(project, own=request.param == "own functions") as found:
        yield found


@pytest.fixture
async def own(project: Project) -> AsyncGenerator[Article]:
    """The gateway with the project's functions."""
    async with running(project, own=True) as found:
        yield found
