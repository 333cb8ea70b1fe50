"""Each deployable is a folder that stands alone: its tests run where nothing else of this repository can be imported.

What it may import of ours is what its ``pyproject.toml`` names: the kit, and for the gateway the library. A copy of the
folder is tested, in a process whose imports of everything else of ours fail, and those of the processes that it starts.
"""

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PROJECTS = {
    path.parent: tomllib.loads(path.read_text())
    for pattern in ("pyproject.toml", "*/pyproject.toml", "shop/*/pyproject.toml")
    for path in ROOT.glob(pattern)
}
DEPLOYABLES = sorted(folder for folder in PROJECTS if folder != ROOT)
PACKAGES = {
    project["project"]["name"]: [path.name for path in (folder / "src").iterdir() if (path / "__init__.py").exists()]
    for folder, project in PROJECTS.items()
}
TEST_SUPPORT = {path.stem for folder in ("tests/support", "tools") for path in (ROOT / folder).iterdir()}

# Tests of each that are run, of those that are quick. All are imported; all are run where everything is there.
SAMPLE = 40

SITE = """
import sys

ABSENT = {absent!r}


class Absent:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {{name!r}}: it is no part of this deployable", name=name)


sys.meta_path.insert(0, Absent)
"""

PLUGIN = f"""
def pytest_collection_modifyitems(config, items):
    found = [item for item in items if "postgres" not in item.nodeid and "contract" not in item.nodeid]
    items[:] = found[:: 1 + len(found) // {SAMPLE}]
"""


def every(folders: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("folder", folders, ids=[str(folder.relative_to(ROOT)) for folder in folders])


def ours(project: dict[str, Any]) -> Iterator[str]:
    """Yield the distributions of this repository that ``project`` depends on, directly or not, with those of its tests."""
    extras = project["project"].get("optional-dependencies", {})
    for requirement in [*project["project"]["dependencies"], *extras.get("test", ())]:
        name = requirement.partition("[")[0]
        if name in PACKAGES and name != project["project"]["name"]:
            yield name
            yield from ours(next(each for each in PROJECTS.values() if each["project"]["name"] == name))


@every(DEPLOYABLES)
def test_a_deployable_needs_libraries_of_this_repository_alone(folder: Path) -> None:
    needed = set(ours(PROJECTS[folder]))
    assert needed in (set(), {"limen"}, {"limen-kit"}, {"limen-kit", "limen-accounts"})


@every(DEPLOYABLES)
def test_the_tests_of_a_deployable_pass_where_nothing_else_of_ours_is(folder: Path, tmp_path: Path) -> None:
    name = PROJECTS[folder]["project"]["name"]
    present = {package for each in (name, *ours(PROJECTS[folder])) for package in PACKAGES[each]}
    absent = TEST_SUPPORT | {package for packages in PACKAGES.values() for package in packages} - present
    copy, site = tmp_path / folder.name, tmp_path / "site"
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    site.mkdir()
    (site / "sitecustomize.py").write_text(SITE.format(absent=sorted(absent)))
    (site / "sampled.py").write_text(PLUGIN)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("COVERAGE", "LIMEN_", "PYTEST"))}
    path = os.pathsep.join([str(site), str(copy / "src"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "sampled", "-p", "no:cacheprovider"],
        cwd=copy,
        env=kept | {"PYTHONPATH": path, "HYPOTHESIS_STORAGE_DIRECTORY": str(site)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@every(DEPLOYABLES)
def test_a_deployable_says_how_it_is_run_and_tested(folder: Path) -> None:
    readme = (folder / "README.md").read_text()
    assert "## Run it" in readme
    assert "## Test it" in readme
    assert "python -m pytest" in readme
    assert '-e ".[test]"' in readme


def test_what_is_absent_cannot_be_imported(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(SITE.format(absent=["limen"]))
    done = subprocess.run(
        [sys.executable, "-c", "import limen_kit; import limen"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.endswith("No module named 'limen': it is no part of this deployable\n")


def test_each_deployable_is_found() -> None:
    found = {str(folder.relative_to(ROOT)) for folder in DEPLOYABLES}
    assert {"kit", "shop/gateway", "shop/orders", "shop/suppliers", "shop/users"} <= found
