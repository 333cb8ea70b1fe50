"""``python tools/build_wheel.py``: build a wheel of limen whose hot path is compiled, into ``dist/``.

The sources are the same, type hints and all: mypyc makes C of the modules named here, and the wheel holds both. What a
request passes through is compiled; what runs at start-up is not. See docs/decisions/0006-compiled-hot-path.md.
"""

import os
import sys
from pathlib import Path

from mypyc.build import mypycify
from setuptools import setup

ROOT = Path(__file__).parent.parent

COMPILED = (
    "engines/direct/answer",
    "engines/direct/client",
    "engines/direct/ending",
    "engines/direct/exchange",
    "engines/direct/guard",
    "engines/direct/pace",
    "engines/direct/timeouts",
    "engines/direct/protocol",
    "engines/direct/reading",
    "engines/direct/rules",
    "engines/direct/sending",
    "engines/direct/shared",
    "engines/direct/timers",
    "errors",
    "auth/assertion_live",
    "auth/jwt_live",
    "http/headers",
    "http/max_forwards",
    "http/replies",
    "http/status",
    "observe/access",
    "observe/escape",
    "exchange/outcome",
    "pipeline",
    "fairness/body_memory",
    "runtime/compile",
    "auth/identify",
    "exchange/ids",
    "routing/path",
    "runtime/plan",
    "routing/table",
    "upstream/connection",
    "upstream/error",
    "fairness/round_robin",
    "upstream/pool",
    "upstream/tls_context",
    "upstream/request",
    "upstream/answer_rules",
    "upstream/tls",
    "fairness/scheduler",
    "upstream/flow_control",
)


def main() -> None:
    """Build; the C compiler and Python's headers have to be there."""
    os.chdir(ROOT)
    sys.argv = ["build_wheel.py", "--quiet", "build", "--build-base=build/wheel", "bdist_wheel", "--dist-dir=dist"]
    options = ["--config-file=tools/mypy.ini", *(f"src/limen/{name}.py" for name in COMPILED)]
    setup(
        package_dir={"": "src"},
        packages=sorted(".".join(file.parent.relative_to("src").parts) for file in Path("src").rglob("__init__.py")),
        ext_modules=mypycify(  # pyright: ignore[reportArgumentType] - the same class by another name
            options, opt_level="3", debug_level="0", target_dir="build/wheel"
        ),
    )


if __name__ == "__main__":
    main()
