"""Runs the load generator: wrk where it is installed, else ``bench.load_generator``, which can also send at a fixed rate."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.scenarios import Scenario

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class LoadResult:
    """The result of a load: latencies in milliseconds, errors (including statuses of 400 and more) in requests."""

    requests: int
    seconds: float
    errors: int
    p50: float
    p99: float


def generator(scenario: Scenario) -> str:
    """Return the name of the load generator for ``scenario``."""
    return "wrk" if scenario.peak_share is None and shutil.which("wrk") else "bench/load_generator.py"


def load(
    scenario: Scenario, *, port: int, cpu: int, seconds: float, token: str, rate: float, folder: Path
) -> LoadResult:
    """Load what listens on ``port`` from ``cpu``; ``rate`` in requests per second paces it, 0 is as fast as it goes."""
    body = folder / "request-body"
    content = bytes(scenario.body) if isinstance(scenario.body, int) else scenario.body
    if content and not (body.exists() and body.stat().st_size == len(content)):
        body.write_bytes(content)
    env = {
        "BENCH_METHOD": scenario.method,
        "BENCH_TOKEN": token if scenario.token else "",
        "BENCH_BODY_FILE": str(body) if content else "",
        "BENCH_MEDIA_TYPE": "application/octet-stream" if isinstance(scenario.body, int) else "application/json",
    }
    url = f"http://127.0.0.1:{port}{scenario.path}"
    if generator(scenario) == "wrk":
        options = [
            "-t1",
            f"-c{scenario.connections}",
            f"-d{seconds:g}s",
            "--timeout",
            "60",
            "-s",
            str(HERE / "wrk.lua"),
        ]
        argv = ["wrk", *options, url]
    else:
        argv = [sys.executable, "-m", "bench.load_generator", str(port), scenario.path, str(scenario.connections)]
        argv += [str(seconds), str(rate)]
    done = subprocess.run(
        ["taskset", "-c", str(cpu), *argv],
        env=os.environ | env,
        cwd=HERE.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds + 120,
    )
    if done.returncode:
        raise RuntimeError(f"the load ended with status {done.returncode}: {done.stderr.strip()[-400:]}")
    result = json.loads(done.stdout.strip().splitlines()[-1])
    return LoadResult(int(result["requests"]), result["seconds"], int(result["errors"]), result["p50"], result["p99"])
