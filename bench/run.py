"""A scenario, or some that are compared: peers start on the gateways' CPU, are loaded in turn, round after round, and stop.

Peers take turns so that a machine that slows down slows all of them. The service and the load share the other CPU.
"""

import shutil
import sys
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import monotonic

from bench import configs
from bench.configs import Setup
from bench.load import Found, load
from bench.peers import HERE, NO_AUTH, Peer
from bench.processes import Program, busy_seconds, free_port
from bench.scenarios import Scenario

GATEWAY_CPU, LOAD_CPU = 0, 1
WARM_UP = 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How long: ``rounds`` of ``seconds`` for each peer. ``secret`` signs ``token`` (an admin) and ``other`` (no admin)."""

    rounds: int
    seconds: float
    secret: str
    token: str
    other: str


@dataclass(slots=True)
class Row:
    """What one peer did in one scenario; ``problem`` says why there are no figures.

    Of the figures, ``cpu`` and its part ``system`` are in microseconds per request; ``others`` is the share of the
    gateways' CPU that went to anything else.
    """

    peer: str
    work: str
    problem: str | None = None
    rounds: list[dict[str, float]] = field(default_factory=list[dict[str, float]])

    def middle(self, key: str) -> float:
        """Return the median over the rounds."""
        return median(one[key] for one in self.rounds)


@dataclass(slots=True)
class _Staged:
    """A scenario whose gateways run."""

    scenario: Scenario
    folder: Path
    rows: list[Row]
    running: list[tuple[Row, Program]] = field(default_factory=list[tuple[Row, Program]])


def run(scenarios: Sequence[Scenario], peers: Sequence[Peer], plan: Plan, rate: float) -> list[list[Row]]:
    """Measure ``scenarios``, which take turns; ``rate`` in requests per second paces them, 0 is as fast as it goes."""
    with ExitStack() as stack:
        staged = [_stage(stack, scenario, peers, plan, rate) for scenario in scenarios]
        for number in range(plan.rounds):
            for one in staged:
                for row, gateway in one.running:
                    if row.problem is None:
                        _measure(row, one.scenario, gateway, plan, rate, one.folder)
                print(f"  {one.scenario.name}: round {number + 1} of {plan.rounds}", file=sys.stderr, flush=True)
        return [one.rows for one in staged]


def _stage(stack: ExitStack, scenario: Scenario, peers: Sequence[Peer], plan: Plan, rate: float) -> _Staged:
    rows = [_row(scenario, peer) for peer in peers if scenario.peers is None or peer.name in scenario.peers]
    named = {peer.name: peer for peer in peers}
    folder = Path(stack.enter_context(TemporaryDirectory(prefix="limen-bench-")))
    staged = _Staged(scenario, folder, rows)
    upstream = stack.enter_context(service(scenario, folder))
    for row in rows:
        if row.problem is None:
            own = setup(scenario, folder / str(len(staged.running)), upstream, plan)
            staged.running.append((row, stack.enter_context(start(named[row.peer], own))))
    for row, gateway in staged.running:
        row.problem = gateway.wait() or _open_door(scenario, row, gateway, plan)
        row.problem = row.problem or _warm_up(scenario, gateway, plan, rate, folder)
    return staged


def _row(scenario: Scenario, peer: Peer) -> Row:
    work = peer.work.get(scenario.kind)
    if work is None:
        return Row(peer.name, "-", "has no way to do this")
    return Row(peer.name, work, None if peer.found() else "not installed")


def setup(scenario: Scenario, folder: Path, upstream: int, plan: Plan) -> Setup:
    """Return what a gateway of ``scenario`` is told; its ``folder`` is made."""
    folder.mkdir()
    return Setup(free_port(), upstream, folder, plan.secret, scenario.routes, scenario.token)


@contextmanager
def start(peer: Peer, own: Setup) -> Generator[Program]:
    """Start ``peer`` on the gateways' CPU; it may not listen yet."""
    found = peer.found()
    assert found is not None
    env = {
        "BENCH_UPSTREAM": f"http://127.0.0.1:{own.upstream}",
        "BENCH_PORT": str(own.port),
        "BENCH_SECRET": own.secret,
        "BENCH_ROUTES": str(own.routes),
        "PYTHONWARNINGS": "ignore",
    }
    argv = peer.argv(found, own)
    program = Program(argv, cpu=GATEWAY_CPU, port=own.port, log=own.folder / "log", env=env | dict(peer.env))
    try:
        yield program
    finally:
        program.stop()


