"""Runs a scenario on a gateway that was just started, with targets of its own, so that no run affects the next.

The gateway has a CPU to itself; the clients and the targets share another.
"""

import json
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep

from bench.peers import HERE
from bench.processes import Program, free_port
from bench.resilience.figures import Run
from bench.resilience.fleet import TargetProcess, received, running_fleet
from bench.resilience.gateways import ResilienceGateway
from bench.resilience.load import Sent
from bench.resilience.scenarios import Scenario
from bench.run import GATEWAY_CPU, LOAD_CPU

_CHECKS_SECONDS = 4.0  # for which connections of health checks are counted, without any load
_MARGIN = 60.0


@dataclass(frozen=True, slots=True)
class Load:
    """Reads and writes per second, and the seconds that a client waits for its answer."""

    reads: float
    writes: float
    patience: float


def measure(scenario: Scenario, gateway: ResilienceGateway, load: Load) -> Run:
    """Run ``scenario``; raises RuntimeError if something did not start."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="limen-resilience-")))
        targets = stack.enter_context(running_fleet(folder, LOAD_CPU))
        program = _start(gateway, targets, folder)
        stack.callback(program.stop)
        if (problem := program.wait()) is not None:
            raise RuntimeError(f"{gateway.name} {problem}")
        argv = map(str, (program.port, scenario.seconds, load.reads, load.writes, load.patience))
        clients = subprocess.Popen(
            ["taskset", "-c", str(LOAD_CPU), sys.executable, "-m", "bench.resilience.load", *argv],
            cwd=HERE.parent,
            stdout=subprocess.PIPE,
            text=True,
        )
        stack.callback(clients.kill)
        return _during(clients, scenario, targets, load.patience)


def _start(gateway: ResilienceGateway, targets: dict[str, TargetProcess], folder: Path) -> Program:
    program_path = gateway.peer.program_path()
    if program_path is None:
        raise RuntimeError("not installed")
    port = free_port()
    argv = gateway.argv(program_path, port, [target.port for target in targets.values()], folder)
    env = {"BENCH_TARGETS": ",".join(target.url for target in targets.values()), **gateway.peer.env}
    return Program(argv, cpu=GATEWAY_CPU, port=port, log=folder / "gateway.log", env=env)


def _during(
    clients: subprocess.Popen[str], scenario: Scenario, targets: dict[str, TargetProcess], patience: float
) -> Run:
    """Make targets bad and well again while the load runs."""
    assert clients.stdout is not None
    if not (line := clients.stdout.readline()):
        raise RuntimeError("the load did not start; what it said is above")
    started = float(line)
    bad = [targets[name] for name in scenario.targets]
    _sleep_until(started + scenario.before)
    began = monotonic()
    for target in bad:
        target.begin(scenario.fault)
    refused_before = _refused_connections()
    healed = None
    if scenario.after:
        _sleep_until(began + scenario.lasts)
        for target in bad:
            target.end()
        healed = monotonic()
    output, _ = clients.communicate(timeout=scenario.seconds + patience + _MARGIN)
    if clients.returncode:
        raise RuntimeError(f"the load ended with status {clients.returncode}")
    sent = [Sent(*json.loads(line)) for line in output.splitlines()]
    refused = None
    if scenario.fault == "killed" and healed is None:
        refused = _refused_since(refused_before, monotonic() - began)
    return Run(sent, received(targets), list(targets), scenario.targets, began, healed, refused)


def _refused_since(before: int, seconds: float) -> float:
    """Return the connections refused in ``seconds``, less those that health checks go on to try without any load."""
    with_load = _refused_connections()
    sleep(_CHECKS_SECONDS)
    checks = (_refused_connections() - with_load) / _CHECKS_SECONDS * seconds
    return max(0.0, with_load - before - checks)


def _refused_connections() -> int:
    """Return how many connections were ever refused to programs of this machine: who listens to none cannot count them."""
    names, values = (
        line.split() for line in Path("/proc/net/snmp").read_text().splitlines() if line.startswith("Tcp:")
    )
    return int(dict(zip(names, values, strict=True))["AttemptFails"])


def _sleep_until(at: float) -> None:
    sleep(max(0.0, at - monotonic()))
