"""Measures one attack on one gateway: both services and the gateway start; the probe runs alone, then during the attack.

Every measurement has a gateway of its own, so that one attack does not affect the figures of the next.

The gateway has a CPU to itself; the probe, the attackers and both services share another. Sending is cheaper than parsing,
so attackers on one CPU can saturate the gateway's (the column ``CPU`` shows how far). They run as SCHED_IDLE: the kernel
preempts them at once when the probe or its service has work, as if the attackers had machines of their own. Without pinning,
attackers would take CPU time from the gateway itself, and the probe would measure the scheduler. A row counts only if all
connections of the attack were established.
"""

import json
import os
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep

from bench import configs
from bench.attacks.catalogue import Attack
from bench.attacks.gateways import AttackedGateway, GatewaySetup, certificate
from bench.attacks.probe import TIMEOUT
from bench.attacks.report import MIB, Round, Waits, round_of
from bench.peers import HERE, program
from bench.processes import Program, free_port
from bench.run import GATEWAY_CPU, LOAD_CPU
from limen.auth import Jwt, issue

_WARM_UP = 1.0
_ALONE_SECONDS = 2.0  # of the probe without an attack, at most
_STOP_TIMEOUT = 30.0  # seconds for the attackers to stop: they run only when the CPU is idle
_RAMP = 0.5  # seconds between the start of the attack and the first request of the probe
_ON_LOAD_CPU = ("taskset", "-c", str(LOAD_CPU), sys.executable, "-m")


@dataclass(frozen=True, slots=True)
class Plan:
    """The duration of each measurement, the probe's requests per second, and the attackers' seed."""

    seconds: float
    rate: float
    seed: int
    secret: str


def measure(attack: Attack, count: int, gateway: AttackedGateway, plan: Plan) -> Round:
    """Measure one round; raises RuntimeError if something did not start, or failed even before the attack."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="limen-attacks-")))
        folder.chmod(0o755)  # nginx's worker gives up root, and writes here
        setup = _start_services(attack, folder, plan, stack)
        gateway_process = _start(gateway, setup, stack)
        _probe(setup, plan, _WARM_UP)
        alone = _probe(setup, plan, min(plan.seconds, _ALONE_SECONDS))
        if alone.failed:
            raise RuntimeError(
                f"others are not served before the attack: {alone.failed}; {gateway_process.output_tail()}"
            )
        gateway_process.reset_peak()
        before, used, started_at = gateway_process.rss(), sum(gateway_process.cpu_seconds()), monotonic()
        with running_attackers(attack.name, setup.port, count, plan.seed) as done:
            sleep(_RAMP)
            with_attack = _probe(setup, plan, plan.seconds)
            cpu = (sum(gateway_process.cpu_seconds()) - used) / (monotonic() - started_at)
            memory = (gateway_process.peak() - before) / MIB
        return round_of(alone, with_attack, memory, cpu, done)


def _start_services(attack: Attack, folder: Path, plan: Plan, stack: ExitStack) -> GatewaySetup:
    """Start the services behind the gateway."""
    service, hostile, nginx = free_port(), free_port(), program("nginx")()
    service_folder = folder / "service"
    service_folder.mkdir()
    if nginx is None:
        argv = [sys.executable, "-m", "bench.upstream", str(service)]
    else:
        (service_folder / "nginx.conf").write_text(configs.service(service, service_folder))
        argv = [nginx, "-e", "stderr", "-c", str(service_folder / "nginx.conf")]
    services = {
        "service": (service, argv),
        "hostile": (hostile, [sys.executable, "-m", "bench.attacks.service", str(hostile)]),
    }
    for name, (port, command) in services.items():
        process = Program(
            command, cpu=LOAD_CPU, port=port, log=folder / f"{name}.log", env={"PYTHONPATH": str(HERE.parent)}
        )
        stack.callback(process.stop)
        if (problem := process.wait()) is not None:
            raise RuntimeError(f"the {name} behind the gateway {problem}")
    gateway_folder = folder / "gateway"
    gateway_folder.mkdir()
    pem = certificate(folder / "certificate.pem") if attack.tls else None
    return GatewaySetup(free_port(), service, hostile, gateway_folder, plan.secret, pem)


def _start(gateway: AttackedGateway, setup: GatewaySetup, stack: ExitStack) -> Program:
    program_path = gateway.program_path()
    if program_path is None:
        raise RuntimeError("not installed")
    argv, env = gateway.argv(program_path, setup), setup.env | dict(gateway.env)
    gateway_process = Program(argv, cpu=GATEWAY_CPU, port=setup.port, log=setup.folder / "log", env=env)
    stack.callback(gateway_process.stop)
    if (problem := gateway_process.wait()) is not None:
        raise RuntimeError(f"{gateway.name} {problem}")
    return gateway_process


def _probe(setup: GatewaySetup, plan: Plan, seconds: float) -> Waits:
    """Run the probe for ``seconds``."""
    argv = [*_ON_LOAD_CPU, "bench.attacks.probe", str(setup.port), str(seconds), str(plan.rate)]
    argv += [] if setup.certificate is None else ["tls"]
    env = os.environ | {"BENCH_TOKEN": issue(Jwt(plan.secret), "7", "admin")}
    limit = seconds + TIMEOUT + 60
    done = subprocess.run(argv, cwd=HERE.parent, env=env, stdout=subprocess.PIPE, check=True, timeout=limit)
    result = json.loads(done.stdout)
    return Waits(tuple(sorted(result["waits"])), result["failed"])


@contextmanager
def running_attackers(name: str, port: int, count: int, seed: int) -> Generator[Mapping[str, int]]:
    """Attack within the block; the yielded mapping has the attackers' counts after it."""
    done: dict[str, int] = {}
    argv = [*_ON_LOAD_CPU, "bench.attacks.attackers", name, str(port), str(count), str(seed)]
    with subprocess.Popen(argv, cwd=HERE.parent, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()  # its requests are prepared
            yield done
            process.terminate()
            output, _ = process.communicate(timeout=_STOP_TIMEOUT)
            done.update(json.loads(output or b"{}"))
        finally:
            process.kill()
