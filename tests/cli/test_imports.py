"""What a command imports before it needs it: imports are most of the time that a start takes."""

import subprocess
import sys

import pytest

# What serves, and what a gateway is made with.
SLOW = ("fastapi", "starlette", "pydantic", "uvicorn", "joserfc")


@pytest.mark.parametrize(
    ("module", "more"),
    [
        ("limen", "limen.__all__, dir(limen)"),
        ("limen.cli.main", ""),
        ("limen.cli.serve", "from limen.cli.supervisor import Supervisor"),
        ("limen.cli.reload", ""),
        ("limen.cli.version", "limen.cli.version.version()"),
    ],
)
def test_a_process_that_serves_nothing_imports_nothing_that_serves(module: str, more: str) -> None:
    program = f"import sys, {module}; {more or 'pass'}; print(*sys.modules.keys() & {set(SLOW)})"
    done = subprocess.run([sys.executable, "-c", program], check=True, timeout=50, capture_output=True, text=True)
    assert done.stdout.split() == []


def test_the_import_of_a_public_name_imports_all_that_it_needs() -> None:
    program = (
        "from limen import *; app = Gateway(); print(app.describe(), isinstance(app, __import__('fastapi').FastAPI))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, timeout=50, capture_output=True, text=True)
    assert done.stdout == "[] True\n"
