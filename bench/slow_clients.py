"""``python -m bench.slow_clients``: how do thousands of slow and idle clients affect the latency of all others?

In each round, GET /api/items is sent at a fixed rate, alone and beside each kind of slow client in turn. The gateway has a
CPU of its own; the load, the slow clients and the service share the other. Latency counts from when a request was due. The
result is the ratio of the 99th percentiles within a round, and its median over the rounds.
"""

import argparse
import json
import secrets
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import sleep

from bench.peers import PEERS
from bench.processes import machine
from bench.run import GATEWAY_CPU, LOAD_CPU, Plan, service, setup, start
from bench.scenarios import SCENARIOS
from bench.slow_client_load import KINDS

ROOT = Path(__file__).parent.parent
SETTLE_SECONDS = 3.0  # seconds


def measure(port: int, seconds: float, rate: float) -> dict[str, float]:
    """Return the latencies of GET /api/items."""
    arguments = ["get", str(port), "/api/items", str(seconds), str(rate)]
    argv = ["taskset", "-c", str(LOAD_CPU), sys.executable, "-m", "bench.login_load", *arguments]
    done = subprocess.run(argv, cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=seconds + 120)
    ratios: dict[str, float] = json.loads(done.stdout)
    if ratios["errors"]:
        raise RuntimeError(f"{ratios['errors']:g} of {ratios['requests']:g} requests failed")
    return ratios


@contextmanager
def slow_clients(kind: str, port: int, clients: int) -> Generator[None]:
    """Run ``clients`` slow clients of a kind."""
    argv = [
        "taskset",
        "-c",
        str(LOAD_CPU),
        sys.executable,
        "-m",
        "bench.slow_client_load",
        kind,
        str(port),
        str(clients),
    ]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()  # all are connected
            sleep(SETTLE_SECONDS)  # measure the steady state: until then, buffers of clients that read nothing fill up
            yield
        finally:
            process.terminate()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=2000, help="of each flood (%(default)s)")
    parser.add_argument("--rate", type=float, default=500, help="requests per second (%(default)s)")
    parser.add_argument("--seconds", type=float, default=5, help="of each measure (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="(%(default)s)")
    parser.add_argument("--peer", default="limen direct", choices=[peer.name for peer in PEERS])
    options = parser.parse_args()
    peer = next(candidate for candidate in PEERS if candidate.name == options.peer)
    scenario = next(candidate for candidate in SCENARIOS if candidate.name == "public")
    plan = Plan(options.rounds, options.seconds, secrets.token_urlsafe(32), "", "")
    ratios: dict[str, list[float]] = {kind: [] for kind in KINDS}
    p99_alone: list[float] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="limen-floods-")))
        gateway_setup = setup(scenario, folder / "gateway", stack.enter_context(service(scenario, folder)), plan)
        gateway = stack.enter_context(start(peer, gateway_setup))
        if (problem := gateway.wait()) is not None:
            raise RuntimeError(problem)
        measure(gateway_setup.port, 2, options.rate)  # warms up
        for number in range(options.rounds):
            p99_alone.append(measure(gateway_setup.port, options.seconds, options.rate)["p99"])
            for kind in KINDS:
                # A client that does not read occupies a connection to the service, of which the gateway has 1,024 here.
                with slow_clients(
                    kind, gateway_setup.port, min(options.clients, 500) if kind == "read" else options.clients
                ):
                    ratios[kind].append(
                        measure(gateway_setup.port, options.seconds, options.rate)["p99"] / p99_alone[-1]
                    )
            ratios_text = "  ".join(f"{kind} {all_ratios[-1]:.2f}" for kind, all_ratios in ratios.items())
            print(f"round {number + 1}: alone {p99_alone[-1]:.2f} ms; {ratios_text}", file=sys.stderr, flush=True)
    for name, value in machine().items():
        print(f"{name}: {value}")
    clients = f"{options.clients} slow clients, 500 at most that do not read"
    print(f"{options.peer} on CPU {GATEWAY_CPU}, {options.rate:g} requests/s, {clients}")
    print(f"p99 alone: {median(p99_alone):.2f} ms (middle of {options.rounds} rounds)")
    for kind, all_ratios in ratios.items():
        print(
            f"p99 beside {KINDS[kind]}: {median(all_ratios):.2f} times ({min(all_ratios):.2f} to {max(all_ratios):.2f})"
        )


if __name__ == "__main__":
    main()
