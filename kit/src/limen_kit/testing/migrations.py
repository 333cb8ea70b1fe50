"""Whether a service's committed migrations match its models."""

import shutil
import subprocess
import sys
from pathlib import Path


def missing_migrations(project: Path, tmp_path: Path) -> str:
    """Return the output of ``makemigrations`` on a copy of the service in ``project``; empty if no migration is missing."""
    copy = tmp_path / "project"
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns("__pycache__", "tests"))
    before = {path: path.read_text() for path in copy.rglob("migrations/*.py")}
    assert len(before) > 1, "there are no migrations"
    process = subprocess.run(
        [sys.executable, "-m", "tortoise", "makemigrations"],
        cwd=copy,
        env={"PATH": "", "PYTHONPATH": str(copy / "src")},
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    after = {path: path.read_text() for path in copy.rglob("migrations/*.py")}
    return "" if after == before else process.stdout
