"""Whether a service's committed migrations say what its models say."""

import os
import subprocess
import sys
from pathlib import Path


def missing_migrations(project: Path, tmp_path: Path, module: str | None = None) -> str:
    """Return what ``makemigrations --check`` says of the service in ``project``; empty if no migration is missing.

    ``module`` has its ``TORTOISE_ORM``; without it, that is ``database`` in the one package of ``src``. A process of its own
    looks, in ``tmp_path``, since Tortoise keeps models for as long as a process lives. Raises RuntimeError if it cannot.
    """
    source = project / "src"
    module = module or ".".join(_database(source).relative_to(source).with_suffix("").parts)
    process = subprocess.run(  # noqa: S603  # no argument is of another's making
        [sys.executable, "-m", "limen_kit", "makemigrations", module, "--check"],
        cwd=tmp_path,
        # Nothing else of the environment: the settings of whoever runs the tests say nothing of the models.
        env={"PATH": "", "PYTHONPATH": os.pathsep.join([str(source), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    if process.returncode and not process.stdout:
        raise RuntimeError(process.stderr)
    return process.stdout if process.returncode else ""


def _database(source: Path) -> Path:
    """Return the one module ``database`` of the packages in ``source``."""
    found = sorted(source.glob("*/database.py"))
    if len(found) != 1:
        raise RuntimeError(f"{source} has {len(found)} packages with database.py; say which module has TORTOISE_ORM")
    return found[0]
