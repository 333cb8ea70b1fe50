"""Whether a service's committed migrations say what its models say."""

import shutil
import subprocess
import sys
from pathlib import Path


def undeclared_changes(project: Path, tmp_path: Path) -> str:
    """Return what ``makemigrations`` would add to the service in ``project``, working on a copy; empty when nothing."""
    copy = tmp_path / "project"
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns("__pycache__", "tests"))
    before = {path: path.read_text() for path in copy.rglob("migrations/*.py")}
    assert len(before) > 1, "there are no migrations"
    done = subprocess.run(
        [sys.executable, "-m", "tortoise", "makemigrations"],
        cwd=copy,
        env={"PATH": "", "PYTHONPATH": str(copy / "src")},
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    after = {path: path.read_text() for path in copy.rglob("migrations/*.py")}
    return "" if after == before else done.stdout
