"""``python -m bench.floods``: how long do others wait while slow and idle clients by the thousand are at the gateway?

In each round GET /api/items comes at a fixed rate, alone and beside each kind of flood in turn. The gateway has a CPU of its
own; the load, the floods and the service share the other. Latency is counted from when a request was due. What counts is the
ratio of the 99th percentiles within a round, and its middle over the rounds.
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

from bench.flood_clients import KINDS
from bench.peers import PEERS
from bench.processes import machine
from bench.run import GATEWAY_CPU, LOAD_CPU, Plan, service, setup, start
from bench.scenarios import SCENARIOS

ROOT = Path(__file__).parent.parent
SETTLE = 3.0  # seconds


def alone(port: int, seconds: float, rate: float) -> dict[str, float]:
    """Return how long GET /api/items takes."""
    what = ["get", str(port), "/api/items", str(seconds), str(rate)]
    argv = ["taskset", "-c", str(LOAD_CPU), sys.executable, "-m", "bench.login_clients", *what]
    done = subprocess.run(argv, cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=seconds + 120)
    found: dict[str, float] = json.loads(done.stdout)
    if found["errors"]:
        raise RuntimeError(f"{found['errors']:g} of {found['requests']:g} requests failed")
    return found


@contextmanager
def flood(kind: str, port: int, clients: int) -> Generator[None]:
    """Have ``clients`` of a kind at the gateway."""
    argv = ["taskset", "-c", str(LOAD_CPU), sys.executable, "-m", "bench.flood_clients", kind, str(port), str(clients)]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()  # all are there
            sleep(SETTLE)  # what is measured is a flood that stays: who reads nothing has got what fits between
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
    peer = next(one for one in PEERS if one.name == options.peer)
    scenario = next(one for one in SCENARIOS if one.name == "public")
    plan = Plan(options.rounds, options.seconds, secrets.token_urlsafe(32), "", "")
    found: dict[str, list[float]] = {kind: [] for kind in KINDS}
    base: list[float] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="limen-floods-")))
        own = setup(scenario, folder / "gateway", stack.enter_context(service(scenario, folder)), plan)
        gateway = stack.enter_context(start(peer, own))
        if (wrong := gateway.wait()) is not None:
            raise RuntimeError(wrong)
        alone(own.port, 2, options.rate)  # warms up
        for number in range(options.rounds):
            base.append(alone(own.port, options.seconds, options.rate)["p99"])
            for kind in KINDS:
                # Who does not read holds a connection to the service, of which the bench's gateway has 1,024.
                with flood(kind, own.port, min(options.clients, 500) if kind == "read" else options.clients):
                    found[kind].append(alone(own.port, options.seconds, options.rate)["p99"] / base[-1])
            told = "  ".join(f"{kind} {ratios[-1]:.2f}" for kind, ratios in found.items())
            print(f"round {number + 1}: alone {base[-1]:.2f} ms; {told}", file=sys.stderr, flush=True)
    for name, value in machine().items():
        print(f"{name}: {value}")
    clients = f"{options.clients} slow clients, 500 at most that do not read"
    print(f"{options.peer} on CPU {GATEWAY_CPU}, {options.rate:g} requests/s, {clients}")
    print(f"p99 alone: {median(base):.2f} ms (middle of {options.rounds} rounds)")
    for kind, ratios in found.items():
        print(f"p99 beside {KINDS[kind]}: {median(ratios):.2f} times ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
