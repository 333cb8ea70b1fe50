"""Programs that a test needs, and that a machine may lack: without one it is skipped on a laptop, and fails in CI."""

import os
import shutil

import pytest


def needs(*names: str) -> pytest.MarkDecorator:
    """Return the mark of a test that needs the programs ``names``."""
    missing = [name for name in names if shutil.which(name) is None]
    return pytest.mark.skipif(not os.environ.get("CI") and bool(missing), reason=f"not installed: {', '.join(missing)}")
