"""``python tools/build_wheel.py``: build a wheel of limen whose hot path is compiled, into ``dist/``.

The sources are the same, type hints and all: mypyc makes C of the modules named here, and the wheel holds both. What a
request passes through is compiled; what runs at start-up is not. See docs/decisions/0006-compiled-hot-path.md.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mypyc.build import mypycify
from setuptools import setup

ROOT = Path(__file__).parent.parent

COMPILED = (
    "auth/assertion_live",
    "auth/identify",
    "auth/jwt_live",
    "contract/answer_head",
    "contract/request_check",
    "engines/direct/answer_writer",
    "engines/direct/asgi_request",
    "engines/direct/attempt",
    "engines/direct/body_meter",
    "engines/direct/connection_place",
    "engines/direct/connection_timer",
    "engines/direct/dispatcher",
    "engines/direct/downstream",
    "engines/direct/exchange",
    "engines/direct/guarded_protocol",
    "engines/direct/hedge_timer",
    "engines/direct/held_content",
    "engines/direct/input_buffer",
    "engines/direct/local_reply",
    "engines/direct/outside_wait",
    "engines/direct/pace",
    "engines/direct/pipelined",
    "engines/direct/protocol",
    "engines/direct/record",
    "engines/direct/request_body",
    "engines/direct/request_parser",
    "engines/direct/request_queue",
    "engines/direct/rules",
    "engines/direct/stages",
    "engines/direct/timers",
    "engines/direct/upgrade",
    "engines/direct/upstream_side",
    "engines/direct/worker_state",
    "engines/direct/write_timeout",
    "errors",
    "exchange/answer",
    "exchange/answer_filters",
    "exchange/attempt",
    "exchange/calling",
    "exchange/hooks",
    "exchange/request_ids",
    "exchange/outcome",
    "exchange/request",
    "exchange/settlement",
    "exchange/transforms",
    "fairness/body_memory",
    "fairness/round_robin",
    "fairness/scheduler",
    "http/connection_auth",
    "http/headers",
    "http/max_forwards",
    "http/replies",
    "http/status",
    "observe/access",
    "observe/escape",
    "pipeline/attempts",
    "pipeline/exchange",
    "pipeline/fallback",
    "pipeline/local_replies",
    "pipeline/policy_phase",
    "pipeline/service_answer",
    "pipeline/settle",
    "pipeline/states",
    "pipeline/steps",
    "pipeline/target_attempt",
    "pipeline/unrouted",
    "pipeline/upstream_request",
    "routing/find",
    "routing/matcher",
    "routing/path",
    "routing/table",
    "runtime/compile",
    "runtime/plan",
    "upstream/answer_meter",
    "upstream/answer_rules",
    "upstream/balance_live",
    "upstream/connection",
    "upstream/error",
    "upstream/flow_control",
    "upstream/learned_latency",
    "upstream/live",
    "upstream/live_target",
    "upstream/pool",
    "upstream/private_connections",
    "upstream/probes",
    "upstream/request",
    "upstream/retry_rules",
    "upstream/target_factory",
    "upstream/target_health",
    "upstream/target_monitor",
    "upstream/target_set",
    "upstream/tls",
    "upstream/tls_context",
)

# What a wheel holds besides what is compiled; the templates are those of `limen new`.
CONTENTS: Mapping[str, Any] = {
    "package_dir": {"": "src"},
    "packages": sorted(
        ".".join(file.parent.relative_to(ROOT / "src").parts) for file in (ROOT / "src").rglob("__init__.py")
    ),
    "package_data": {"limen.cli.new": ["templates/**/*.tmpl"]},
}


def main() -> None:
    """Build; the C compiler and Python's headers have to be there."""
    os.chdir(ROOT)
    sys.argv = ["build_wheel.py", "--quiet", "build", "--build-base=build/wheel", "bdist_wheel", "--dist-dir=dist"]
    options = ["--config-file=tools/mypy.ini", *(f"src/limen/{name}.py" for name in COMPILED)]
    setup(
        **CONTENTS,
        ext_modules=mypycify(  # pyright: ignore[reportArgumentType] - the same class by another name
            options, opt_level="3", debug_level="0", target_dir="build/wheel"
        ),
    )


if __name__ == "__main__":
    main()