@contextmanager
def service(scenario: Scenario, folder: Path) -> Generator[int]:
    """Start what is behind the gateways and give its port."""
    own = folder / "service"
    own.mkdir()
    port = free_port()
    argv = [sys.executable, "-m", "bench.upstream", str(port)]
    # Not for uploads: nginx's canned answer comes before the body, which says nothing about passing a body on.
    if scenario.kind != "upload" and (nginx := shutil.which("nginx")) is not None:
        (own / "nginx.conf").write_text(configs.service(port, own))
        folder.chmod(0o755)  # nginx's worker gives up root, and reads the large file
        argv = [nginx, "-e", "stderr", "-c", str(own / "nginx.conf")]
    program = Program(argv, cpu=LOAD_CPU, port=port, log=own / "log", env={"PYTHONPATH": str(HERE.parent)})
    try:
        if (problem := program.wait()) is not None:
            raise RuntimeError(f"the service behind the gateways {problem}")
        yield port
    finally:
        program.stop()


def _load(scenario: Scenario, gateway: Program, seconds: float, token: str, rate: float, folder: Path) -> Found:
    return load(scenario, port=gateway.port, cpu=LOAD_CPU, seconds=seconds, token=token, rate=rate, folder=folder)


def _open_door(scenario: Scenario, row: Row, gateway: Program, plan: Plan) -> str | None:
    """Return what is wrong if a gateway that is said to check tokens lets anybody pass who is no admin."""
    if not scenario.token or NO_AUTH in row.work:
        return None
    for who, headers in (("nobody", {}), ("a caller of another role", {"authorization": f"Bearer {plan.other}"})):
        client = HTTPConnection("127.0.0.1", gateway.port, timeout=10)
        try:
            client.request(scenario.method, scenario.path, headers=headers)
            status = client.getresponse().status
        except OSError as error:
            return f"does not answer: {error}"
        finally:
            client.close()
        if status not in (401, 403):
            return f"answers {status} to {who}"
    return None


def _warm_up(scenario: Scenario, gateway: Program, plan: Plan, rate: float, folder: Path) -> str | None:
    """Load a gateway for a moment; return what is wrong with its answers."""
    try:
        found = _load(scenario, gateway, WARM_UP, plan.token, rate, folder)
    except RuntimeError as error:
        return str(error)
    if found.errors or not found.requests:
        return f"{found.errors} errors in {found.requests} requests: {gateway.said()}"
    return None


def _measure(row: Row, scenario: Scenario, gateway: Program, plan: Plan, rate: float, folder: Path) -> None:
    before, busy, begun = gateway.cpu_seconds(), busy_seconds(GATEWAY_CPU), monotonic()
    try:
        found = _load(scenario, gateway, plan.seconds, plan.token, rate, folder)
    except RuntimeError as error:
        row.problem = str(error)
        return
    user, system = (after - was for after, was in zip(gateway.cpu_seconds(), before, strict=True))
    used = user + system
    others = (busy_seconds(GATEWAY_CPU) - busy - used) / (monotonic() - begun)
    if found.errors or not found.requests:
        row.problem = f"{found.errors} errors in {found.requests} requests"
        return
    row.rounds.append(
        {
            "requests": found.requests,
            "rate": found.requests / found.seconds,
            "cpu": used / found.requests * 1e6,
            "system": system / found.requests * 1e6,
            "p50": found.p50,
            "p99": found.p99,
            "rss": float(gateway.rss()),
            "others": max(0.0, others),
        }
    )
