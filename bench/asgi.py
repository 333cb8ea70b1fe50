"""``make bench``: requests per second and CPU of the asgi engine for ``GET /api/suppliers``.

The gateway has core 0 to itself; the service behind it and the load share core 1. Peers take turns, round after round, so
that a machine that slows down slows all of them. CPU is user and system time of the gateway's process, from /proc.
"""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from socket import create_connection, create_server
from statistics import median
from time import monotonic, sleep

HERE = Path(__file__).parent
GATEWAY_CORE, LOAD_CORE = 0, 1
ROUNDS = 5
SECONDS = 3.0
CONNECTIONS = 32
TICK = os.sysconf("SC_CLK_TCK")

# The figure to beat: the original teaching gateway, measured once on one core (requests/s, microseconds each).
ORIGINAL = (1_600, 640)


def free_port() -> int:
    """Return a port that is free now."""
    with create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def start(core: int, port: int, *argv: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start a Python program on ``core`` and wait until it listens on ``port``."""
    process = subprocess.Popen([sys.executable, *argv], env=os.environ | (env or {}), stderr=subprocess.DEVNULL)
    os.sched_setaffinity(process.pid, {core})
    until = monotonic() + 30
    while monotonic() < until:
        try:
            create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            sleep(0.05)
        else:
            return process
    process.kill()
    sys.exit(f"{argv} does not listen on {port}")


def cpu(process: subprocess.Popen[bytes]) -> float:
    """Return the CPU seconds that ``process`` has used."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def measure(process: subprocess.Popen[bytes], port: int, seconds: float) -> dict[str, float]:
    """Load ``process`` for a while."""
    before = cpu(process)
    program = [sys.executable, str(HERE / "load.py"), str(port)]
    options = ["--connections", str(CONNECTIONS), "--seconds", str(seconds)]
    load = subprocess.run(
        ["taskset", "-c", str(LOAD_CORE), *program, *options], capture_output=True, text=True, check=True, timeout=60
    )
    found: dict[str, float] = json.loads(load.stdout)
    used = cpu(process) - before
    return found | {"rate": found["requests"] / found["seconds"], "cpu": used / found["requests"] * 1e6}


def main() -> None:
    """Run the rounds and print the table."""
    if (os.cpu_count() or 1) < 2:
        sys.exit("two cores are needed: one for the gateway, one for the load")
    upstream = free_port()
    url = f"http://127.0.0.1:{upstream}"
    env = {"SECRET_KEY": "for measuring only, and never outside of it"}
    env |= {f"{name}_SERVICE_URL": url for name in ("USERS", "ORDERS", "SUPPLIERS")}
    running = [start(LOAD_CORE, upstream, str(HERE / "upstream.py"), str(upstream))]
    try:
        peers: dict[str, tuple[subprocess.Popen[bytes], int]] = {}
        for name, argv in {
            "limen, asgi engine": ("-m", "limen", "serve", "shop_gateway.app:app", "--log-level", "warning", "--port"),
            "a session per request": (
                "-m",
                "uvicorn",
                "--app-dir",
                str(HERE),
                "original:app",
                "--no-access-log",
                "--port",
            ),
        }.items():
            port = free_port()
            peers[name] = (start(GATEWAY_CORE, port, *argv, str(port), env=env), port)
            running.append(peers[name][0])
        for process, port in peers.values():
            measure(process, port, 1)
        rounds: dict[str, list[dict[str, float]]] = {name: [] for name in peers}
        for _ in range(ROUNDS):
            for name, (process, port) in peers.items():
                rounds[name].append(measure(process, port, SECONDS))
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait()
    report(rounds)


def report(rounds: Mapping[str, list[dict[str, float]]]) -> None:
    """Print medians over the rounds, and ratios."""
    print(f"Python {platform.python_version()}, {platform.machine()}, {CONNECTIONS} connections")
    print(f"{ROUNDS} rounds of {SECONDS:g} s, each peer in turn; medians of the rounds")
    print(f"{'gateway':24}{'requests/s':>12}{'CPU us':>10}{'p50 ms':>10}{'p99 ms':>10}")
    middle = {name: {key: median(one[key] for one in found) for key in found[0]} for name, found in rounds.items()}
    for name, found in middle.items():
        print(f"{name:24}{found['rate']:12.0f}{found['cpu']:10.0f}{found['p50']:10.2f}{found['p99']:10.2f}")
    limen, other = middle.values()
    rate, each = ORIGINAL
    for name, times, less in (
        ("the session per request", limen["rate"] / other["rate"], other["cpu"] / limen["cpu"]),
        (f"the original's {rate}/s at {each} us", limen["rate"] / rate, each / limen["cpu"]),
    ):
        print(f"limen against {name}: {times:.1f} times the rate, {less:.1f} times less CPU")


if __name__ == "__main__":
    main()
