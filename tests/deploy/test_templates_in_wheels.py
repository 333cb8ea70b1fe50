"""Both kinds of wheels carry the templates of ``limen new``: the one of every install, and the compiled one."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import build_wheel

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "limen" / "cli" / "new"
TEMPLATES = {path.relative_to(ROOT / "src").as_posix() for path in PACKAGE.rglob("*.tmpl")}

COMPILED = """
import sys
from setuptools import setup
import build_wheel
sys.argv = ["build_wheel.py", "--quiet", "build", "--build-base", sys.argv[1]]
setup(**build_wheel.CONTENTS)
"""
PLAIN = "import sys, uv_build; uv_build.build_wheel(sys.argv[1])"


def test_there_are_templates() -> None:
    assert {"limen/cli/new/templates/service/src/PACKAGE/models.py.tmpl"} <= TEMPLATES
    assert "limen/cli/new/templates/project/DOTgitignore.tmpl" in TEMPLATES


def test_the_wheel_of_an_install_has_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)  # where uv_build finds its program
    run(PLAIN, tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    assert {name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".tmpl")} == TEMPLATES


def test_the_compiled_wheel_has_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(build_wheel.__file__).parent))
    run(COMPILED, tmp_path)
    built = tmp_path / "lib"
    assert {path.relative_to(built).as_posix() for path in built.rglob("*.tmpl")} == TEMPLATES


def run(program: str, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=250
    )
    assert done.returncode == 0, done.stdout + done.stderr
