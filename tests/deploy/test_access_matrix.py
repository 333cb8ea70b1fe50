"""That ``docs/access.md`` says who may call what: it is exactly what ``limen matrix`` makes of the shop's gateway."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = "docs/access.md"
SERVICES = ("USERS", "ORDERS", "SUPPLIERS")


def test_the_committed_matrix_is_that_of_the_gateway() -> None:
    """If this fails and the change was meant, run the command that it names, with such settings, and commit the file."""
    env = os.environ | {f"{name}_SERVICE_URL": f"http://{name.lower()}:8000" for name in SERVICES}
    env["SECRET_KEY"] = "a-key-for-this-test-only-0123456789abcdef"
    argv = [sys.executable, "-m", "limen", "matrix", "shop_gateway.app:app", "--check", PAGE]
    done = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stdout + done.stderr
