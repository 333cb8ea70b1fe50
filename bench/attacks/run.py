"""One attack on one gateway: both services and the gateway start, others are served alone, and then beside the attack.

Every measure has a gateway of its own, so that what one attack leaves behind is not seen in the next one's figures.

The gateway has a CPU to itself, and the others, their service, the attackers and what these talk to share another. Sending
is cheaper than parsing, so attackers on one CPU can fill the gateway's (the column ``CPU`` says how full it was), while they
run as SCHED_IDLE: the kernel takes the CPU from them at once when the others or their service have work, which is how it is
with attackers on machines of their own. Without pinning, attackers would take their time from the gateway itself, and what
others wait for would be the scheduler. A row counts only if all the connections of the attack have come.
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
from bench.attacks.gateways import Attacked, Ground, certificate
from bench.attacks.probe import PATIENCE
from bench.attacks.report import MIB, Round, Waits, judged
from bench.attacks.table import Attack
from bench.peers import HERE, program
from bench.processes import Program, free_port
from bench.run import GATEWAY_CPU, LOAD_CPU
from limen.auth import Jwt, issue

_WARM_UP = 1.0
_ALONE = 2.0  # seconds of others without an attack, at most
_ENDS = 30.0  # seconds in which attackers end: they run only when nobody else does
_RAMP = 0.5  # seconds between the beginning of the attack and the first request of the others that counts
_ON_LOAD_CPU = ("taskset", "-c", str(LOAD_CPU), sys.executable, "-m")


@dataclass(frozen=True, slots=True)
class Plan:
    """How long each measure takes, how many requests per second the others send, and the seed of the attackers."""

    seconds: float
    rate: float
    seed: int
    secret: str


def measure(attack: Attack, count: int, gateway: Attacked, plan: Plan) -> Round:
    """Return what was seen; raises RuntimeError if something did not start or was not served even before the attack."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="limen-attacks-")))
        folder.chmod(0o755)  # nginx's worker gives up root, and writes here
        ground = _ground(attack, folder, plan, stack)
        started = _start(gateway, ground, stack)
        _others(ground, plan, _WARM_UP)
        alone = _others(ground, plan, min(plan.seconds, _ALONE))
        if alone.failed:
            raise RuntimeError(f"others are not served before the attack: {alone.failed}; {started.said()}")
        started.forget_peak()
        before, used, begun = started.rss(), sum(started.cpu_seconds()), monotonic()
        with attackers(attack.name, ground.port, count, plan.seed) as done:
            sleep(_RAMP)
            beside = _others(ground, plan, plan.seconds)
            cpu = (sum(started.cpu_seconds()) - used) / (monotonic() - begun)
            memory = (started.peak() - before) / MIB
        return judged(alone, beside, memory, cpu, done)


def _ground(attack: Attack, folder: Path, plan: Plan, stack: ExitStack) -> Ground:
    """Start what is behind the gateway."""
    service, strange, found = free_port(), free_port(), program("nginx")()
    own = folder / "service"
    own.mkdir()
    if found is None:
        argv = [sys.executable, "-m", "bench.upstream", str(service)]
    else:
        (own / "nginx.conf").write_text(configs.service(service, own))
        argv = [found, "-e", "stderr", "-c", str(own / "nginx.conf")]
    wanted = {
        "service": (service, argv),
        "strange": (strange, [sys.executable, "-m", "bench.attacks.service", str(strange)]),
    }
    for name, (port, command) in wanted.items():
        started = Program(
            command, cpu=LOAD_CPU, port=port, log=folder / f"{name}.log", env={"PYTHONPATH": str(HERE.parent)}
        )
        stack.callback(started.stop)
        if (problem := started.wait()) is not None:
            raise RuntimeError(f"the {name} behind the gateway {problem}")
    own = folder / "gateway"
    own.mkdir()
    pem = certificate(folder / "certificate.pem") if attack.tls else None
    return Ground(free_port(), service, strange, own, plan.secret, pem)


def _start(gateway: Attacked, ground: Ground, stack: ExitStack) -> Program:
    found = gateway.found()
    if found is None:
        raise RuntimeError("not installed")
    argv, env = gateway.argv(found, ground), ground.env | dict(gateway.env)
    started = Program(argv, cpu=GATEWAY_CPU, port=ground.port, log=ground.folder / "log", env=env)
    stack.callback(started.stop)
    if (problem := started.wait()) is not None:
        raise RuntimeError(f"{gateway.name} {problem}")
    return started


def _others(ground: Ground, plan: Plan, seconds: float) -> Waits:
    """Let others ask for so many seconds."""
    argv = [*_ON_LOAD_CPU, "bench.attacks.probe", str(ground.port), str(seconds), str(plan.rate)]
    argv += [] if ground.certificate is None else ["tls"]
    env = os.environ | {"BENCH_TOKEN": issue(Jwt(plan.secret), "7", "admin")}
    limit = seconds + PATIENCE + 60
    done = subprocess.run(argv, cwd=HERE.parent, env=env, stdout=subprocess.PIPE, check=True, timeout=limit)
    found = json.loads(done.stdout)
    return Waits(tuple(sorted(found["waits"])), found["failed"])


@contextmanager
def attackers(name: str, port: int, count: int, seed: int) -> Generator[Mapping[str, int]]:
    """Attack meanwhile; what was given is filled with what was done when it ends."""
    done: dict[str, int] = {}
    argv = [*_ON_LOAD_CPU, "bench.attacks.clients", name, str(port), str(count), str(seed)]
    with subprocess.Popen(argv, cwd=HERE.parent, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()  # it has made what it sends
            yield done
            process.terminate()
            said, _ = process.communicate(timeout=_ENDS)
            done.update(json.loads(said or b"{}"))
        finally:
            process.kill()
