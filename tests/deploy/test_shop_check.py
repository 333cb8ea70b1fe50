"""``limen check`` finds nothing in the shop's gateway, warnings included, and nothing of it is acknowledged."""

import os
import subprocess
import sys

from doc_tables.pages import ENVIRONMENT


def test_the_shop_has_no_findings() -> None:
    command = [sys.executable, "-m", "limen", "check", "shop_gateway.app:app", "--strict"]
    env = {"PATH": os.environ["PATH"], **ENVIRONMENT}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=50)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.endswith(" gateway routes, no problem found.\n")
